"""Records are taken off a queue in C as in Python: the same records, rejections, times and punctuations."""

from __future__ import annotations

import gc
import weakref
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.compiled import native
from pipeline.errors import BrokerUnreachableError, RecordError
from pipeline.processor import PunctuationSchedule
from pipeline.record import NO_HEADERS, Record
from pipeline.runtime.broker import Message
from pipeline.runtime.decoding import LAST_TIME_MS, Decoding
from pipeline.runtime.memory_log import MemoryMessage
from pipeline.runtime.taking import Head, Take, taking_in_python
from pipeline.runtime.task_time import TaskTime
from pipeline.serde import BYTES, JSON, STRING, Serde
from pipeline.timestamps import TimestampExtractor
from pipeline.topology import Source

LIMIT_BYTES = 20

compiled = pytest.mark.skipif(native is None, reason="no C compiler: nothing was built")
WAYS = [pytest.param("python"), pytest.param("compiled", marks=compiled)]


class Waiting:
    """A queue, and who takes its records: what happens is written down."""

    def __init__(
        self,
        way: str,
        messages: Sequence[Message],
        *,
        key: Serde[Any] = STRING,
        value: Serde[Any] = JSON,
        extract: TimestampExtractor | None = None,
        punctuations: Sequence[bool] = (),
        blocks_at: Collection[int] = (),
    ) -> None:
        self.messages = deque(messages)
        self.head: Head | None = None
        self.has_large = sum(len(message.value or b"") for message in messages) > LIMIT_BYTES
        self.partition_time = -1
        self.next_offset: int | None = None
        self.taken = 0
        self.message: Message | None = None
        self.time = TaskTime(())
        self.blocked: set[object] = set()
        self.happened: list[object] = []
        self._blocks_at = blocks_at
        self._punctuations: Iterator[bool] = cycle(punctuations)
        if punctuations:
            self.time.stream_punctuations.add(PunctuationSchedule(1, 0, lambda _: None))
        source = Source(name="in", topics=("in",), key=key, value=value, timestamp=extract)
        decoding = Decoding(source, LIMIT_BYTES, ManualClock(0), self.reject)
        made = taking_in_python if way == "python" else native.Taking
        self.take: Take = made(self, self, decoding)

    def reject(self, message: Message, error: RecordError) -> None:
        self.happened.append(("rejected", message.offset, type(error), str(error)))

    def punctuate_stream(self) -> bool:
        assert self.message is None or self.time.stream >= 0
        self.happened.append(("punctuated", self.time.stream))
        return next(self._punctuations)

    def turn(self, limit: int, until: int) -> None:
        for key, value, timestamp, headers in self.take(limit, until):
            assert self.message is not None
            self.happened.append((key, value, timestamp, headers, self.message.offset, self.time.stream))
            if self.message.offset in self._blocks_at:
                self.blocked.add(self)
        head = None if self.head is None else self.head[1:]
        state = self.taken, len(self.messages), head, self.partition_time, self.next_offset
        self.happened.append((*state, self.time.stream))
        self.blocked.clear()


def message(offset: int, key: bytes | None, value: bytes | None, timestamp: int) -> MemoryMessage:
    headers = [("n", b"1")] if offset % 3 else NO_HEADERS
    return MemoryMessage("in", 0, offset, key=key, value=value, timestamp=timestamp, headers=headers)


def by_value(record: Record[Any, Any], partition_time: int) -> int:
    """An event time that the user's function finds: in a text, none."""
    if isinstance(record.value, str):
        raise ValueError("no time")  # noqa: TRY004 - as users do
    found: int = partition_time + 1 if record.value is None else record.value.get("t", record.timestamp)
    return found


KEYS = st.sampled_from([None, b"", b"a", b"\xff"])
LARGE = b'"%s"' % (b"x" * LIMIT_BYTES)
VALUES = st.sampled_from([None, b"", b"{}", b'{"t":7}', b'{"t":-1}', b'{"t":"x"}', b'"text"', b"{", LARGE])
TIMES = st.one_of(st.integers(0, 20), st.sampled_from([-1, LAST_TIME_MS, LAST_TIME_MS + 1, 2**70, -(2**70)]))
MESSAGES = st.lists(st.tuples(KEYS, VALUES, TIMES), max_size=12)
UNTIL = st.sampled_from([-1, 3, 10, LAST_TIME_MS])
TURNS = st.lists(st.tuples(st.integers(0, 6), UNTIL), min_size=1, max_size=6)


