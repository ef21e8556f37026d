"""Parameters of Faust's declarations: which ask for what is so anyway, and what to use in place of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeline.actors.agent import Agent
from pipeline.actors.channel import Channel
from pipeline.actors.models import type_of
from pipeline.actors.topic import Topic
from pipeline.errors import TopologyError
from pipeline.topology import declaration_site

_TABLES: Final = ("Table", "SetTable", "GlobalTable", "SetGlobalTable")
_ANYWAY_OF_TABLES: Final = {
    "store": "state is in RocksDB",
    "recovery_buffer_size": "the engine restores, `restore_records` at once",
    "standby_buffer_size": "likewise",
    "synchronize_all_active_partitions": "a global table is whole before anything is processed",
}
#: By declaration: parameters that ask for what is so anyway, and what is.
ANYWAY: Final[Mapping[str, Mapping[str, str]]] = {
    "topic": {
        "acks": "every record is acknowledged",
        "allow_empty": "a record without a value is an event, too: its value is None",
        "internal": "a topic with `partitions=` is made unless it exists",
        "loop": "the engine has its own",
        "maxsize": "what waits is bounded: `buffered_records`",
    },
    "agent": {
        "isolated_partitions": "every partition has an instance of its own",
        "use_reply_headers": "questions are asked by headers",
    },
    "channel": {"loop": "any event loop of the process may use it"},
    "Table": {**_ANYWAY_OF_TABLES, "partitions": "it has those of its agents' topics"},
    "SetTable": {**_ANYWAY_OF_TABLES, "partitions": "it has those of its agents' topics"},
    "GlobalTable": _ANYWAY_OF_TABLES,
    "SetGlobalTable": _ANYWAY_OF_TABLES,
}

_SCHEMA: Final = {"schema": "say what is in it: key_type=, value_type="}
_RAISES: Final = "App(on_processing_error=) says what becomes of a record on which an agent fails"
_INSTEAD_OF_TABLES: Final = {
    **_SCHEMA,
    "changelog_topic": "the changelog is made and checked: `faust describe` names it",
    "extra_topic_configs": "alter the changelog with kafka-configs.sh: it is checked at each start",
    "is_global": "declare app.GlobalTable(...)",
    "on_changelog_event": "on_recover= hears when a part is here; do the rest where it is changed",
    "options": "App(block_cache_bytes=, write_buffer_bytes=, ...) sets RocksDB up",
    "recover_callbacks": "give one to on_recover=, and others to @table.on_recover",
    "use_partitioner": "take events by that key: stream.group_by(...); or declare app.GlobalTable(...)",
}
_INSTEAD_OF_SETS: Final = {
    **_INSTEAD_OF_TABLES,
    "start_manager": "change sets in an agent, and send to that",
}
#: By declaration: what to use in place of a parameter.
INSTEAD: Final[Mapping[str, Mapping[str, str]]] = {
    "topic": {**_SCHEMA, "has_prefix": "write the name as it is: no prefix is put before it"},
    "agent": {**_SCHEMA, "on_error": _RAISES, "supervisor_strategy": _RAISES},
    "channel": {"schema": "values stay as they are"},
    "Table": _INSTEAD_OF_TABLES,
    "SetTable": _INSTEAD_OF_SETS,
    "GlobalTable": _INSTEAD_OF_TABLES,
    "SetGlobalTable": _INSTEAD_OF_SETS,
}


def known_parameters(declaration: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `pipeline.App` takes of Faust's parameters.

    Args:
        declaration: `Table` of `app.Table(...)`, and so on.
        given: the parameters by name.

    Raises:
        TopologyError: one of them has no meaning here.
    """
    anyway, instead, taken = ANYWAY[declaration], INSTEAD[declaration], {}
    for name, value in given.items():
        if name in instead and value:
            raise TopologyError(
                f"app.{declaration} at {declaration_site()}: {name}= is not available: {instead[name]}"
            )
        if name not in anyway and name not in instead:
            taken[name] = value
    if declaration in _TABLES:
        for kind in ("key", "value"):
            if (serializer := taken.pop(f"{kind}_serializer", None)) is not None:
                taken[f"{kind}_type"] = type_of(taken.get(f"{kind}_type"), serializer)
    return taken


class FaustParameters:
    """Part of `pipeline.faust.App`: declarations that take Faust's parameters, too."""

    def topic(self, *topics: str, **parameters: Any) -> Topic:
        """Declare a topic; see `pipeline.App.topic`."""
        return super().topic(*topics, **known_parameters("topic", parameters))  # type: ignore[misc,no-any-return]

    def agent(self, channel: Any = None, **parameters: Any) -> Callable[[Callable[[Any], Any]], Agent]:
        """Declare a coroutine as an agent; see `pipeline.App.agent`."""
        return super().agent(channel, **known_parameters("agent", parameters))  # type: ignore[misc,no-any-return]

    actor = agent

    def channel(self, **parameters: Any) -> Channel:
        """Make a channel; see `pipeline.App.channel`."""
        return super().channel(**known_parameters("channel", parameters))  # type: ignore[misc,no-any-return]

    def Table(self, name: str, *, window: Any = None, **parameters: Any) -> Any:  # noqa: N802
        """Declare a table, or one with windows; see `pipeline.App.Table` and `Table.using_window`."""
        return _windowed(super().Table(name, **known_parameters("Table", parameters)), window)  # type: ignore[misc]

    def SetTable(self, name: str, *, window: Any = None, **parameters: Any) -> Any:  # noqa: N802
        """Declare a table of sets; see `pipeline.App.SetTable`."""
        return _windowed(super().SetTable(name, **known_parameters("SetTable", parameters)), window)  # type: ignore[misc]

    def GlobalTable(self, name: str, *, window: Any = None, **parameters: Any) -> Any:  # noqa: N802
        """Declare a global table; see `pipeline.App.GlobalTable`."""
        return _windowed(super().GlobalTable(name, **known_parameters("GlobalTable", parameters)), window)  # type: ignore[misc]

    def SetGlobalTable(self, name: str, *, window: Any = None, **parameters: Any) -> Any:  # noqa: N802
        """Declare a global table of sets; see `pipeline.App.SetGlobalTable`."""
        table = super().SetGlobalTable(name, **known_parameters("SetGlobalTable", parameters))  # type: ignore[misc]
        return _windowed(table, window)

    def table_route(self, table: Any, shard_param: str | None = None, **parameters: Any) -> Any:
        """Have a view answered by the worker that has a key; see `pipeline.App.table_route`."""
        if shard_param is not None:
            parameters["query_param"] = shard_param
        return super().table_route(table, **parameters)  # type: ignore[misc]


def _windowed(table: Any, window: Any) -> Any:
    return table if window is None else table.using_window(window)
