"""From the nodes of a case to our DSL; `java/Declarations.java` says the same in Kafka Streams'."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pipeline
from pipeline.dsl.builder import StreamsBuilder
from pipeline.topology import Topology
from tests.oracle import functions
from tests.oracle.cases import Case, Node, written_by
from tests.oracle.processors import EXTRACTORS, process

#: Operators take what fits the flow they are called on, which a case does not tell the type checker.
_DSL: Final[Any] = pipeline
_STORE_OPTIONS: Final = ("caching", "logging")
_STORE_DURATIONS: Final = ("retention", "history")


def declare(case: Case) -> Topology:
    """Return the case's topology, as application `oracle`."""
    builder = StreamsBuilder("oracle")
    flows: dict[str, Any] = {}
    for node in case.nodes:
        inputs = [flows[parent] for parent in node.get("of", ())]
        made = _DECLARE[node["op"]](builder, node, inputs)
        if node["op"] == "branch":
            flows |= {f"{node['id']}.{arm}": stream for arm, stream in made.items()}
        else:
            flows[node["id"]] = made
    return builder.build()


def _ms(node: Node, field: str) -> timedelta:
    return timedelta(milliseconds=node[field])


def _options(node: Node) -> dict[str, Any]:
    options = {option: node[option] for option in _STORE_OPTIONS if option in node}
    return options | {option: _ms(node, option) for option in _STORE_DURATIONS if option in node}


def _optional_store(node: Node) -> dict[str, Any]:
    """Return name and options of a table that may be a view."""
    return {"name": node["id"], **_options(node)} if node.get("materialized") else {}


# Sources and sinks.


def _stream(builder: Any, node: Node, _inputs: list[Any]) -> Any:
    options: dict[str, Any] = {}
    if "timestamp" in node:
        options["timestamp"] = EXTRACTORS[node["timestamp"]]
    return builder.stream(node["topics"], key=str, value=str, **options)


def _table(builder: Any, node: Node, _inputs: list[Any]) -> Any:
    return builder.table(node["topic"], name=node["id"], key=str, value=str, **_options(node))


def _global_table(builder: Any, node: Node, _inputs: list[Any]) -> Any:
    return builder.global_table(node["topic"], name=node["id"], key=str, value=str)


