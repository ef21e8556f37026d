"""What cannot run fails when it is declared or when the worker starts, with one message that names
the operator, the line of the user's module, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest

from pipeline import (
    Processor,
    Record,
    SessionWindowedStore,
    Store,
    TopologyError,
    WindowedStore,
    tumbling,
    unlimited,
)
from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.planner import Plan, plan

#: Where the operator that a message is about was declared.
HERE = f"{Path(__file__).relative_to(Path.cwd())}:"
SECOND = timedelta(seconds=1)
PER_SECOND = tumbling(SECOND, grace=timedelta(0))


Declare: TypeAlias = Callable[[Any], object]


class Nothing:
    """A class that no serde is known for."""


class Silent(Processor[Any, Any, Any, Any]):
    def process(self, record: Record[Any, Any]) -> None:
        pass


class Asking(Silent):
    """Asks for a store that it was not declared with."""

    def init(self, context: Any) -> None:
        context.store("mine")


def text(builder: StreamsBuilder, topic: str = "in") -> Any:
    """Any: what is called with the wrong types is to be called all the same."""
    return builder.stream(topic, key=str, value=str)


def rekeyed(builder: StreamsBuilder) -> Any:
    return text(builder).select_key(lambda key, _: key, key=str)


def yielding(*arguments: Any) -> Any:
    yield arguments[1]


def pair(*arguments: Any) -> Any:
    return arguments[1]


def table(builder: StreamsBuilder, name: str = "table") -> Any:
    return builder.table("R", name=name, value=str)


def two_joins(builder: StreamsBuilder) -> None:
    for _ in range(2):
        text(builder).join(text(builder, "other"), pair, within=SECOND, name="j")


def shared_name(builder: StreamsBuilder) -> None:
    stream = rekeyed(builder)
    stream.group_by_key(name="g", value=str).count(name="a")
    stream.group_by_key(name="g", value=bytes).count(name="b")


def unwindowed_join_of_a_windowed_table(builder: StreamsBuilder) -> None:
    counts = text(builder).group_by_key().windowed_by(PER_SECOND).count(name="t")
    text(builder).join(counts, pair)


#: Fails when it is declared or planned: what is declared, and what the message says.
DECLARED: dict[str, tuple[Declare, tuple[str, ...]]] = {
    # Functions that yield where nobody iterates.
    "action-that-yields": (
        lambda b: text(b).foreach(yielding),
        ("foreach-1 (", "action", "yielding (", "yields"),
    ),
    "predicate-that-yields": (lambda b: text(b).filter(yielding), ("filter-1 (", "yields: return what it")),
    "mapper-that-yields": (
        lambda b: text(b).map_values(yielding, value=str),
        ("map-values-1 (", "yielding (", "flat_map_values"),
    ),
    # Types and serdes.
    "unknown-value-type": (lambda b: b.stream("in", value=Nothing), ("stream at", "no serde for", "Nothing")),
    "unknown-key-type": (lambda b: b.stream("in", key=object()), ("stream at", "no serde for", "object")),
    "unknown-type-within-a-type": (
        lambda b: b.stream("in", value=list[Nothing]),
        ("stream at", "no serde for"),
    ),
    "unknown-table-type": (lambda b: b.table("in", name="t", value=Nothing), ("table at", "no serde for")),
    "unknown-store-type": (
        lambda b: text(b).process(Silent, Store("s", value=Nothing)),
        ("store 's' at", "no serde for"),
    ),
    "value-serde-lost-before-a-sink": (
        lambda b: text(b).map_values(lambda k, v: v).to("out"),
        ("to at", "encode the value", "give value="),
    ),
    "value-serde-lost-before-a-repartition": (
        lambda b: rekeyed(b).map_values(lambda k, v: v).repartition(name="r"),
        ("repartition at", "give value="),
    ),
    "value-serde-lost-before-an-implicit-repartition": (
        lambda b: rekeyed(b).map_values(lambda k, v: v).group_by_key(name="g").count(name="t"),
        ("t (", "works by key", "give value="),
    ),
    "value-serde-lost-before-a-reduce": (
        lambda b: text(b).map_values(lambda k, v: v).group_by_key().reduce(pair, name="t"),
        ("reduce at", "give value="),
    ),
    "value-serde-lost-before-a-join": (
        lambda b: text(b).map_values(lambda k, v: v).join(text(b), pair, within=SECOND, name="j"),
        ("join at", "give value="),
    ),
    "merged-streams-encode-values-differently": (
        lambda b: text(b).merge(b.stream("b", key=str, value=int)).to("out"),
        ("to at", "give value="),
    ),
    "aggregate-without-serde": (
        lambda b: text(b).group_by_key().aggregate(int, pair, name="t"),
        ("aggregate at", "needs value="),
    ),
    # Names.
    "count-without-name": (lambda b: text(b).group_by_key().count(), ("count at", "needs name=", "store")),
    "reduce-without-name": (lambda b: text(b).group_by_key().reduce(pair), ("reduce at", "needs name=")),
    "aggregate-without-name": (
        lambda b: text(b).group_by_key().aggregate(int, pair, value=int),
        ("aggregate at", "needs name="),
    ),
    "windowed-count-without-name": (
        lambda b: text(b).group_by_key().windowed_by(PER_SECOND).count(),
        ("count at", "needs name="),
    ),
    "cogroup-without-name": (
        lambda b: text(b).group_by_key().cogroup(pair).aggregate(int, value=int),
        ("aggregate at", "needs name="),
    ),
    "cogroup-without-serde": (
        lambda b: text(b).group_by_key().cogroup(pair).aggregate(int, name="t"),
        ("aggregate at", "needs value="),
    ),
    "cogroup-of-a-stream-that-is-not-grouped": (
        lambda b: text(b).group_by_key().cogroup(pair).cogroup(text(b, "b"), pair),
        ("cogroup at", "grouped stream", "group_by_key()"),
    ),
    "retention-shorter-than-the-windows": (
        lambda b: text(b).group_by_key().windowed_by(PER_SECOND).count(name="t", retention=SECOND / 2),
        ("count at", "retention of 500 ms", "shorter than"),
    ),
    "retention-of-unlimited-windows": (
        lambda b: text(b).group_by_key().windowed_by(unlimited()).count(name="t", retention=SECOND),
        ("count at", "retention of 1000 ms", "shorter than"),
    ),
    "history-of-a-windowed-table": (
        lambda b: text(b).group_by_key().windowed_by(PER_SECOND).count(name="t", history=SECOND),
        ("count at", "history="),
    ),
    "table-without-name": (lambda b: b.table("in"), ("table('in') at", "needs name=")),
    "group_by-without-name": (
        lambda b: text(b).group_by(pair),
        ("group_by at", "needs name=", "repartition topic"),
    ),
    "repartition-without-name": (lambda b: text(b).repartition(), ("repartition at", "needs name=")),
    "stream-join-without-name": (
        lambda b: text(b).join(text(b), pair, within=SECOND),
        ("join at", "needs name="),
    ),
    "group_by_key-after-a-key-change-without-name": (
        lambda b: rekeyed(b).group_by_key().count(name="t"),
        ("t (", "select-key-1 (", "changed the key", "give name="),
    ),
    "table-join-after-a-key-change-without-name": (
        lambda b: rekeyed(b).join(table(b), pair),
        ("join-1 (", "select-key-1 (", "give name="),
    ),
    "store-name-used-twice": (
        lambda b: [text(b).group_by_key().count(name="t"), text(b).process(Silent, Store("t"))],
        ("store name 't' is used twice", "t (", "process-1 ("),
    ),
    "join-store-clashes-with-a-table": (
        lambda b: [text(b).join(text(b), pair, within=SECOND, name="j"), table(b, name="j-left")],
        ("store name 'j-left' is used twice", "j (", "j-left ("),
    ),
    "two-joins-of-one-name": (two_joins, ("name 'j' is used twice",)),
    "display-name-used-twice": (
        lambda b: [b.stream("a", name="s"), b.stream("b", name="s")],
        ("node name 's' is used twice",),
    ),
    "repartition-name-used-twice (a8.3)": (
        lambda b: [rekeyed(b).repartition(name="r"), rekeyed(b).repartition(name="r")],
        ("name 'r-repartition' is used twice",),
    ),
    "group_by-and-repartition-of-one-name": (
        lambda b: [text(b).repartition(name="r"), text(b).group_by(lambda k, v: k, name="r").count(name="t")],
        ("repartition name 'r' is used twice",),
    ),
    "reading-a-topic-of-its-own": (
        lambda b: [text(b).repartition(name="r"), text(b, "test-r-repartition")],
        ("source-2 (", "reads 'test-r-repartition'", "own", "r-repartition ("),
    ),
    "a-topic-that-depends-on-itself": (
        lambda b: text(b, "test-r-repartition").repartition(name="r"),
        ("source-1 (", "reads 'test-r-repartition'", "own"),
    ),
    "one-repartition-name-for-different-serdes (a8.3)": (
        shared_name,
        ("repartition name 'g' is used twice", "different serdes"),
    ),
    "store-name-that-no-topic-can-have": (
        lambda b: text(b).group_by_key().count(name="a b"),
        ("a b (", "cannot be a topic's name"),
    ),
    "empty-store-name": (lambda b: text(b).group_by_key().count(name=""), ("count at", "name=", "not ''")),
    "repartition-name-that-no-topic-can-have": (
        lambda b: text(b).repartition(name="ä"),
        ("repartition at", "cannot be a topic's name"),
    ),
    "topic-name-that-cannot-be": (
        lambda b: b.stream("raw logs"),
        ("stream at", "'raw logs'", "cannot be a topic's name"),
    ),
    "sink-topic-name-that-cannot-be": (
        lambda b: text(b).to("a/b"),
        ("to at", "'a/b'", "cannot be a topic's name"),
    ),
    "no-topic": (lambda b: b.stream([]), ("stream at", "names no topic")),
    "branch-default-is-also-a-branch": (
        lambda b: text(b).branch({"a": lambda k, v: True}, default="a"),
        ("branch at", "'a' is there twice"),
    ),
    # Shapes.
    "unknown-topic-type": (lambda b: b.stream(7), ("stream at", "not 7")),
    "unknown-topic-type-in-a-list": (lambda b: b.stream(["in", None]), ("stream at", "not None")),
    "unknown-sink-type": (lambda b: text(b).to(7), ("to at", "not 7")),
    "join-with-no-stream": (
        lambda b: text(b).join("in", pair, within=SECOND, name="j"),
        ("join at", "not 'in'"),
    ),
    "windowed-table-joined-with-a-stream": (
        unwindowed_join_of_a_windowed_table,
        ("join at", "'t' is windowed"),
    ),
    # Durations and counts.
    "stream-join-without-within": (
        lambda b: text(b).join(text(b), pair, name="j"),
        ("join at", "needs within="),
    ),
    "table-join-with-within": (lambda b: text(b).join(table(b), pair, within=SECOND), ("join at", "within=")),
    "table-join-with-grace": (
        lambda b: text(b).left_join(table(b), pair, grace=SECOND),
        ("left_join at", "grace="),
    ),
    "empty-join-window": (
        lambda b: text(b).join(text(b), pair, within=(SECOND, -2 * SECOND), name="j"),
        ("join at", "is empty"),
    ),
    "negative-grace": (
        lambda b: text(b).join(text(b), pair, within=SECOND, grace=-SECOND, name="j"),
        ("join at", "grace must not be negative"),
    ),
    "grace-finer-than-a-millisecond": (
        lambda b: text(b).join(text(b), pair, within=SECOND, grace=timedelta(microseconds=1), name="j"),
        ("join at", "finer than a millisecond"),
    ),
    "window-store-without-retention": (
        lambda b: text(b).process(Silent, WindowedStore("w")),
        ("store 'w' at", "needs retention="),
    ),
    "session-store-without-retention": (
        lambda b: text(b).process(Silent, SessionWindowedStore("w")),
        ("store 'w' at", "needs retention="),
    ),
    "store-without-history": (
        lambda b: text(b).process(Silent, Store("w", history=timedelta(0))),
        ("store 'w' at", "needs history="),
    ),
    "history-is-a-number": (
        lambda b: text(b).process(Silent, Store("w", history=cast("timedelta", 5))),
        ("store 'w' at", "must be a timedelta"),
    ),
    "no-partitions": (
        lambda b: text(b).repartition(name="r", partitions=0),
        ("repartition at", "partitions="),
    ),
    # Reading.
    "one-topic-as-stream-and-table": (
        lambda b: [b.stream("R", key=str, value=str), table(b)],
        ("source-1 (", "table (", "in different ways"),
    ),
    "one-topic-as-two-tables": (
        lambda b: [table(b), table(b, name="again")],
        ("table (", "again (", "same topic"),
    ),
    "one-topic-with-two-types": (
        lambda b: [b.stream("in", value=str), b.stream("in", value=int)],
        ("source-1 (", "source-2 (", "same topic"),
    ),
    "one-topic-with-two-extractors": (
        lambda b: [b.stream("in", timestamp=lambda r, _: 1), b.stream("in", timestamp=lambda r, _: 2)],
        ("source-1 (", "source-2 (", "timestamp extractor"),
    ),
    "overlapping-topic-sets (a8.9)": (
        lambda b: [b.stream(["a", "b"]), b.stream("a")],
        ("source-1 (", "source-2 (", "same topic"),
    ),
    "one-topic-as-table-and-global-table": (
        lambda b: [table(b), b.global_table("R", name="global", value=str)],
        ("table (", "global (", "same topic"),
    ),
    "one-topic-as-two-global-tables": (
        lambda b: [b.global_table("R", name="one"), b.global_table("R", name="two")],
        ("one (", "two (", "same topic"),
    ),
    "one-topic-as-stream-and-global-table": (
        lambda b: [b.global_table("in", name="one"), text(b)],
        ("one (", "source-1 (", "same topic"),
    ),
    # Global tables.
    "global-table-without-name": (
        lambda b: b.global_table("R"),
        ("global_table('R') at", "needs name=", "store"),
    ),
    "unknown-global-table-type": (
        lambda b: b.global_table("R", name="t", value=Nothing),
        ("global_table at", "no serde for"),
    ),
    "store-name-used-by-a-global-table": (
        lambda b: [b.global_table("R", name="t"), text(b).group_by_key().count(name="t")],
        ("name 't' is used twice",),
    ),
    "global-join-without-key-mapper": (
        lambda b: text(b).join(b.global_table("R", name="t"), pair),
        ("join at", "'t'", "needs key_mapper="),
    ),
    "global-join-with-within": (
        lambda b: text(b).join(b.global_table("R", name="t"), pair, within=SECOND, key_mapper=pair),
        ("join at", "within="),
    ),
    "global-outer-join": (
        lambda b: text(b).outer_join(b.global_table("R", name="t"), pair),
        ("outer_join at", "use left_join"),
    ),
    "global-key-mapper-of-one-parameter": (
        lambda b: text(b).join(b.global_table("R", name="t"), pair, key_mapper=lambda key: key),
        ("key_mapper", "(key, value)"),
    ),
    "key-mapper-with-a-table": (
        lambda b: text(b).join(table(b), pair, key_mapper=lambda key, value: key),
        ("join at", "key_mapper= is for global tables"),
    ),
    "global-table-of-another-application": (
        lambda b: text(b).join(StreamsBuilder("other").global_table("R", name="t"), pair, key_mapper=pair),
        ("join at", "t (", "another application's"),
    ),
    # Joined keys.
    "stream-and-table-keys-are-encoded-differently": (
        lambda b: b.stream("in", key=int, value=str).join(table(b), pair),
        ("join-1 (", "int64", "string", "'table'", "give both"),
    ),
    "stream-and-stream-keys-are-encoded-differently": (
        lambda b: b.stream("in", key=int, value=str).join(text(b, "b"), pair, within=SECOND, name="j"),
        ("j (", "int64", "string", "give both"),
    ),
}


def planned(declare: Declare) -> Plan:
    builder = StreamsBuilder("test")
    declare(builder)
    return plan(builder.build())


@pytest.mark.parametrize(("declare", "says"), DECLARED.values(), ids=DECLARED.keys())
def test_declared(declare: Declare, says: tuple[str, ...]) -> None:
    with pytest.raises(TopologyError) as raised:
        planned(declare)
    message = str(raised.value)
    assert [part for part in (*says, HERE) if part not in message] == []
    assert "\n" not in message


def test_nothing_declared() -> None:
    with pytest.raises(TopologyError, match="application 'test' reads no topic"):
        StreamsBuilder("test").build()


@pytest.mark.parametrize("name", ["", "two words", "x" * 300, ".", ".."])
def test_an_application_id_that_no_topic_can_have(name: str) -> None:
    with pytest.raises(TopologyError, match="application id"):
        StreamsBuilder(name)
