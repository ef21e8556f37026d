"""`app.table_route`: a request is answered by the worker that has the key."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from faust.web.base import Request, Response
from faust.web.views import View

from pipeline.actors.duties import Duties
from pipeline.actors.models import AnyKeySerde
from pipeline.actors.table import Table
from pipeline.actors.window_table import WindowedTable
from pipeline.clock import SystemClock
from pipeline.errors import BrokerUnreachableError, TopologyError
from pipeline.runtime.queries import ElsewhereError, NotReadyError, Queries
from pipeline.topology import declaration_site
from pipeline.web.owners import Owners
from pipeline.web.parameters import parse_key
from pipeline.web.view import HttpError

Handler: TypeAlias = Callable[..., Awaitable[Response]]

#: Says that a worker asks: it does not ask a third.
FORWARDED: Final = "X-Headrace-Forwarded"
_RETRY_S: Final = 1
#: Of the connection, not of the answer.
_OWN_HEADERS: Final = frozenset(
    {"Content-Length", "Content-Encoding", "Transfer-Encoding", "Connection", "Date", "Server"}
)


class Routes(Duties):
    """Part of `App`: requests that belong to another worker go there."""

    _owners: Owners | None = None

    def table_route(
        self,
        table: Table[Any, Any] | WindowedTable,
        *,
        match_info: str | None = None,
        query_param: str | None = None,
        exact_key: Any = None,
    ) -> Callable[[Handler], Handler]:
        """Have a view answered by the worker that has a key of a table: a decorator, under `@app.page`.

        Which worker has it follows from the key's bytes as they are in the topics, and from who is in the
        group. A key that was put under an event with another key is found where that event was only.

        Args:
            table: the table.
            match_info: the part of the path that has the key.
            query_param: or the parameter that has it.
            exact_key: or the key.

        Raises:
            TopologyError: none of them is given, or several.
        """
        given = [each for each in (match_info, query_param, exact_key) if each is not None]
        if len(given) != 1:
            raise TopologyError(
                f"table_route at {declaration_site()} needs one of match_info=, query_param=, exact_key="
            )
        routed = table.table if isinstance(table, WindowedTable) else table

        def decorated(handler: Handler) -> Handler:
            @functools.wraps(handler)
            async def get(view: View, request: Any, *args: Any, **kwargs: Any) -> Response:
                url = await self._elsewhere(routed, _key(routed, request, match_info, query_param, exact_key))
                if url is None:
                    return await handler(view, request, *args, **kwargs)
                if FORWARDED in request.headers:
                    raise _unavailable("the key's partition is on its way to another worker")
                return await self._forward(view, request, url)

            return get

        return decorated

    async def _elsewhere(self, table: Table[Any, Any], key: Any) -> str | None:
        """Return where the worker is that has a key; None if it is this one.

        Raises:
            HttpError: 503, nobody has it now.
        """
        try:
            Queries(self.store_registry).check_here(table.spec, key)
        except NotReadyError as error:
            raise _unavailable(str(error)) from error
        except ElsewhereError as error:
            try:
                url = await asyncio.to_thread(self._where, table.name, error.partition)
            except BrokerUnreachableError as away:
                raise _unavailable(str(away)) from away
            if url is None:
                raise _unavailable(f"{error}, and the broker shows nobody who does") from error
            return url
        return None

    def _where(self, store: str, partition: int) -> str | None:
        if self._owners is None:
            self._owners = Owners(
                self.builder.application_id,
                self.engine.plan,
                self.make_broker().admin(),
                SystemClock(),
            )
        return self._owners.url(store, partition)

    async def _forward(self, view: View, request: Any, url: str) -> Response:
        headers = {**request.headers, FORWARDED: "1"}
        headers.pop("Host", None)
        client = self.http_client
        try:
            async with client.request(
                request.method,
                f"{url.rstrip('/')}{request.raw_path}",
                headers=headers,
                data=await request.read(),
                allow_redirects=False,
            ) as answer:
                body = await answer.read()
                passed = {k: v for k, v in answer.headers.items() if k not in _OWN_HEADERS}
                return view.bytes(body, status=answer.status, headers=passed)
        except OSError as error:
            raise _unavailable(f"the worker at {url}, which has the key, does not answer: {error}") from error

    def close_clients(self) -> None:
        """Close what was asked and written with."""
        super().close_clients()
        owners, self._owners = self._owners, None
        if owners is not None:
            owners.close()


def _key(
    table: Table[Any, Any], request: Request, match_info: str | None, query_param: str | None, exact: Any
) -> Any:
    if exact is not None:
        return exact
    name = match_info or query_param or ""
    values: Any = request.match_info if match_info is not None else request.query
    if name not in values:
        raise HttpError(HTTPStatus.BAD_REQUEST, f"{name}: it names the key of table {table.name!r}")
    text = values[name]
    return text if isinstance(table.spec.key, AnyKeySerde) else parse_key(name, text, table.spec.key)


def _unavailable(why: str) -> HttpError:
    return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, why, retry_after_s=_RETRY_S)
