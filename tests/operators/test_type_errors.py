"""What an operator is given that it cannot take fails where it is declared: with the operator, the line,
what was given, and what is taken. Functions have a table of their own (`test_function_errors`)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipeline import (
    BufferConfig,
    Processor,
    Record,
    Store,
    TopologyError,
    WindowedStore,
    suppression,
    windows,
)
from pipeline.dsl.builder import StreamsBuilder

HERE = f"{Path(__file__).relative_to(Path.cwd())}:"
SECOND = timedelta(seconds=1)
#: Any: what is called with the wrong types is to be called all the same.
hopping: Any = windows.hopping
session: Any = windows.session
sliding: Any = windows.sliding
tumbling: Any = windows.tumbling
unlimited: Any = windows.unlimited
until_time_limit: Any = suppression.until_time_limit
until_window_closes: Any = suppression.until_window_closes

Declare: TypeAlias = Callable[[Any], object]


class Silent(Processor[Any, Any, Any, Any]):
    def process(self, record: Record[Any, Any]) -> None:
        pass


def text(builder: StreamsBuilder, topic: str = "in") -> Any:
    return builder.stream(topic, key=str, value=str)


def table(builder: StreamsBuilder) -> Any:
    return builder.table("R", name="table", value=str)


def counted(builder: StreamsBuilder, **options: Any) -> None:
    text(builder).group_by_key().count(name="t", **options)


def windowed(builder: StreamsBuilder, **options: Any) -> None:
    per_second = tumbling(SECOND, grace=SECOND)
    text(builder).group_by_key().windowed_by(per_second).count(name="t", **options)


def joined(builder: StreamsBuilder, **options: Any) -> None:
    text(builder).join(text(builder, "in2"), pair, **({"within": SECOND, "name": "j"} | options))


def pair(key: Any, left: Any, right: Any) -> Any:
    return left


def same(key: Any, value: Any) -> Any:
    return key


#: What is declared, and what the message says.
GIVEN: dict[str, tuple[Declare, tuple[str, ...]]] = {
    # Topics.
    "topic-none": (lambda b: b.stream(None), ("stream at", "not None")),
    "topic-bytes": (lambda b: b.stream([b"in"]), ("stream at", "not b'in'")),
    "topic-twice": (lambda b: b.stream(["in", "in"]), ("stream at", "names a topic twice", "in, in")),
    "topics-of-a-table": (lambda b: b.table(["R", "S"], name="t"), ("table at", "not ['R', 'S']")),
    "topic-of-a-global-table": (lambda b: b.global_table(7, name="t"), ("global_table at", "not 7")),
    "topics-of-a-sink": (lambda b: text(b).to(["a", "b"]), ("to at", "not ['a', 'b']")),
    # Names.
    "name-of-a-source": (lambda b: b.stream("in", name=4), ("source at", "name= must be a text, not 4")),
    "name-of-a-table": (lambda b: b.table("R", name=3), ("table('R') at", "not 3")),
    "name-of-a-global-table": (lambda b: b.global_table("R", name=3), ("global_table('R') at", "not 3")),
    "name-of-a-count": (lambda b: text(b).group_by_key().count(name=5), ("count at", "not 5")),
    "name-of-a-join": (lambda b: joined(b, name=5), ("join at", "not 5")),
    "name-of-a-processor": (lambda b: text(b).process(Silent, name=7), ("process at", "not 7")),
    "name-of-a-repartition": (lambda b: text(b).repartition(name=5), ("repartition at", "not 5")),
    "name-of-a-grouping": (lambda b: text(b).group_by(same, name=3), ("group_by at", "not 3")),
    "name-of-a-grouping-by-key": (lambda b: text(b).group_by_key(name=3), ("group_by_key at", "not 3")),
    "name-of-a-grouped-table": (lambda b: table(b).group_by(same, name=3), ("group_by at", "not 3")),
    "name-of-a-table-of-a-stream": (lambda b: text(b).to_table(name=1), ("to_table at", "not 1")),
    "name-of-a-filtered-table": (lambda b: table(b).filter(same, name=3), ("table-filter at", "not 3")),
    "names-of-branches": (lambda b: text(b).branch({1: same}), ("branch at", "names of branches, not 1")),
    "name-of-the-default-branch": (lambda b: text(b).branch({"a": same}, default=1), ("branch at", "not 1")),
    "name-of-a-store": (lambda b: text(b).process(Silent, Store(None)), ("store None at",)),  # type: ignore[arg-type]
    # Streams and tables.
    "merge-with-a-topic": (lambda b: text(b).merge("x"), ("merge at", "takes streams, not 'x'")),
    "merge-with-nothing": (lambda b: text(b).merge(None), ("merge at", "not None")),
    "merge-with-a-table": (lambda b: text(b).merge(table(b)), ("merge at", "takes streams, not <")),
    "join-with-nothing": (lambda b: text(b).join(None, pair), ("join at", "not None")),
    "join-with-a-grouping": (lambda b: text(b).join(text(b).group_by_key(), pair), ("join at", "not <")),
    "join-of-a-table-with-a-stream": (lambda b: table(b).join(text(b), pair), ("join at", "takes a table")),
    "outer-join-with-a-table": (
        lambda b: text(b).outer_join(table(b), pair),
        ("outer_join at", "use left_join"),
    ),
    "stream-of-another-application": (
        lambda b: text(b).join(text(StreamsBuilder("other")), pair, within=SECOND, name="j"),
        ("j (", "source-1 (", "another application's"),
    ),
    "table-of-another-application": (
        lambda b: text(b).join(table(StreamsBuilder("other")), pair),
        ("join-1 (", "table (", "another application's"),
    ),
    "tables-of-two-applications": (
        lambda b: table(b).join(StreamsBuilder("other").table("S", name="s"), pair),
        ("table-join-1 (", "s (", "another application's"),
    ),
    "global-table-of-another-application": (
        lambda b: text(b).join(StreamsBuilder("other").global_table("S", name="s"), pair, key_mapper=same),
        ("join at", "s (", "another application's"),
    ),
    # Branches, processors, repartitions.
    "predicates-without-names": (lambda b: text(b).branch([same]), ("branch at", "a mapping from names")),
    "no-predicates": (lambda b: text(b).branch(None), ("branch at", "not None")),
    "a-stores-name-for-a-store": (
        lambda b: text(b).process(Silent, "store"),
        ("process at", "stores such as Store('name')", "not 'store'"),
    ),
    "a-list-of-stores": (lambda b: text(b).process(Silent, [Store("s")]), ("process at", "not [Store(")),
    "a-stores-class-for-a-store": (lambda b: text(b).process_values(Silent, Store), ("process_values at",)),
    "a-class-that-is-no-processor": (
        lambda b: text(b).process(dict),
        ("process at", "dict is no Processor", "derive it"),
    ),
    "partitions-as-text": (
        lambda b: text(b).repartition(name="r", partitions="3"),
        ("repartition at", "a whole number of partitions=", "not '3'"),
    ),
    "half-a-partition": (
        lambda b: text(b).repartition(name="r", partitions=2.5),
        ("repartition at", "not 2.5"),
    ),
    "partitions-true": (
        lambda b: text(b).repartition(name="r", partitions=True),
        ("repartition at", "not True"),
    ),
    # Windows and durations.
    "no-windows": (lambda b: text(b).group_by_key().windowed_by(None), ("windowed_by at", "not None")),
    "windows-not-called": (
        lambda b: text(b).group_by_key().windowed_by(tumbling),
        ("windowed_by at", "tumbling(...)", "not <function tumbling"),
    ),
    "an-emit-strategy-as-text": (
        lambda b: text(b).group_by_key().windowed_by(tumbling(SECOND, grace=SECOND)).emit_strategy("close"),
        ("emit_strategy at", "EmitStrategy.ON_WINDOW_CLOSE", "not 'close'"),
    ),
    "tumbling-without-grace": (
        lambda b: tumbling(SECOND),
        ("tumbling at", "'grace'", "give it size=, grace="),
    ),
    "hopping-without-grace": (
        lambda b: hopping(SECOND, advance=SECOND),
        ("hopping at", "'grace'", "give it"),
    ),
    "sliding-without-grace": (lambda b: sliding(SECOND), ("sliding at", "'grace'", "give it")),
    "session-without-grace": (lambda b: session(SECOND), ("session at", "'grace'", "give it")),
    "tumbling-by-seconds": (lambda b: tumbling(60, grace=SECOND), ("tumbling at", "timedelta, not 60")),
    "grace-in-seconds": (lambda b: tumbling(SECOND, grace=30), ("tumbling at", "timedelta, not 30")),
    "grace-none": (lambda b: tumbling(SECOND, grace=None), ("tumbling at", "timedelta, not None")),
    "tumbling-backwards": (lambda b: tumbling(-SECOND, grace=SECOND), ("tumbling at", "must be positive")),
    "negative-grace": (lambda b: session(SECOND, grace=-SECOND), ("session at", "not be negative")),
    "advance-beyond-the-size": (
        lambda b: hopping(SECOND, advance=2 * SECOND, grace=SECOND),
        ("hopping at", "advance of 2000 ms is longer"),
    ),
    "unlimited-from-a-number": (lambda b: unlimited(start=5), ("unlimited at", "a datetime", "not 5")),
    "within-of-numbers": (lambda b: joined(b, within=(1, 2)), ("join at", "timedelta, not 1")),
    "within-of-three": (lambda b: joined(b, within=(SECOND,) * 3), ("join at", "(before, after)")),
    "grace-of-a-join-in-seconds": (lambda b: joined(b, grace=5), ("join at", "timedelta, not 5")),
    "retention-shorter-than-the-window": (
        lambda b: windowed(b, retention=SECOND),
        ("count at", "retention of 1000 ms is shorter than the 2000 ms"),
    ),
    "retention-in-seconds": (lambda b: windowed(b, retention=3600), ("count at", "timedelta, not 3600")),
    "retention-without-windows": (
        lambda b: counted(b, retention=SECOND),
        ("count at", "for windowed tables"),
    ),
    "history-of-windows": (lambda b: windowed(b, history=SECOND), ("count at", "without windows")),
    "history-in-seconds": (lambda b: counted(b, history=5), ("count at", "timedelta, not 5")),
    "negative-history": (lambda b: counted(b, history=-SECOND), ("count at", "history=")),
    "history-and-caching": (lambda b: counted(b, history=SECOND, caching=True), ("count at", "caching=True")),
    "retention-of-a-store-in-seconds": (
        lambda b: text(b).process(Silent, WindowedStore("w", retention=5)),  # type: ignore[arg-type]
        ("store 'w' at", "timedelta, not 5"),
    ),
    "an-unknown-beginning": (
        lambda b: b.stream("in", offset_reset="first"),
        ("stream at", "offset_reset is 'first'", "earliest, latest, none"),
    ),
    "a-negative-beginning": (
        lambda b: b.stream("in", offset_reset=-SECOND),
        ("stream at", "offset_reset is"),
    ),
    # Suppress and cogroup.
    "suppress-not-called": (
        lambda b: table(b).suppress(until_time_limit, name="s"),
        ("suppress at", "until_time_limit(...)", "not <function"),
    ),
    "suppress-nothing": (lambda b: table(b).suppress(None, name="s"), ("suppress at", "not None")),
    "a-time-limit-in-seconds": (lambda b: until_time_limit(5), ("until_time_limit at", "timedelta, not 5")),
    "a-negative-time-limit": (
        lambda b: until_time_limit(-SECOND),
        ("until_time_limit at", "negative"),
    ),
    "no-time-limit": (lambda b: until_time_limit(), ("until_time_limit at", "give it wait=, buffer=")),
    "a-number-for-a-buffer": (lambda b: until_time_limit(SECOND, 100), ("until_time_limit at", "not 100")),
    "a-text-for-a-buffer": (lambda b: until_window_closes("big"), ("until_window_closes at", "not 'big'")),
    "final-results-emitted-early": (
        lambda b: until_window_closes(BufferConfig(max_records=1, when_full="emit-early")),
        ("until_window_closes at", "cannot emit early"),
    ),
    "an-empty-buffer": (lambda b: BufferConfig(max_records=0), ("BufferConfig at", "not 0")),
    "a-buffer-that-is-never-full": (
        lambda b: BufferConfig(when_full="emit-early"),
        ("BufferConfig at", "needs max_records="),
    ),
    "cogroup-with-no-grouping": (
        lambda b: text(b).group_by_key().cogroup(pair).cogroup(text(b), pair),
        ("cogroup at", "takes a grouped stream", "not <"),
    ),
    # Tables restored from their topics.
    "history-restored-from-a-topic": (
        lambda b: b.table("R", name="t", reuse_source=True, history=SECOND),
        ("table at", "reuse_source=True", "history= needs a changelog"),
    ),
    "logging-restored-from-a-topic": (
        lambda b: b.table("R", name="t", reuse_source=True, logging=False),
        ("table at", "reuse_source=True", "logging="),
    ),
    "restored-from-before-it-began": (
        lambda b: b.table("R", name="t", reuse_source=True, offset_reset="latest"),
        ("table at", "reuse_source=True", "offset_reset= must be earliest"),
    ),
    "reuse-of-something": (lambda b: b.table("R", name="t", reuse_source="R"), ("table at", "not 'R'")),
    # Options.
    "an-option-misspelt": (
        lambda b: counted(b, cachign=False),
        ("count at", "no cachign=", "did you mean caching=?"),
    ),
    "an-unknown-option": (
        lambda b: b.table("R", name="t", foo=1),
        ("table at", "no foo=", "caching, history, in_memory, logging, retention"),
    ),
    "an-option-of-a-windowed-table-misspelt": (
        lambda b: windowed(b, retentoin=SECOND),
        ("count at", "did you mean retention=?"),
    ),
    "neither-on-nor-off": (lambda b: counted(b, caching=None), ("count at", "caching=", "not None")),
    "options-without-a-store": (
        lambda b: table(b).filter(same, caching=False),
        ("filter at", "caching= needs name="),
    ),
    "an-unknown-option-without-a-store": (
        lambda b: table(b).filter(same, cache=False),
        ("filter at", "no cache="),
    ),
}


@pytest.mark.parametrize(("declare", "says"), GIVEN.values(), ids=GIVEN.keys())
def test_what_an_operator_cannot_take(declare: Declare, says: tuple[str, ...]) -> None:
    with pytest.raises(TopologyError) as raised:
        declare(StreamsBuilder("test"))
    message = str(raised.value)
    assert [part for part in (*says, HERE) if part not in message] == []
    assert "\n" not in message


def test_what_fails_is_not_declared() -> None:
    """Whoever catches the error has the topology as it was."""
    builder = StreamsBuilder("test")
    stream: Any = builder.stream("in", key=str, value=str)
    nodes = builder.build().nodes
    with pytest.raises(TopologyError):
        stream.filter("x")
    with pytest.raises(TopologyError):
        stream.group_by_key().count(name="a b")
    assert builder.build().nodes == nodes
