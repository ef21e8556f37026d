"""What of Faust's API has no meaning here: each name says what to use instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

from pipeline.errors import TopologyError

_STREAM: Final = "declare a stream with app.stream(topic) and chain operators, or .process(...), on it"
_TABLE: Final = (
    "declare a table with app.table(topic, name=...), or aggregate a stream: .group_by(...).count(name=...)"
)
_SINK: Final = "write with .to(topic) at the end of a stream"
_HTTP: Final = "query a table by its name: GET /stores/<name>/keys/<key>"


def _unavailable(what: str, instead: str) -> Callable[..., NoReturn]:
    def refuse(_app: object, *_args: object, **_kwargs: object) -> NoReturn:
        raise TopologyError(f"app.{what} is not available in this release: {instead}")

    refuse.__name__ = what
    refuse.__doc__ = f"Not available in this release: {instead}."
    return refuse


class Refusals:
    """Faust's own data plane, refused.

    Declared there, records would travel apart from the topology, without its state, its commits and
    its order.
    """

    channel: Any = _unavailable("channel", _STREAM)
    SetTable: Any = _unavailable("SetTable", _TABLE)
    GlobalTable: Any = _unavailable("GlobalTable", _TABLE)
    SetGlobalTable: Any = _unavailable("SetGlobalTable", _TABLE)
    send: Any = _unavailable("send", _SINK)
    topic_route: Any = _unavailable("topic_route", _HTTP)
    LiveCheck: Any = _unavailable("LiveCheck", _STREAM)
