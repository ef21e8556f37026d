"""An application of time: windows, what is held back until they close, joins that wait, punctuation.

Input comes in hours: all that came of one is committed before the next one begins. So what is processed
before what within an hour makes no difference to the results, and a run in which nothing went wrong
says what they are: with exactly-once, record by record. With at-least-once they may be there more than
once, and what is counted behind a repartition may be counted twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any, Final, NamedTuple, TypeAlias

from pipeline import (
    EmitStrategy,
    KTable,
    Processor,
    ProcessorContext,
    PunctuationType,
    Record,
    Store,
    Windowed,
    WindowedStore,
    tumbling,
    until_time_limit,
    until_window_closes,
)
from pipeline.dsl.builder import StreamsBuilder
from pipeline.runtime.partitioner import partition_for
from pipeline.testing.simulation import SETTLE, Faults, Input, Outcome, Simulation
from pipeline.topology import Topology

#: Input: counted where it is, counted elsewhere, the two sides of a join, and a table with history.
MARKS: Final = "marks"
MOVES: Final = "moves"
LEFT: Final = "left"
RIGHT: Final = "right"
RATES: Final = "rates"
#: Results: by what they show.
CLOSED: Final = "closed"
FINAL: Final = "final"
LIMITED: Final = "limited"
FIRSTS: Final = "firsts"
SWEPT: Final = "swept"
MOVED: Final = "moved"
MET: Final = "met"
RATED: Final = "rated"
#: In these a repeated record of a repartition topic counts twice, unless exactly-once is on.
COUNTED_ELSEWHERE: Final = frozenset({MOVED})
#: In these the records of a key come in the order of what they are made of.
ORDERED: Final = frozenset({FIRSTS})
RESULTS: Final = (CLOSED, FINAL, LIMITED, FIRSTS, SWEPT, MOVED, MET, RATED)
PARTITIONS: Final = 2

_HOUR: Final = timedelta(hours=1)
_HOUR_MS: Final = 3_600_000
_HOURS: Final = 2
_KEYS: Final = ("a", "b", "c", "d")
#: One key a partition: so that time goes on everywhere.
_TICKS: Final = tuple(
    next(f"tick-{n}" for n in range(100) if partition_for(f"tick-{n}".encode(), PARTITIONS) == number)
    for number in range(PARTITIONS)
)

Result: TypeAlias = tuple[bytes | None, bytes | None, int]


class Firsts(Processor[str, str, str, str]):
    """Lets the first of equal values of a key pass, within an hour."""

    def init(self, context: ProcessorContext[str, str]) -> None:
        """Take the store."""
        self._context, self._seen = context, context.store("seen")

    def process(self, record: Record[str, str]) -> None:
        """Pass it, unless it was seen."""
        event = f"{record.key}:{record.value[0]}"
        hour = record.timestamp - record.timestamp % _HOUR_MS
        if self._seen.fetch(event, hour) is None:
            self._seen.put(event, 1, hour)
            self._context.forward(record)


class Sweep(Processor[str, str, str, str]):
    """Gathers the values of each key and hour, and lets go, now and then, those of hours before."""

    def init(self, context: ProcessorContext[str, str]) -> None:
        """Take the store, and look into it twice an hour."""
        self._context, self._kept = context, context.store("kept")
        context.schedule(_HOUR / 2, PunctuationType.STREAM_TIME, self._sweep)

    def process(self, record: Record[str, str]) -> None:
        """Put it to the others."""
        row = f"{record.timestamp // _HOUR_MS} {record.key}"
        self._kept.put(row, (self._kept.get(row) or "") + record.value, record.timestamp)

    def _sweep(self, now_ms: int) -> None:
        for row, values in list(self._kept.all()):
            hour, _, key = row.partition(" ")
            # Records may be three hours late.
            if int(hour) < now_ms // _HOUR_MS - 3:
                self._kept.delete(row)
                self._context.forward(Record(key, f"{hour} {values}", int(hour)))


def _both(_key: str, left: str | None, right: str | None) -> str:
    return f"{left or '-'} {right or '-'}"


def _show(table: KTable[Windowed[str], int], topic: str) -> None:
    stream = table.to_stream(lambda window, _: f"{window.key}@{window.start // _HOUR_MS}", key=str)
    stream.map_values(lambda _key, count: str(count), value=str).to(topic)


def topology() -> Topology:
    """Counts by hour, emitted at the end in two ways, here and behind a repartition; joins; processors."""
    builder = StreamsBuilder("hours")
    hourly = tumbling(_HOUR, grace=_HOUR)
    marks = builder.stream(MARKS, key=str, value=str)
    grouped = marks.group_by_key()
    on_close = grouped.windowed_by(hourly).emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
    _show(on_close.count(name="on-close"), CLOSED)
    _show(grouped.windowed_by(hourly).count(name="held").suppress(until_window_closes(), name="hold"), FINAL)
    counts = grouped.count(name="slow", caching=False)
    limited = counts.suppress(until_time_limit(_HOUR / 4), name="wait").to_stream()
    limited.map_values(lambda _key, count: str(count), value=str).to(LIMITED)
    seen = WindowedStore("seen", key=str, value=int, retention=8 * _HOUR, window_size=_HOUR)
    marks.process(Firsts, seen, name="firsts", key=str, value=str).to(FIRSTS)
    marks.process(Sweep, Store("kept", key=str, value=str), name="sweep", key=str, value=str).to(SWEPT)

    moves = builder.stream(MOVES, key=str, value=str).group_by(lambda _key, value: value[0], name="moving")
    _show(
        moves.windowed_by(hourly).emit_strategy(EmitStrategy.ON_WINDOW_CLOSE).count(name="elsewhere"), MOVED
    )

    left, right = (builder.stream(topic, key=str, value=str) for topic in (LEFT, RIGHT))
    left.outer_join(right, _both, within=_HOUR / 2, grace=_HOUR, name="meet", value=str).to(MET)
    rates = builder.table(RATES, name="rates", value=str, history=6 * _HOUR)
    left.left_join(rates, _both, grace=2 * _HOUR, name="rate", value=str).to(RATED)
    return builder.build()


TOPOLOGY: Final = topology()


def inputs(seed: int) -> Iterator[Input]:
    """Yield two hours of input, and three in which only time goes on."""
    random = Random(seed)
    for hour in range(1, 1 + _HOURS):
        yield from _shuffled(random, [*_hour(random, hour), *_ticks(hour)])
        yield SETTLE
    for hour in range(1 + _HOURS, 4 + _HOURS):
        yield from _ticks(hour)
        yield SETTLE


def _hour(random: Random, hour: int) -> Iterator[Input]:
    # Marks are up to three hours late: some of them are counted, and some are too late.
    for topic, count, latest in ((MARKS, 7, 3), (MOVES, 4, 0), (LEFT, 4, 0), (RIGHT, 4, 0), (RATES, 2, 0)):
        for number in range(count):
            late = max(0, random.randrange(-3, latest + 1)) if latest else 0
            time = max(0, hour - late) * _HOUR_MS + random.randrange(_HOUR_MS)
            value = f"{random.choice('xyz')}{topic[0]}{hour}{number}"
            yield Input(topic, random.choice(_KEYS).encode(), value.encode(), time)


def _ticks(hour: int) -> Iterator[Input]:
    for topic in (MARKS, MOVES, LEFT, RIGHT):
        for key in _TICKS:
            # Behind the repartition it is the value that chooses the partition.
            value = f"{_MOVED_TICKS[_TICKS.index(key)] if topic == MOVES else 't'}-{hour}"
            yield Input(topic, key.encode(), value.encode(), hour * _HOUR_MS + 1)


_MOVED_TICKS: Final = tuple(
    next(c for c in "ABCDEFGHIJKLMNOPQRSTUVW" if partition_for(c.encode(), PARTITIONS) == number)
    for number in range(PARTITIONS)
)


def _shuffled(random: Random, records: list[Input]) -> list[Input]:
    random.shuffle(records)
    return records


class Hours(NamedTuple):
    """One input, and what comes of it if nothing goes wrong."""

    seed: int
    expected: dict[str, list[Result]]

    def differences(self, outcome: Outcome) -> list[str]:
        """Return what is not exactly as it would be if nothing had gone wrong."""
        found = results(outcome)
        lines = [
            _difference(topic, Counter(found[topic]), Counter(self.expected[topic]))
            for topic in RESULTS
            if Counter(found[topic]) != Counter(self.expected[topic])
        ]
        return lines + [
            f"{topic}: {by_key(found[topic])} instead of {by_key(self.expected[topic])}"
            for topic in ORDERED
            if by_key(found[topic]) != by_key(self.expected[topic])
        ]

    def wrong(self, outcome: Outcome) -> list[str]:
        """Return what is missing or never right: repeats are allowed, and what they do elsewhere."""
        found = results(outcome)
        return [
            _difference(topic, got, expected)
            for topic in RESULTS
            if (got := _distinct(topic, found)) != (expected := _distinct(topic, self.expected))
        ]


def _distinct(topic: str, found: dict[str, list[Result]]) -> Counter[Any]:
    if topic in COUNTED_ELSEWHERE:
        return Counter({key for key, _value, _time in found[topic]})
    return Counter(set(found[topic]))


def _difference(topic: str, got: Counter[Any], expected: Counter[Any]) -> str:
    return f"{topic}: {dict(got - expected)} too many, {dict(expected - got)} missing"


def by_key(found: list[Result]) -> dict[bytes | None, list[Result]]:
    """Return the records of each key, in their order."""
    keys: defaultdict[bytes | None, list[Result]] = defaultdict(list)
    for result in found:
        keys[result[0]].append(result)
    return dict(keys)


def results(outcome: Outcome) -> dict[str, list[Result]]:
    """Return what a reader finds, by topic."""
    return {
        topic: [(each.key, each.value, each.timestamp) for each in outcome.records(topic)]
        for topic in RESULTS
    }


@cache
def hours(seed: int) -> Hours:
    """Run one input without anything going wrong, on one worker."""
    calm = Simulation(
        TOPOLOGY, inputs(seed), seed=seed, partitions=PARTITIONS, workers=1, faults=Faults(), classic=False
    )
    return Hours(seed, results(calm.run()))
