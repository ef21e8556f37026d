"""Feeds poison to a worker, and finds every input again: in the output, or among the dead letters.

The topology reads, looks at each record, and writes it on, with the serde in question for key and value.
Nothing may be lost, nothing be there twice; what is put aside is as it came.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Message
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from tests.poison.inputs import KINDS, LARGEST, LAST_MS, NUMBER, Poison, poison
from tests.poison.serdes import SERDES, Fuzzed

#: So many inputs are written before the worker turns to them.
CHUNK: Final = 500
#: More than enough to read a chunk, write it on and commit it.
_STEPS: Final = 50
_TOPICS: Final = ("in", "out", "dead")
_WHY: Final = ["application", "exception", "message", "offset", "partition", "topic"]


@dataclass
class Result:
    """What became of the inputs of one serde.

    Attributes:
        name: the serde.
        seed: of the inputs.
        inputs: how many there were, by kind.
        dead: how many of them are dead letters.
        written: how many of them are in the output.
    """

    name: str
    seed: int
    inputs: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)

    def row(self, kind: str | None = None) -> tuple[int, int, int]:
        """Return inputs, those in the output, and dead letters, of one kind or of all."""
        kinds = KINDS if kind is None else (kind,)
        counted = [sum(count[each] for each in kinds) for count in (self.inputs, self.written, self.dead)]
        return counted[0], counted[1], counted[2]


def feed(name: str, inputs: int, seed: int) -> Result:
    """Feed a topology of one serde.

    Args:
        name: of the serde, in `SERDES`.
        inputs: how many.
        seed: of all that is random.

    Raises:
        AssertionError: an input is lost, is there twice, stands where it does not belong, or was altered.
    """
    fuzzed, random, result = SERDES[name], Random(f"{seed} {name}"), Result(name, seed)
    clock = ManualClock(1_700_000_000_000)
    broker = MemoryBroker(clock)
    for topic in _TOPICS:
        broker.create_topic(topic)
    builder = StreamsBuilder("poison")
    stream = builder.stream("in", key=fuzzed.serde, value=fuzzed.serde)
    stream.peek(lambda key, value: (key, value)).to("out")
    config = StreamsConfig("poison", Path("unused"), dead_letter="dead", max_record_bytes=LARGEST)
    worker = Worker(builder.build(), config, broker, clock, MemoryProvider(), "w")
    for first in range(0, inputs, CHUNK):
        chunk = [poison(fuzzed, number, random) for number in range(first, min(first + CHUNK, inputs))]
        _feed_chunk(broker, worker, clock, chunk)
        _check(broker, fuzzed, chunk, first, result)
        for topic in _TOPICS:
            partition = TopicPartition(topic, 0)
            broker.delete_before(partition, broker.admin().end_offsets([partition])[partition])
    worker.close()
    return result


def _feed_chunk(broker: MemoryBroker, worker: Worker, clock: ManualClock, chunk: list[Poison]) -> None:
    producer = broker.producer("test")
    for _kind, key, value, timestamp, headers in chunk:
        producer.produce("in", value, key, 0, timestamp, headers)
    end = broker.admin().end_offsets([TopicPartition("in", 0)])[TopicPartition("in", 0)]
    for _ in range(_STEPS):
        worker.step()
        clock.advance(1_000)
        committed = broker.committed("poison").get(TopicPartition("in", 0))
        if committed is not None and committed.offset == end:
            return
    raise AssertionError(f"not processed after {_STEPS} steps: {worker.status()}")


def _check(broker: MemoryBroker, fuzzed: Fuzzed, chunk: list[Poison], first: int, result: Result) -> None:
    came = _by_number(broker, "in")
    written, dead = _by_number(broker, "out"), _by_number(broker, "dead")
    for number, given in enumerate(chunk, first):
        what = f"input {number} of seed {result.seed}, {result.name}: {given!r:.500}"
        passes, expected = _expected(fuzzed, came[number])
        assert (number in written, number in dead) == (passes, not passes), what
        if passes:
            message = written[number]
            assert (message.key, message.value) == expected, what
            assert message.headers == came[number].headers, what
            # Whoever reads it next is not poisoned by it.
            assert [_again(fuzzed, data) for data in expected] == list(expected), what
        else:
            message = dead[number]
            assert (message.key, message.value) == (given.key, given.value), what
            own = list(given.headers)
            assert list(message.headers)[: len(own)] == own, what
            rest = [name.removeprefix("__streams.errors.") for name, _ in message.headers[len(own) :]]
            assert sorted(rest) == _WHY, what
            assert given.kind != "valid", what
        assert message.timestamp == came[number].timestamp, what
        result.inputs[given.kind] += 1
        (result.written if passes else result.dead)[given.kind] += 1


def _by_number(broker: MemoryBroker, topic: str) -> dict[int, Message]:
    """Return a topic's records by the number of their input; none may be there twice."""
    found: dict[int, Message] = {}
    for message in broker.records(topic):
        number = int(dict(message.headers)[NUMBER] or b"")
        assert number not in found, f"input {number} stands twice in {topic}"
        found[number] = message
    return found


def _expected(fuzzed: Fuzzed, message: Message) -> tuple[bool, tuple[bytes | None, bytes | None]]:
    """Return whether a record passes, and the key and value that it passes with: by the serde alone."""
    value = message.value
    too_large = value is not None and len(value) > LARGEST
    if too_large or not 0 <= message.timestamp <= LAST_MS:
        return False, (None, None)
    try:
        pair = [_again(fuzzed, data) for data in (message.key, value)]
    except Exception:  # noqa: BLE001 - whatever a serde raises
        return False, (None, None)
    return True, (pair[0], pair[1])


def _again(fuzzed: Fuzzed, data: bytes | None) -> bytes | None:
    """Decode and encode; what means nothing, as JSON's null, becomes no bytes at all."""
    if data is None:
        return None
    decoded: Any = fuzzed.serde.deserialize(data)
    return None if decoded is None else fuzzed.serde.serialize(decoded)
