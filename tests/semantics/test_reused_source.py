"""A table restored from its own topic instead of a changelog (rule a9.13, `reuse.ktable.source.topics`).

What is in the table, and what comes out of it, is the same as with a changelog, whatever happens to the
worker.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import Record, StreamsError, TopologyError
from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.planner import Plan, plan
from pipeline.runtime.memory import MemoryAdmin, MemoryBroker
from pipeline.runtime.memory_log import MemoryTopic
from pipeline.runtime.topic_check import TopicCheck
from pipeline.runtime.topics import prepare_topics
from pipeline.state.provider import MemoryProvider
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.crashes import Bomb, pipe_batch
from tests.semantics.timed import joined, shown, topology

Row: TypeAlias = tuple[str, str, int]
#: Key, value, time; a value that begins with `!` cannot be decoded.
Piped: TypeAlias = tuple[str | None, str | None, int]


class Shouted:
    """Text that must not begin with `!`."""

    name = "shouted"

    def serialize(self, value: str, /) -> bytes:
        return value.encode()

    def deserialize(self, data: bytes, /) -> str:
        if data.startswith(b"!"):
            raise ValueError("it begins with !")
        return data.decode()


def later(record: Record[Any, Any], _partition_time: int) -> int:
    """Event time is not the record's own; none for `no-time`."""
    return -1 if record.value == "no-time" else record.timestamp + 1_000


def declared(*, reuse: bool, bomb: Bomb | None = None) -> Callable[[StreamsBuilder], None]:
    def declare(builder: StreamsBuilder) -> None:
        table = builder.table("R", name="t", value=Shouted(), timestamp=later, reuse_source=reuse)
        table.to_stream().peek(bomb or Bomb()).to("changes")
        stream = builder.stream("in", key=str, value=str)
        stream.left_join(table, joined, value=str).to("out")

    return declare


def driver(*, reuse: bool, bomb: Bomb | None = None, **settings: Any) -> TopologyTestDriver:
    settings = {"on_decode_error": "continue"} | settings
    return TopologyTestDriver(topology(declared(reuse=reuse, bomb=bomb)), **settings)


def rows(worker: TopologyTestDriver) -> list[Row]:
    return [(key.decode(), row.value, row.timestamp) for key, row in worker.store("t").committed_scan()]


def test_a9_13_there_is_no_changelog_and_the_topic_brings_rows_and_times_back() -> None:
    with driver(reuse=True) as worker:
        assert worker.broker.topics() == ["R", "changes", "in", "out"]
        table = worker.input_topic("R", value=str)
        for key, value, time in (("a", "1", 5), ("b", "2", 6), ("a", "3", 4), ("c", "4", 7), ("c", None, 8)):
            table.pipe(key, value, time)
        expected = [("a", "3", 1_004), ("b", "2", 1_006)]
        assert rows(worker) == expected
        worker.output_topic("changes", value=str).read_all()
        for crash in (False, True):
            worker.restart(crash=crash, stores=MemoryProvider())
            assert rows(worker) == expected
            assert worker.metrics["records_restored"] == 5
        assert len(worker.output_topic("changes", value=str).read_all()) == 5


def test_what_was_skipped_is_skipped_again_without_a_word() -> None:
    with driver(reuse=True) as worker:
        table = worker.input_topic("R", value=str)
        for key, value in (("a", "1"), (None, "2"), ("b", "!"), ("c", "no-time"), ("d", "3")):
            table.pipe(key, value, 1)
        assert rows(worker) == [("a", "1", 1_001), ("d", "3", 1_001)]
        counts = dict(worker.metrics)
        assert (counts["decode_errors_skipped"], counts["records_rejected"], counts["records_dropped"]) == (
            1,
            1,
            1,
        )
        worker.restart(stores=MemoryProvider())
        assert rows(worker) == [("a", "1", 1_001), ("d", "3", 1_001)]
        counts = dict(worker.metrics)
        assert (counts["decode_errors_skipped"], counts["records_rejected"], counts["records_dropped"]) == (
            0,
            0,
            0,
        )


def test_it_is_restored_no_further_than_what_is_committed() -> None:
    """Or what is processed again would meet rows from its future."""
    bomb = Bomb()
    with driver(reuse=True, bomb=bomb, poll_records=10) as worker:
        pipe_batch(worker, [("R", "a", "1", 1)], bomb)
        bomb.value = "2"
        pipe_batch(worker, [("in", "a", "x", 1_005), ("R", "a", "2", 6)], bomb)
        assert rows(worker) == [("a", "2", 1_006)]
        # Before the crash, and after it.
        assert shown(worker.output_topic("out", value=str).read_all()) == "a:x-1@1005 a:x-1@1005"


def test_a_store_on_disk_goes_on_from_where_it_is() -> None:
    stores = MemoryProvider()
    with driver(reuse=True, stores=stores) as worker:
        table = worker.input_topic("R", value=str)
        table.pipe("a", "1", 1)
        worker.restart()
        assert worker.metrics["records_restored"] == 0
        table.pipe("a", "2", 2)
        assert rows(worker) == [("a", "2", 1_002)]


