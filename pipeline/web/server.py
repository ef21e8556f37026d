"""The HTTP server of a worker: Faust's, with the views of this package."""

from __future__ import annotations

import errno
from typing import Any, ClassVar, Final, cast

from faust.types import AppT
from faust.web.base import PRODUCTION_BLUEPRINTS, _BPList
from faust.web.drivers.aiohttp import Web

from pipeline.web.not_here import answering
from pipeline.web.view import Shell

#: What is served, by prefix. Faust's own `/table` and `/router` speak of tables that cannot exist
#: here, so they are left out; its index at `/` stays.
BLUEPRINTS: _BPList = [
    ("", "pipeline.web.stores:blueprint"),
    ("", "pipeline.web.health:blueprint"),
    ("", "pipeline.web.metrics:blueprint"),
]
#: Whose views are always there.
_OURS: Final = frozenset({"pipeline", "faust"})


class WebServer(Web):
    """Faust's aiohttp server, which says plainly when its port is taken."""

    default_blueprints: ClassVar[_BPList] = BLUEPRINTS
    production_blueprints: ClassVar[_BPList] = PRODUCTION_BLUEPRINTS
    debug_blueprints: ClassVar[_BPList] = ()
    optional_blueprints: ClassVar[_BPList] = ()

    def __init__(self, app: AppT, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.web_app.middlewares.append(answering(cast("Shell", app)))

    @property
    def extended(self) -> bool:
        """Whether views were declared beside those of this package."""
        own = sum(1 for _ in self._enabled_blueprints())
        added = len(self.blueprints._enabled) > own  # noqa: SLF001 - Faust's, nowhere shown
        return added or any(
            type(view).__module__.partition(".")[0] not in _OURS for view in self.views.values()
        )

    async def start_server(self) -> None:
        """Listen.

        Raises:
            SystemExit: the port is taken. Not an error for Faust to log with its frames: the
                message says it all, and the process ends with exit code 1.
        """
        try:
            await super().start_server()
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
            conf = self.app.conf
            why = "is in use by another process" if error.errno == errno.EADDRINUSE else "is not permitted"
            self.log.critical(
                "HTTP port %s:%s %s: choose another one with --web-port, or run --without-web",
                conf.web_bind,
                conf.web_port,
                why,
            )
            raise SystemExit(1) from error
