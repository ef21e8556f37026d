"""What of Faust's API has no meaning here: each name says what to use instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

from pipeline.errors import TopologyError

_STREAM: Final = "declare a stream with app.stream(topic) and chain operators, or .process(...), on it"
_CLIENT: Final = (
    "send with topic.send(...) and ask with agent.ask(...) as they are: no client has to be started"
)
_EVENTS: Final = "events come from topics alone: write with topic.send(...)"
_COMMIT: Final = "the engine commits: see App(commit_interval=)"
_REBALANCE: Final = (
    "nobody calls it: @table.on_recover hears when a part of a table is here, GET /ready tells the rest"
)
_PRODUCED: Final = "nobody calls it: look at what is sent where it is sent"
_HTTP: Final = "query a table by its name: GET /stores/<name>/keys/<key>"


def _unavailable(what: str, instead: str) -> Callable[..., NoReturn]:
    def refuse(_app: object, *_args: object, **_kwargs: object) -> NoReturn:
        raise TopologyError(f"app.{what} is not available in this release: {instead}")

    refuse.__name__ = what
    refuse.__doc__ = f"Not available in this release: {instead}."
    return refuse


class _Silent:
    """A signal of Faust's that nobody sends: who wants to hear it is told so.

    Args:
        signal: Faust's, which its consumer and producer hold.
        name: what it is called.
        instead: what to do.
    """

    def __init__(self, signal: Any, name: str, instead: str) -> None:
        self.send = signal.send
        self.connect = _unavailable(f"{name}.connect", instead).__get__(self)


#: Signals of Faust's own consumer and producer.
SILENT: Final = {
    "on_partitions_assigned": _REBALANCE,
    "on_partitions_revoked": _REBALANCE,
    "on_rebalance_complete": _REBALANCE,
    "on_produce_message": _PRODUCED,
}


class Refusals:
    """Faust's own data plane, refused.

    Declared there, records would travel apart from the topology, without its state, its commits and
    its order.
    """

    topic_route: Any = _unavailable("topic_route", _HTTP)
    LiveCheck: Any = _unavailable("LiveCheck", _STREAM)
    commit: Any = _unavailable("commit", _COMMIT)
    create_event: Any = _unavailable("create_event", _EVENTS)
    start_client: Any = _unavailable("start_client", _CLIENT)
    maybe_start_client: Any = _unavailable("maybe_start_client", _CLIENT)

    def _init_signals(self) -> None:
        super()._init_signals()  # type: ignore[misc]  # Faust's
        for name, instead in SILENT.items():
            setattr(self, name, _Silent(getattr(self, name), name, instead))