@compiled
@given(
    records=MESSAGES,
    turns=TURNS,
    serdes=st.sampled_from([(STRING, JSON), (BYTES, BYTES), (BYTES, JSON)]),
    extract=st.sampled_from([None, None, by_value]),
    punctuations=st.sampled_from([(), (False,), (True,), (False, True)]),
    blocks_at=st.sets(st.integers(0, 11), max_size=2),
)
def test_both_ways_do_the_same(
    records: list[tuple[bytes | None, bytes | None, int]],
    turns: list[tuple[int, int]],
    serdes: tuple[Serde[Any], Serde[Any]],
    extract: TimestampExtractor | None,
    punctuations: Sequence[bool],
    blocks_at: Collection[int],
) -> None:
    key, value = serdes
    happened = []
    for way in ("python", "compiled"):
        waiting = Waiting(
            way,
            [message(offset, *parts) for offset, parts in enumerate(records)],
            key=key,
            value=value,
            extract=extract,
            punctuations=punctuations,
            blocks_at=blocks_at,
        )
        for turn in turns:
            waiting.turn(*turn)
        happened.append(waiting.happened)
    assert happened[0] == happened[1]


def taken(offset: int, timestamp: int, stream: int) -> tuple[object, ...]:
    return ("a", {}, timestamp, [("n", b"1")] if offset % 3 else NO_HEADERS, offset, stream)


@pytest.mark.parametrize("way", WAYS)
def test_a_turn_ends_before_what_is_later_and_goes_on_with_it(way: str) -> None:
    waiting = Waiting(way, [message(offset, b"a", b"{}", time) for offset, time in enumerate((5, 3, 9, 4))])
    waiting.turn(10, 5)
    head: object = ("a", {}, 9, [("n", b"1")])
    assert waiting.happened == [taken(0, 5, 5), taken(1, 3, 5), (2, 1, head, 5, 2, 5)]
    waiting.happened.clear()
    waiting.turn(10, LAST_TIME_MS)
    assert waiting.happened == [taken(2, 9, 9), taken(3, 4, 9), (2, 0, None, 9, 4, 9)]


@pytest.mark.parametrize("way", WAYS)
def test_none_is_taken_while_it_is_blocked(way: str) -> None:
    waiting = Waiting(way, [message(offset, b"a", b"{}", 1) for offset in range(3)], blocks_at=[0])
    waiting.turn(10, LAST_TIME_MS)
    assert waiting.happened == [taken(0, 1, 1), (1, 2, None, 1, 1, 1)]


class Away(Serde[Any]):
    """What asks a registry that does not answer."""

    name = "away"

    def serialize(self, value: Any) -> bytes:
        raise NotImplementedError

    def deserialize(self, _data: bytes) -> Any:
        raise BrokerUnreachableError("nobody answers")


@pytest.mark.parametrize("way", WAYS)
def test_what_stops_the_worker_ends_a_turn(way: str) -> None:
    waiting = Waiting(way, [message(0, b"a", b"{}", 1)], value=Away())
    with pytest.raises(BrokerUnreachableError, match="nobody answers"):
        waiting.turn(1, LAST_TIME_MS)


class Interrupted(Away):
    """What is interrupted from the keyboard."""

    def deserialize(self, _data: bytes) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_is_no_failure_of_a_record(way: str) -> None:
    waiting = Waiting(way, [message(0, b"a", b"{}", 1)], value=Interrupted())
    with pytest.raises(KeyboardInterrupt):
        waiting.turn(1, LAST_TIME_MS)
    assert waiting.happened == []


def failing(*_: object) -> bool:
    raise RuntimeError("stop")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("at", ["reject", "punctuate_stream"])
def test_what_others_raise_is_raised(way: str, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Waiting, at, failing)
    waiting = Waiting(way, [message(0, b"a", b"{}", 1), message(1, b"a", b"{", 1)], punctuations=[False])
    with pytest.raises(RuntimeError, match="stop"):
        waiting.turn(5, LAST_TIME_MS)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_handed_on_and_kept_stays_as_it_was(way: str) -> None:
    waiting = Waiting(way, [message(offset, b"%d" % offset, b"{}", offset) for offset in range(3)])
    kept = list(waiting.take(3, LAST_TIME_MS))
    assert [key for key, *_ in kept] == ["0", "1", "2"]


@pytest.mark.parametrize("way", WAYS)
def test_it_is_freed_with_its_queue(way: str) -> None:
    waiting = Waiting(way, [message(offset, b"a", b"{}", offset) for offset in range(3)])
    waiting.turn(2, LAST_TIME_MS)
    gone = weakref.ref(waiting)
    del waiting
    gc.collect()
    assert gone() is None


@compiled
@pytest.mark.parametrize("attribute", ["messages", "time", "blocked", "schedules"])
def test_what_is_no_queue_is_refused(attribute: str) -> None:
    waiting = Waiting("python", [])
    if attribute == "schedules":
        waiting.time.stream_punctuations.schedules = ()  # type: ignore[assignment]
    else:
        delattr(waiting, attribute)
    source = Source(name="in", topics=("in",), key=BYTES, value=BYTES)
    decoding = Decoding(source, LIMIT_BYTES, ManualClock(0), waiting.reject)
    with pytest.raises((AttributeError, TypeError), match=attribute):
        native.Taking(waiting, waiting, decoding)