def test_compaction_takes_nothing_away() -> None:
    with driver(reuse=True) as worker:
        table = worker.input_topic("R", value=str)
        for key, value, time in (("a", "1", 1), ("a", "2", 2), ("b", "3", 3), ("b", None, 4)):
            table.pipe(key, value, time)
        worker.broker.compact("R")
        worker.restart(stores=MemoryProvider())
        assert rows(worker) == [("a", "2", 1_002)]


def test_from_a_changelog_to_the_topic_and_back_on_one_disk() -> None:
    """Positions in one mean nothing in the other: each has a store of its own."""
    stores = MemoryProvider()
    broker_rows = []
    for reuse in (False, True, False):
        with driver(reuse=reuse, stores=stores) as worker:
            worker.input_topic("R", value=str).pipe("a", f"{reuse}", 1)
            broker_rows.append(rows(worker))
    assert broker_rows == [[("a", "False", 1_001)], [("a", "True", 1_001)], [("a", "False", 1_001)]]


def test_a_topic_made_anew_is_told_of() -> None:
    """It ends before what was committed: the rows are another topic's."""
    with driver(reuse=True) as worker:
        table = worker.input_topic("R", value=str)
        table.pipe("a", "1", 1)
        table.pipe("b", "2", 2)
        worker.broker._topics["R"] = MemoryTopic("R", 1, {})
        with pytest.raises(
            StreamsError, match=r"R-0 ends at 0, and .* ends at 2: it was truncated or made anew"
        ):
            worker.restart(crash=True, stores=MemoryProvider())


VALUES = st.sampled_from(["1", "2", "!", "no-time", None])
RECORDS = st.tuples(st.sampled_from(["a", "b", None]), VALUES, st.integers(0, 20))
STEPS = st.lists(
    st.one_of(RECORDS, RECORDS, RECORDS, st.sampled_from(["restart", "crash", "move", "join"])), max_size=25
)


@given(STEPS)
def test_a9_13_the_same_as_with_a_changelog(steps: list[Piped | str]) -> None:
    """Whatever comes, and whatever happens to the worker: rows, their times, and what comes out."""
    with driver(reuse=True) as one, driver(reuse=False) as other:
        for step in steps:
            got = [act(worker, step) for worker in (one, other)]
            assert got[0] == got[1]


def act(worker: TopologyTestDriver, step: Piped | str) -> object:
    match step:
        case "restart":
            worker.restart()
        case "crash":
            worker.restart(crash=True)
        case "move":
            worker.restart(crash=True, stores=MemoryProvider())
        case "join":
            for key in ("a", "b"):
                worker.input_topic("in", value=str).pipe(key, "x", 0)
        case (key, value, time):
            worker.input_topic("R", value=str).pipe(key, value, time)
    outputs = [shown(worker.output_topic(topic, value=str).read_all()) for topic in ("changes", "out")]
    return rows(worker), outputs


#: What the topic is configured with, and whether that keeps every row.
CONFIGURED = {
    "compacted": ({"cleanup.policy": "compact"}, True),
    "kept-for-ever": ({"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}, True),
    "compacted-and-kept": ({"cleanup.policy": "compact,delete", "retention.ms": "-1"}, True),
    "deleted-by-age": ({"cleanup.policy": "delete", "retention.ms": "604800000"}, False),
    "deleted-by-size": ({"cleanup.policy": "delete", "retention.bytes": "1000"}, False),
    "compacted-and-deleted-by-age": ({"cleanup.policy": "delete,compact", "retention.ms": "1"}, False),
}


@pytest.mark.parametrize(("config", "keeps"), CONFIGURED.values(), ids=CONFIGURED.keys())
def test_the_topic_must_keep_every_row(config: dict[str, str], *, keeps: bool) -> None:
    broker = MemoryBroker(ManualClock())
    broker.create_topic("R", 1, config)
    for topic in ("in", "out", "changes"):
        broker.create_topic(topic)
    prepared = plan(topology(declared(reuse=True)))
    if keeps:
        prepare(prepared, broker.admin())
        return
    with pytest.raises(TopologyError) as raised:
        prepare(prepared, broker.admin())
    parts = ("t (", "test_reused_source.py:", "'R'", *config.values(), "compact", "reuse_source=")
    assert [part for part in parts if part not in str(raised.value)] == []
    prepare(plan(topology(declared(reuse=False))), broker.admin())


def prepare(prepared: Plan, admin: MemoryAdmin) -> None:
    config = StreamsConfig("test", Path())
    prepare_topics(prepared, config, admin, TopicCheck("memory", config))


class MuteAdmin(MemoryAdmin):
    """Knows no configuration, as the embedded broker."""

    def topic_configs(self, topics: Sequence[str]) -> dict[str, Mapping[str, str]]:
        return {topic: {} for topic in topics}


def test_a_broker_that_does_not_tell_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    broker = MemoryBroker(ManualClock())
    for topic in ("R", "in", "out", "changes"):
        broker.create_topic(topic)
    admin = MuteAdmin(broker)
    with caplog.at_level(logging.WARNING):
        prepare(plan(topology(declared(reuse=True))), admin)
    assert "t (" in caplog.text
    assert "does not tell" in caplog.text
