"""Partitions are paused while enough records wait, by their number or by the memory they take."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.processor import PunctuationSchedule
from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.backpressure import Backpressure
from pipeline.runtime.broker import Message
from pipeline.runtime.decoding import LAST_TIME_MS
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.record_queue import MESSAGE_BYTES, RecordQueue
from pipeline.runtime.taking import Taker
from pipeline.runtime.task_time import TaskTime
from pipeline.serde import BYTES
from pipeline.topology import Source

VALUE = 1_000
RECORD = VALUE + MESSAGE_BYTES
FIRST, SECOND = TopicPartition("in", 0), TopicPartition("in", 1)


class TakesAll:
    """Takes records, and does nothing with them."""

    def __init__(self) -> None:
        self.message: Message | None = None
        self.time = TaskTime(())
        self.blocked: Collection[object] = ()

    def punctuate_stream(self) -> bool:
        """Fire what is due."""
        self.time.stream_punctuations.fire(self.time.stream)
        return bool(self.blocked)


class Member:
    """A member of a group with two partitions, and what waits of them."""

    def __init__(self, max_records: int, max_bytes: int, taker: Taker | None = None) -> None:
        self.broker = MemoryBroker(ManualClock(0))
        self.broker.create_topic("in", 2)
        self.consumer = self.broker.consumer("group", "member")
        self.backpressure = Backpressure(self.consumer, max_records, max_bytes)
        source = Source(name="in", topics=("in",), key=BYTES, value=BYTES)
        config, clock = StreamsConfig(application_id="app", state_dir=Path("unused")), ManualClock(0)
        self.queues = {
            part: RecordQueue(
                part, source, lambda *_: None, config, clock, taker or TakesAll(), lambda *_: None
            )
            for part in (FIRST, SECOND)
        }
        self.consumer.subscribe(["in"], self)
        self.consumer.poll(1, 0)
        self.consumer.resume([FIRST, SECOND])

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        raise AssertionError(partitions)

    on_lost = on_revoked

    def on_offset_lost(self, partition: TopicPartition, offset: int) -> int:
        raise AssertionError(partition, offset)

    def send(self, partition: TopicPartition, count: int) -> None:
        producer = self.broker.producer("writer")
        for _ in range(count):
            producer.produce("in", b"v" * VALUE, b"k", partition.partition, 0, NO_HEADERS)

    def poll(self, most: int = 10) -> Iterator[int]:
        """Take records in; return how many wait of each partition."""
        runs = self.consumer.poll(most, 0)
        for partition, run in runs.items():
            self.queues[partition].put(run)
        if runs:
            self.backpressure.hold(self.queues.values())
        return map(len, self.queues.values())

    def process(self, partition: TopicPartition, count: int) -> None:
        for _ in range(count):
            assert self.queues[partition].run(1, LAST_TIME_MS) == 1
        self.backpressure.release(self.queues)


@pytest.mark.parametrize(
    ("max_records", "max_bytes"),
    [pytest.param(20, 1 << 30, id="records"), pytest.param(1_000, 20 * RECORD, id="bytes")],
)
def test_a_partition_with_enough_is_paused_until_half_is_processed(max_records: int, max_bytes: int) -> None:
    member = Member(max_records, max_bytes)
    member.send(FIRST, 100)
    for _ in range(10):
        waiting, _other = member.poll()
    assert waiting == 30, "one poll more than the bound"
    member.process(FIRST, 19)
    assert next(member.poll()) == 11
    member.process(FIRST, 1)
    assert next(member.poll()) == 20, "half of it is free: fetched again"


def test_a_partition_without_records_is_fetched_even_when_memory_is_short() -> None:
    member = Member(1_000, 5 * RECORD)
    member.send(FIRST, 10)
    assert [*member.poll()] == [10, 0]
    member.send(SECOND, 10)
    member.send(FIRST, 10)
    assert [*member.poll()] == [10, 10], "a task may wait for it"
    member.send(SECOND, 10)
    assert [*member.poll()] == [10, 10], "now that it has some, it is paused, too"
    member.process(SECOND, 9)
    assert [*member.poll()] == [10, 1]
    member.process(SECOND, 1)
    assert [*member.poll()] == [10, 10], "the other one's records still take all the memory"


def test_memory_is_counted_by_what_was_put_and_not_taken_whole() -> None:
    member = Member(1_000, 1 << 30)
    member.send(FIRST, 10)
    queue = member.queues[FIRST]
    next(member.poll(4))
    next(member.poll(6))
    assert queue.size == 10 * RECORD
    member.process(FIRST, 3)
    assert queue.size == 10 * RECORD
    member.process(FIRST, 1)
    assert queue.size == 6 * RECORD
    member.process(FIRST, 6)
    assert queue.size == 0


def test_nothing_is_taken_when_a_punctuation_blocks_the_task() -> None:
    """As one does that hands a record to an agent which awaits."""
    taker, blocked = TakesAll(), set[object]()
    taker.blocked = blocked
    taker.time.stream_punctuations.add(PunctuationSchedule(1, 0, lambda _time: blocked.add("an agent")))
    member = Member(1_000, 1 << 30, taker)
    member.send(FIRST, 3)
    next(member.poll())
    assert member.queues[FIRST].run(3, LAST_TIME_MS) == 1
    assert len(member.queues[FIRST]) == 2
