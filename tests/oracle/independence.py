"""What must not depend on how the work is cut, into partitions or by restarts, and for which cases.

**Restarts.** For every case: a worker that stops in order, is killed, or is killed and starts without its
state, after any input, changes nothing: the same outputs after each input, the same stores at the end. Two
things are no worker's to keep: the fields of a user's processor, and a store that was declared without a
changelog; cases have neither.

**Partitions.** A task knows the time of its own partitions only. So what is late, and when a window closes,
depends on the number of partitions, in Kafka Streams as here; a key's outputs and rows do not, if time is
the same everywhere. It is

* in cases whose records are *in order of time*: nothing is late. What waits for a window to close comes
  out when its own partition's time passes, so at another moment, but in the same order for each key; at
  the end, time is advanced everywhere (`advanced`).
* in cases whose records come in any order, if before each of them every partition of every topic gets a
  record of the same time (`driven`): every task then knows the time that a single one would.

Two things remain that depend on partitions by their nature, and are left out (`independent`): what follows
an operator that waits, or that makes of one record several of other keys, if it minds the order between keys
or judges by time; and bounds by the number of
records, which are a task's own. Where time is driven, nothing may keep the driving records from an
operator that judges by time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.oracle.cases import Case, Input, Node, Result, topics_of
from tests.oracle.shapes import shapes

#: One letter for each partition, with two partitions and with five.
_DRIVERS: Final = ("l", "b", "w", "g", "m")
#: The inputs' keys fall into one partition of two: others do not.
_APART: Final = str.maketrans({"b": "d", "c": "k"})
#: Later than anything that a case waits for.
_AGES: Final = 1_000_000

#: What may keep a record from what follows.
_SIEVES: Final = {"filter", "filter_not", "branch", "process"}
_SIEVING: Final = {"nullify", "if-odd", "none-if-odd", "picky", "fragile"}
#: After these, a value begins no longer with the letter that leads it to its partition.
_DISGUISES: Final = {
    "aggregate", "cogroup", "table_aggregate", "stream_join", "stream_table_join", "stream_global_join",
    "table_join", "foreign_key_join",
}  # fmt: skip
#: What makes of one record several, of several keys.
_SCATTERS: Final = {"table_aggregate", "foreign_key_join"}
#: What treats each record by itself and keeps its key: it may follow what waits.
_BY_ITSELF: Final = {
    "filter", "filter_not", "map_values", "flat_map_values", "peek", "branch", "to", "to_stream", "to_table",
}  # fmt: skip


def restartable(case: Case) -> Case:
    """Return a case with nothing in it that a restart may lose."""
    nodes = [node for node in case.nodes if node.get("fn") != "ticks"]
    kept = {node["id"] for node in nodes}
    nodes = [node for node in nodes if kept.issuperset(_above(node))]
    return case.with_nodes([_without(node, "logging") for node in nodes])


def independent(case: Case, *, driven: bool) -> Case | None:
    """Return a case that must not depend on its partitions; None if this one may.

    Args:
        case: any case; its keys are spread over partitions.
        driven: its records may be late, and their times are driven everywhere; else they are put in order.
    """
    nodes = [_unbounded(node) for node in case.nodes]
    if _depend(nodes) or not _keeps_order(nodes) or not _sees_time(nodes, driven=driven):
        return None
    inputs = [record for record in case.inputs if len(record) > 1]
    inputs = [[topic, _apart(key), _apart(value), time] for topic, key, value, time in inputs]
    if not driven:
        # What comes out together when time passes is one update for a cache: how much depends on time.
        nodes = [node | {"caching": False} if "caching" in node or _folds(node) else node for node in nodes]
        inputs.sort(key=lambda record: record[3])
        return case.with_nodes(nodes).with_inputs(inputs)
    driving = [one for record in inputs for one in [*_everywhere(case, record[3]), record]]
    return case.with_nodes(nodes).with_inputs(driving)


def advanced(case: Case) -> Case:
    """Return a case at whose end time is advanced everywhere, so that nothing waits any more."""
    latest = max((record[3] for record in case.inputs), default=0)
    ends = [one for age in (1, 2) for one in _everywhere(case, latest + age * _AGES)]
    return case.with_inputs([*case.inputs, *ends])


def by_key(result: Result) -> Mapping[Any, list[Any]]:
    """Return what came out, by topic and key, in its order; what has no key has no place, and no order."""
    found: dict[Any, list[Any]] = defaultdict(list)
    for _, output in result.records():
        found[output.topic, output.key].append((output.value, output.timestamp))
    return {at: values if at[1] is not None else sorted(values, key=str) for at, values in found.items()}


def undriven(result: Result) -> Result:
    """Return a result without the keys that drive time: theirs come while it has not come to all."""
    letters = tuple(key.encode() for key in _DRIVERS)
    return Result(
        [[one for one in outputs if not (one.key or b"").startswith(letters)] for outputs in result.outputs],
        {
            name: [row for row in rows if not row[0].startswith(_DRIVERS)]
            for name, rows in result.stores.items()
        },
        result.error,
    )


def _everywhere(case: Case, time: int) -> list[Input]:
    """Return a record of one time for every partition of every topic."""
    return [[topic, key, f"{key}{time}", time] for topic in case.sources() for key in _DRIVERS]


def _apart(text: str | None) -> str | None:
    return None if text is None else text.translate(_APART)


def _without(node: Node, *fields: str) -> Node:
    return {name: value for name, value in node.items() if name not in fields}


def _unbounded(node: Node) -> Node:
    """Return a node without bounds by number, and whose history hides nothing."""
    node = _without(node, "retention", "logging")
    if "history" in node:
        node["history"] = 10 * _AGES
    return node


def _depend(nodes: Sequence[Node]) -> bool:
    """Whether a node by itself depends on partitions: timers, bounds, a store by a key that is not theirs."""
    known = shapes(nodes)
    return any(
        node.get("fn") == "ticks"
        or bool(node.get("buffer"))
        or "timestamp" in node
        or (node["op"] == "process" and known[node["of"][0]].rekeyed)
        for node in nodes
    )


def _waits(node: Node) -> bool:
    """Whether what comes out of a node has waited for time to pass, or carries an earlier time than now."""
    if node["op"] == "stream_join":
        return bool(node["kind"] != "inner")
    if node["op"] == "stream_table_join":
        return "grace" in node
    session = node.get("windows", {}).get("kind") == "session"
    return node["op"] == "suppress" or node.get("emit") == "close" or session


def _folds(node: Node) -> bool:
    stored = node["op"] in {"aggregate", "to_table", "table_aggregate"} or node.get("materialized")
    return bool(stored) and "history" not in node


def _judges(node: Node) -> bool:
    """Whether a node judges records by the time that its task has reached."""
    return _waits(node) or node["op"] == "stream_join" or "windows" in node or "history" in node


def waiting(nodes: Sequence[Node]) -> set[str]:
    """Return the nodes whose rows may still be on their way while something waits."""
    found: set[str] = set()
    for node in nodes:
        if _waits(node) or found.intersection(_above(node)):
            found.add(node["id"])
    return found


def _keeps_order(nodes: Sequence[Node]) -> bool:
    """Whether nothing minds the order between keys of what waited, or of what one record did to several."""
    unordered: set[str] = set()
    known = shapes(nodes)
    for node in nodes:
        if unordered.intersection(_above(node)):
            alone = node["op"] in _BY_ITSELF or (node["op"] == "aggregate" and "windows" not in node)
            rekeys = "by" in node or (node["op"] == "to_stream" and "fn" in node)
            rekeyed = any(known[parent].rekeyed for parent in node.get("of", ()))
            if not alone or "history" in node or rekeys or rekeyed:
                return False
            unordered.add(node["id"])
        elif _waits(node) or node["op"] in _SCATTERS:
            unordered.add(node["id"])
    return True


def _above(node: Node) -> list[str]:
    return [parent.partition(".")[0] for parent in node.get("of", ())]


def _sees_time(nodes: Sequence[Node], *, driven: bool) -> bool:
    """Whether every record that drives time reaches every node that must know it, in every partition.

    Where time is in order, only nodes that wait must: by records that are there at the end.
    """
    sieved: set[str] = set()
    disguised: set[str] = set()
    for node in nodes:
        above, functions = set(_above(node)), _functions(node)
        gathered = bool(above & disguised) and "first" in functions
        behind = bool(above & sieved) or node.get("by") in _SIEVING or gathered
        limited = node["op"] == "suppress" and node["until"] == "time"
        if behind and (_judges(node) if driven else _waits(node)):
            return False
        # An update that comes before the limit has passed replaces the one that waits; and of the rows of an
        # outer join that wait for different times, those come first that are due first, if time stops there.
        if not driven and (limited or (node["op"] == "stream_join" and node["before"] != node["after"])):
            return False
        if behind or node["op"] in _SIEVES or _SIEVING & functions:
            sieved.add(node["id"])
        if above & disguised or "upper" in functions or node["op"] in _DISGUISES:
            disguised.add(node["id"])
    return not driven or not any(len(topics_of(node)) > 1 for node in nodes)


def _functions(node: Node) -> set[str]:
    return {str(node.get("fn")), str(node.get("by")), *map(str, node.get("fns", ()))}