def _to(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    if "by" not in node:
        return inputs[0].to(node["topic"])
    predicate, (yes, no) = functions.PREDICATES[node["by"]], written_by(node)
    return inputs[0].to(lambda key, value: yes if predicate(key, value) else no)


# Without state.


def _filter(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    store = _optional_store(node) if _is_table(inputs[0]) else {}
    return getattr(inputs[0], node["op"])(functions.PREDICATES[node["fn"]], **store)


def _map_values(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    store = _optional_store(node) if _is_table(inputs[0]) else {}
    return inputs[0].map_values(functions.MAPPERS[node["fn"]], value=str, **store)


def _flat_map_values(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    return inputs[0].flat_map_values(functions.FLAT_MAPPERS[node["fn"]], value=str)


def _map(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    return inputs[0].map(functions.pair_mapper(node["fn"]), key=str, value=str)


def _flat_map(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    return inputs[0].flat_map(functions.flat_pair_mapper(node["fn"]), key=str, value=str)


def _select_key(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    return inputs[0].select_key(functions.SELECTORS[node["fn"]], key=str)


def _peek(_builder: Any, _node: Node, inputs: list[Any]) -> Any:
    return inputs[0].peek(lambda key, value: None)


def _branch(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    predicates = {str(arm): functions.PREDICATES[name] for arm, name in enumerate(node["predicates"])}
    return inputs[0].branch(predicates, default=str(len(predicates)) if node.get("default") else None)


def _merge(_builder: Any, _node: Node, inputs: list[Any]) -> Any:
    return inputs[0].merge(*inputs[1:])


def _process(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    return process(node, inputs[0])


def _repartition(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    return inputs[0].repartition(name=node["id"])


# Aggregates.


def _windows(windows: Node) -> Any:
    match windows["kind"]:
        case "tumbling":
            return _DSL.tumbling(_ms(windows, "size"), grace=_ms(windows, "grace"))
        case "hopping":
            hop = {"advance": _ms(windows, "advance"), "grace": _ms(windows, "grace")}
            return _DSL.hopping(_ms(windows, "size"), **hop)
        case "sliding":
            return _DSL.sliding(_ms(windows, "difference"), grace=_ms(windows, "grace"))
        case "session":
            return _DSL.session(_ms(windows, "gap"), grace=_ms(windows, "grace"))
        case _:
            return _DSL.unlimited(start=datetime.fromtimestamp(0, UTC) + _ms(windows, "start"))


def _grouped(node: Node, stream: Any, name: str) -> Any:
    if "by" in node:
        return stream.group_by(functions.SELECTORS[node["by"]], name=name, key=str)
    return stream.group_by_key(name=name)


def _aggregate(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    grouped = _grouped(node, inputs[0], f"{node['id']}-by")
    if "windows" in node:
        grouped = grouped.windowed_by(_windows(node["windows"]))
    if node.get("emit") == "close":
        grouped = grouped.emit_strategy(_DSL.EmitStrategy.ON_WINDOW_CLOSE)
    options = {"name": node["id"], **_options(node)}
    if node["fold"] == "count":
        return grouped.count(**options)
    if node["fold"] == "reduce":
        return grouped.reduce(functions.REDUCERS[node["fn"]], **options)
    mergers = [functions.merger] if node.get("windows", {}).get("kind") == "session" else []
    aggregator = functions.aggregator(node["fn"])
    return grouped.aggregate(lambda: functions.INITIAL, aggregator, *mergers, value=str, **options)


def _cogroup(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    groups = [_grouped(node, stream, f"{node['id']}-by-{n}") for n, stream in enumerate(inputs)]
    cogrouped = groups[0].cogroup(functions.aggregator(node["fns"][0]))
    for group, name in zip(groups[1:], node["fns"][1:], strict=True):
        cogrouped = cogrouped.cogroup(group, functions.aggregator(name))
    if "windows" in node:
        cogrouped = cogrouped.windowed_by(_windows(node["windows"]))
    mergers = [functions.merger] if node.get("windows", {}).get("kind") == "session" else []
    return cogrouped.aggregate(
        lambda: functions.INITIAL, *mergers, name=node["id"], value=str, **_options(node)
    )


def _table_aggregate(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    select = functions.SELECTORS[node["by"]]
    grouped = inputs[0].group_by(
        lambda key, value: (select(key, value), value), name=f"{node['id']}-by", key=str
    )
    options = {"name": node["id"], **_options(node)}
    if node["fold"] == "count":
        return grouped.count(**options)
    if node["fold"] == "reduce":
        return grouped.reduce(functions.REDUCERS[node["fn"]], functions.REDUCERS["minus"], **options)
    return grouped.aggregate(
        lambda: functions.INITIAL,
        functions.aggregator(node["fn"]),
        functions.aggregator("minus"),
        value=str,
        **options,
    )


# Joins.


def _stream_join(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    return _kind(node, inputs[0])(
        inputs[1],
        functions.JOINERS[node["fn"]],
        within=(_ms(node, "before"), _ms(node, "after")),
        grace=_ms(node, "grace"),
        name=node["id"],
        value=str,
    )


def _stream_table_join(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    grace = {"grace": _ms(node, "grace")} if "grace" in node else {}
    return _kind(node, inputs[0])(
        inputs[1], functions.JOINERS[node["fn"]], name=node["id"], value=str, **grace
    )


def _stream_global_join(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    key_mapper = functions.SELECTORS[node["by"]]
    return _kind(node, inputs[0])(inputs[1], functions.JOINERS[node["fn"]], key_mapper=key_mapper, value=str)


def _table_join(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    return _kind(node, inputs[0])(
        inputs[1], functions.JOINERS[node["fn"]], value=str, **_optional_store(node)
    )


def _foreign_key_join(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    return _kind(node, inputs[0])(
        inputs[1],
        functions.JOINERS[node["fn"]],
        foreign_key=functions.SELECTORS[node["by"]],
        name=node["id"],
        value=str,
        **_options(node),
    )


def _kind(node: Node, left: Any) -> Any:
    return {"inner": left.join, "left": left.left_join}.get(node["kind"]) or left.outer_join


# Tables.


def _to_table(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    return inputs[0].to_table(name=node["id"], **_options(node))


def _to_stream(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    if "fn" in node:
        return inputs[0].to_stream(functions.SELECTORS[node["fn"]], key=str)
    return inputs[0].to_stream()


def _suppress(_builder: Any, node: Node, inputs: list[Any]) -> Any:
    bounds = node["buffer"]
    buffer = _DSL.BufferConfig(
        max_records=bounds.get("records"),
        max_bytes=bounds.get("bytes"),
        when_full="shut-down" if bounds.get("shut_down") or not bounds else "emit-early",
    )
    if node["until"] == "time":
        return inputs[0].suppress(_DSL.until_time_limit(_ms(node, "limit"), buffer), name=node["id"])
    return inputs[0].suppress(_DSL.until_window_closes(buffer), name=node["id"])


def _is_table(flow: Any) -> bool:
    return hasattr(flow, "to_stream")


_DECLARE: Final = {
    "stream": _stream,
    "table": _table,
    "global_table": _global_table,
    "to": _to,
    "filter": _filter,
    "filter_not": _filter,
    "map_values": _map_values,
    "flat_map_values": _flat_map_values,
    "map": _map,
    "flat_map": _flat_map,
    "select_key": _select_key,
    "peek": _peek,
    "branch": _branch,
    "merge": _merge,
    "process": _process,
    "repartition": _repartition,
    "aggregate": _aggregate,
    "cogroup": _cogroup,
    "table_aggregate": _table_aggregate,
    "stream_join": _stream_join,
    "stream_table_join": _stream_table_join,
    "stream_global_join": _stream_global_join,
    "table_join": _table_join,
    "foreign_key_join": _foreign_key_join,
    "to_table": _to_table,
    "to_stream": _to_stream,
    "suppress": _suppress,
}
