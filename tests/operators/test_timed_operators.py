"""Operators are timed by way of their twins: all of them, whatever they are, and with the same results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from pipeline import (
    EmitStrategy,
    Processor,
    ProcessorContext,
    Record,
    session,
    sliding,
    tumbling,
    until_time_limit,
    until_window_closes,
)
from pipeline.agents.stream import AgentStream
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.stream import KStream
from pipeline.dsl.table import KTable
from pipeline.plan.compiler import OPERATORS
from pipeline.plan.planner import plan
from pipeline.testing.driver import OutputRecord, TopologyTestDriver
from pipeline.topology import BranchArm, Merge

SECOND: Final = timedelta(seconds=1)
WINDOW: Final = tumbling(3 * SECOND, grace=SECOND)
PROCESSED: Final = "stream-processor-node-metrics:process-total"
#: What they hand on to one operator is that operator.
WIRING: Final = (Merge, BranchArm)
ROUNDS: Final = 120


class Forwards(Processor[str, int, str, int]):
    def init(self, context: ProcessorContext[str, int]) -> None:
        self._context = context

    def process(self, record: Record[str, int]) -> None:
        self._context.forward(record)


def stream(builder: StreamsBuilder, topic: str = "in") -> KStream[str, int]:
    return builder.stream(topic, key=str, value=int)


def table(builder: StreamsBuilder, topic: str = "rows", **options: Any) -> KTable[str, int]:
    return builder.table(topic, key=str, value=int, name=topic, **options)


def first(_key: str, left: int | None, right: int | None) -> int:
    return left or right or 0


def stateless(builder: StreamsBuilder) -> None:
    some = stream(builder).filter(lambda _, n: n % 2 == 0).filter_not(lambda _, n: n % 3 == 0)
    same = some.map(lambda k, n: (k, n), key=str, value=int).map_values(lambda _, n: n, value=int)
    flat = same.flat_map(lambda k, n: [(k, n), (k, n)], key=str, value=int)
    flat.flat_map_values(lambda _, n: [n], value=int).peek(lambda *_: None).foreach(lambda *_: None)
    flat.select_key(lambda k, _: k, key=str).to("out")


def branched(builder: StreamsBuilder) -> None:
    arms = stream(builder).branch({"even": lambda _, n: n % 8 == 0}, default="odd")
    arms["even"].merge(arms["odd"]).to("out")
    arms["odd"].to("more")


def processors(builder: StreamsBuilder) -> None:
    worked = stream(builder).process(Forwards, name="work", key=str, value=int)
    # What follows a processor is fused, too.
    some = worked.filter(lambda _, n: n >= 0).map_values(lambda _, n: n, value=int)
    some.process_values(Forwards, name="again", value=int).to("out")


async def doubled(numbers: AgentStream[int]) -> AsyncIterator[int]:
    async for number in numbers:
        yield 2 * number


def agents(builder: StreamsBuilder) -> None:
    stream(builder).agent(doubled, name="double", value=int).to("out")


def counted(builder: StreamsBuilder) -> None:
    counts = stream(builder).group_by_key().count(name="counts")
    big = counts.filter(lambda _, n: n > 0).map_values(lambda _, n: n, value=int, name="same")
    big.to_stream().to("out")


def counted_at_once(builder: StreamsBuilder) -> None:
    stream(builder).group_by_key().count(name="counts", caching=False).to_stream().to("out")


def closing(builder: StreamsBuilder) -> None:
    grouped = stream(builder).group_by_key()
    closed = grouped.windowed_by(WINDOW).emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
    closed.count(name="closed").to_stream().to("out")


def slid(builder: StreamsBuilder) -> None:
    grouped = stream(builder).group_by_key()
    grouped.windowed_by(sliding(2 * SECOND, grace=SECOND)).count(name="slid").to_stream().to("out")


def sessions(builder: StreamsBuilder) -> None:
    grouped = stream(builder).group_by_key()
    grouped.windowed_by(session(4 * SECOND, grace=SECOND)).count(name="visits").to_stream().to("out")


def suppressed(builder: StreamsBuilder) -> None:
    counts = stream(builder).group_by_key().windowed_by(WINDOW).count(name="counts")
    counts.suppress(until_window_closes(), name="final").to_stream().to("out")


def held_back(builder: StreamsBuilder) -> None:
    counts = stream(builder).group_by_key().count(name="counts")
    counts.suppress(until_time_limit(2 * SECOND), name="held").to_stream().to("out")


def grouped_table(builder: StreamsBuilder) -> None:
    grouped = table(builder).group_by(lambda key, n: (key[:1], n), name="by-letter", key=str, value=int)
    grouped.count(name="counts").to_stream().to("out")


def to_table(builder: StreamsBuilder) -> None:
    stream(builder).to_table(name="last").to_stream().to("out")


def streams(builder: StreamsBuilder) -> None:
    one, other = stream(builder), stream(builder, "other")
    one.outer_join(other, first, within=SECOND / 2, grace=timedelta(0), name="both", value=int).to("out")


def enriched(builder: StreamsBuilder) -> None:
    stream(builder).join(table(builder), first, value=int).to("out")


def enriched_late(builder: StreamsBuilder) -> None:
    rows = table(builder, history=timedelta(minutes=1))
    stream(builder).left_join(rows, first, grace=SECOND, name="late", value=int).to("out")


def enriched_globally(builder: StreamsBuilder) -> None:
    rows = builder.global_table("rows", name="rows", key=str, value=int)
    stream(builder).join(rows, first, key_mapper=lambda key, _: key, value=int).to("out")


def tables(builder: StreamsBuilder) -> None:
    joined = table(builder).outer_join(table(builder, "other"), first, name="joined", value=int)
    joined.to_stream().to("out")


def foreign(builder: StreamsBuilder) -> None:
    rows, others = table(builder), table(builder, "other")
    joined = rows.left_join(others, first, foreign_key=lambda key, _: key, name="paid", value=int)
    joined.to_stream().to("out")


TOPOLOGIES: Final[list[Callable[[StreamsBuilder], None]]] = [
    *(stateless, branched, processors, agents, counted, counted_at_once, closing, slid, sessions, suppressed),
    *(
        held_back,
        grouped_table,
        to_table,
        streams,
        enriched,
        enriched_late,
        enriched_globally,
        tables,
        foreign,
    ),
]


def driver_of(declare: Callable[[StreamsBuilder], None], level: str) -> TopologyTestDriver:
    builder = StreamsBuilder("app")
    declare(builder)
    topology = builder.build()
    # Where it stands still, nothing has a duration: what is counted does not depend on the clock.
    return TopologyTestDriver(topology, topics=["out", "more"], metrics_recording_level=level)


def run(driver: TopologyTestDriver, declare: Callable[[StreamsBuilder], None]) -> list[OutputRecord]:
    builder = StreamsBuilder("app")
    declare(builder)
    sources = sorted(plan(builder.build()).external_sources)
    topics = [driver.input_topic(name, key=str, value=int) for name in sources]
    for number in range(ROUNDS):
        for place, topic in enumerate(topics):
            # Some meet in a join, some are alone.
            topic.pipe(f"k{(number + place * (number % 4 == 0)) % 3}", number, number * 500 + place)
    return driver.output_topic("out", key=bytes, value=bytes).read_all()


@pytest.mark.parametrize("declare", TOPOLOGIES)
def test_every_operator_is_timed(declare: Callable[[StreamsBuilder], None]) -> None:
    builder = StreamsBuilder("app")
    declare(builder)
    subs = plan(builder.build()).subtopologies
    nodes = {node.name for sub in subs for node in sub.nodes if not isinstance(node, WIRING)}
    with driver_of(declare, "debug") as driver:
        run(driver, declare)
        timed = {labels[1] for labels, number in driver.measured[PROCESSED] if number > 0}
    assert nodes - timed == set()


@pytest.mark.parametrize("declare", TOPOLOGIES)
def test_results_are_those_without_timing(declare: Callable[[StreamsBuilder], None]) -> None:
    with driver_of(declare, "debug") as timed, driver_of(declare, "off") as plain:
        found = run(timed, declare)
        assert found == run(plain, declare)
        assert found


def test_every_type_of_operator_is_among_them() -> None:
    seen = set()
    for declare in TOPOLOGIES:
        builder = StreamsBuilder("app")
        declare(builder)
        seen |= {type(node) for sub in plan(builder.build()).subtopologies for node in sub.nodes}
    assert OPERATORS.keys() - seen == set()


def test_an_estimate_is_close() -> None:
    with driver_of(counted, "debug") as driver:
        topic = driver.input_topic("in", key=str, value=int)
        for number in range(1_000):
            topic.pipe("k", number, number)
        found = {labels[1]: number for labels, number in driver.measured[PROCESSED]}
    # The last one that was timed stands for those before it: what came after it is not counted yet.
    assert 1_000 - 64 <= found["counts"] <= 1_000
    assert found["counts"] == found["source-1"]
