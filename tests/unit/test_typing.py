"""What a type checker knows of a topology: types flow from a source to its sinks, and wrong ones are told of.

mypy checks this module as it checks all others (`make check`): each `assert_type` is what it has found
out, and an `ignore` that nothing needs is an error. Run, it shows that all of it can be declared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

from pipeline import BufferConfig, KStream, KTable, avro, session, tumbling, until_window_closes
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.global_table import GlobalKTable
from pipeline.dsl.table import WindowedKTable
from pipeline.record import Windowed

_MINUTE = timedelta(minutes=1)
#: Avro's schema of `Log`.
_LOG = {
    "type": "record",
    "name": "Log",
    "fields": [{"name": "service", "type": "string"}, {"name": "size", "type": "long"}],
}


@dataclass
class Log:
    service: str
    size: int


@dataclass
class Owner:
    name: str
    team: str


def _size(key: str, log: Log, owner: Owner) -> int:
    return log.size + len(owner.name)


def _size_or_none(key: str, log: Log, owner: Owner | None) -> int:
    return log.size if owner is None else 0


def _none() -> int:
    return 0


def _add(key: str, log: Log, total: int) -> int:
    return total + log.size


def _merge(key: str, left: int, right: int) -> int:
    return left + right


def _of_owner(key: str, owner: Owner) -> str:
    return owner.team


def test_sources() -> None:
    builder = StreamsBuilder("shop")
    assert_type(builder.stream("a"), KStream[bytes, Any])
    assert_type(builder.stream("b", key=str, value=Log), KStream[str, Log])
    assert_type(builder.stream("c", value=dict[str, Any]), KStream[bytes, dict[str, Any]])
    assert_type(builder.stream("d", value=tuple[str, int]), KStream[bytes, tuple[str, int]])
    assert_type(builder.stream("h", value=avro("string")), KStream[bytes, Any])
    assert_type(builder.stream("i", value=avro(_LOG, type=Log)), KStream[bytes, Log])
    assert_type(builder.table("e", name="e", value=Owner), KTable[str, Owner])
    assert_type(builder.global_table("f", name="f", key=int, value=Owner), GlobalKTable[int, Owner])
    either: KStream[str, int | str] = builder.stream("g", key=str, value=int | str)
    assert_type(either.map_values(lambda key, value: 1), KStream[str, int])


def test_stateless_operators() -> None:
    logs = StreamsBuilder("shop").stream("logs", key=str, value=Log)
    assert_type(logs.filter(lambda key, log: log.size > 1), KStream[str, Log])
    assert_type(logs.map(lambda key, log: (log.size, log.service)), KStream[int, str])
    assert_type(logs.flat_map_values(lambda key, log: [log.size]), KStream[str, int])
    assert_type(logs.select_key(lambda key, log: log.size), KStream[int, Log])
    assert_type(logs.branch({"big": lambda key, log: log.size > 9}), dict[str, KStream[str, Log]])
    logs.filter(lambda key, log: log.length > 1)  # type: ignore[attr-defined]


def test_joins() -> None:
    builder = StreamsBuilder("shop")
    logs, owners = builder.stream("logs", key=str, value=Log), builder.stream("o", key=str, value=Owner)
    table = builder.table("t", name="t", value=Owner)
    everywhere = builder.global_table("g", name="g", value=Owner)
    assert_type(logs.join(owners, _size, within=_MINUTE, name="a"), KStream[str, int])
    assert_type(logs.left_join(owners, _size_or_none, within=_MINUTE, name="b"), KStream[str, int])
    assert_type(logs.join(table, _size), KStream[str, int])
    assert_type(logs.join(everywhere, _size, key_mapper=lambda key, log: log.service), KStream[str, int])
    assert_type(table.left_join(table, lambda key, left, right: left.name), KTable[str, str])
    assert_type(
        table.join(table, lambda key, left, right: 1, foreign_key=_of_owner, name="team", value=int),
        KTable[str, int],
    )
    # The right side may be missing; sides in the wrong order.
    logs.left_join(owners, _size, within=_MINUTE, name="c")  # type: ignore[arg-type]
    owners.join(logs, _size, within=_MINUTE, name="d")  # type: ignore[arg-type]


def test_tables() -> None:
    logs = StreamsBuilder("shop").stream("logs", key=str, value=Log)
    by_size = logs.group_by(lambda key, log: log.size, name="by-size", key=int)
    counts = by_size.count(name="counts")
    assert_type(counts, KTable[int, int])
    assert_type(counts.to_stream(), KStream[int, int])
    assert_type(counts.to_stream(lambda key, count: str(key)), KStream[str, int])
    totals = by_size.aggregate(lambda: 0, lambda key, log, total: total + log.size, name="t", value=int)
    assert_type(totals.map_values(lambda key, total: str(total)), KTable[int, str])
    assert_type(by_size.reduce(lambda so_far, log: None, name="r"), KTable[int, Log])
    again = counts.group_by(lambda key, count: (str(count), key), name="by-count", value=int)
    assert_type(again.count(name="again"), KTable[str, int])


def test_windows() -> None:
    logs = StreamsBuilder("shop").stream("logs", key=str, value=Log).group_by_key()
    minutes = logs.windowed_by(tumbling(_MINUTE, grace=_MINUTE)).count(name="minutes")
    assert_type(minutes.to_stream(), KStream[Windowed[str], int])
    final = minutes.suppress(until_window_closes(BufferConfig()), name="final")
    assert_type(final.to_stream(lambda window, count: window.key), KStream[str, int])
    visits = logs.windowed_by(session(_MINUTE, grace=_MINUTE))
    assert_type(visits.aggregate(_none, _add, _merge, name="visits", value=int), WindowedKTable[str, int])
