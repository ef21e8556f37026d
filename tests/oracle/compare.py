"""Whether two results are the same: every output by key in its order, headers too, every store at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tests.oracle.cases import Case, Output, Result, Row, written_by
from tests.oracle.headrace import stores
from tests.oracle.shapes import Shape, readable, readable_value, shapes


def difference(case: Case, ours: Result, theirs: Result) -> str | None:
    """Return the first difference between two results of a case, for reading; None if there is none."""
    if (ours.error is None) != (theirs.error is None):
        return f"error: {ours.error or 'none'}\n  Kafka Streams: {theirs.error or 'none'}"
    if len(ours.outputs) != len(theirs.outputs):
        return (
            f"fails at input {len(ours.outputs)}: {ours.error}\n"
            f"  Kafka Streams at input {len(theirs.outputs)}: {theirs.error}"
        )
    for number, (our_records, their_records) in enumerate(zip(ours.outputs, theirs.outputs, strict=True)):
        headers = not _loses_headers(case)
        if _by_key(our_records, headers=headers) != _by_key(their_records, headers=headers):
            return (
                f"after input {number}, {case.inputs[number]}:\n"
                f"  Headrace:      {shown(case, our_records)}\n"
                f"  Kafka Streams: {shown(case, their_records)}"
            )
    if ours.error is None:
        return store_difference(case, ours.stores, theirs.stores)
    return None


def _by_key(records: Iterable[Output], *, headers: bool) -> Mapping[tuple[str, bytes | None], list[Output]]:
    found: dict[tuple[str, bytes | None], list[Output]] = defaultdict(list)
    for record in records:
        found[record.topic, record.key].append(record if headers else record._replace(headers=""))
    return found


def _loses_headers(case: Case) -> bool:
    """Whether Kafka Streams drops headers: where a session is updated without a cache."""
    return any(
        node.get("windows", {}).get("kind") == "session" and not node.get("caching", True)
        for node in case.nodes
    )


def shown(case: Case, records: Iterable[Output]) -> str:
    """Return output records for reading: `topic key:value@timestamp (headers)`."""
    sinks = _sink_shapes(case)
    return "; ".join(
        f"{record.topic} {readable(sinks[record.topic].key, record.key)}:"
        f"{readable_value(sinks[record.topic].value, record.value)}@{record.timestamp} ({record.headers})"
        for record in records
    )


def _sink_shapes(case: Case) -> dict[str, Shape]:
    known = shapes(case.nodes)
    sinks = [node for node in case.nodes if node["op"] == "to"]
    return {topic: known[sink["of"][0]] for sink in sinks for topic in written_by(sink)}


def store_difference(
    case: Case, ours: Mapping[str, Sequence[Row]], theirs: Mapping[str, Sequence[Row]]
) -> str | None:
    """Return the first difference between two sides' stores, for reading; None if there is none."""
    for name, kind in stores(case).items():
        if name not in ours or name not in theirs:
            continue
        both = [*ours[name], *theirs[name]]
        our_rows, their_rows = (_visible(case, name, kind, rows[name], both) for rows in (ours, theirs))
        if our_rows != their_rows:
            return (
                f"store {name} ({kind}) at the end:\n"
                f"  Headrace only:      {sorted(our_rows - their_rows, key=str)}\n"
                f"  Kafka Streams only: {sorted(their_rows - our_rows, key=str)}"
            )
    return None


def _visible(case: Case, name: str, kind: str, rows: Sequence[Row], both: Sequence[Row]) -> set[Row]:
    """Return the rows that both sides must show: within the retention that the case's windows have.

    Where Kafka Streams is given a longer retention, so that it hides nothing, it holds more; and so do
    tasks whose time is not that of all. Of a time window the end is left out: it is not stored.
    """
    if kind not in {"window", "session"}:
        return set(rows)
    node = next(node for node in case.nodes if node["id"] == name)
    place = 1 if kind == "window" else 2
    horizon = _newest(case, (row[place] for row in both)) - _retention(node)
    visible = {row for row in rows if row[place] > horizon}
    return {(row[0], row[1], *row[-2:]) for row in visible} if kind == "window" else visible


def _newest(case: Case, times: Iterable[int]) -> int:
    """Return the largest time that may have been put into a store.

    Where aggregates become null it need not be that of a row that is there.
    """
    deletes = any("fragile" in {node.get("fn"), *node.get("fns", ())} for node in case.nodes)
    put = (record[3] for record in case.inputs if len(record) > 1) if deletes else ()
    return max((*times, *put), default=0)


def _retention(node: dict[str, object]) -> int:
    """Return what Kafka Streams' default is (rule a2.6), or what the case asks for."""
    windows = node["windows"]
    assert isinstance(windows, dict)
    if "retention" in node:
        assert isinstance(node["retention"], int)
        return node["retention"]
    match windows["kind"]:
        case "session":
            least = windows["gap"] + windows["grace"]
        case "sliding":
            least = 2 * windows["difference"] + windows["grace"]
        case "unlimited":
            least = 2**63
        case _:
            least = windows["size"] + windows["grace"]
    return int(least)
