"""What becomes of a record that fails: the worker stops, the record is skipped, or it is put aside.

One setting a stage says which: `on_decode_error`, `on_processing_error`, `on_produce_error`. A record
is handled by the operator that fails on it, so what came before that operator and what stands beside
it goes on (Kafka Streams handles processing errors at the node, too).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from pipeline.config import Stage, StreamsConfig
from pipeline.errors import (
    DeliveryError,
    ProduceError,
    RecordError,
    RewindError,
    SerdeError,
    UnhandledRecordError,
)
from pipeline.record import NO_HEADERS, TaskId, TopicPartition
from pipeline.runtime.broker import Message
from pipeline.runtime.counters import CounterName
from pipeline.runtime.dead_letter import LONGEST_TEXT, DeadLetters, Letter
from pipeline.runtime.metrics.recorder import Recorder
from pipeline.runtime.undelivered import Undelivered
from pipeline.state.store import Entry

_log: Final = logging.getLogger(__name__)

_SKIPPED: Final[dict[Stage, CounterName]] = {
    "decode": "decode_errors_skipped",
    "processing": "processing_errors_skipped",
    "produce": "produce_errors_skipped",
}


class Update(msgspec.Struct, frozen=True):
    """A table's update on its way to the operators after the table; or a record that waited in a store."""

    changelog: TopicPartition
    key: bytes
    entry: Entry
    serialize: Callable[[Any], bytes]


class Punctuation(NamedTuple):
    """What happens because time has come, with no record in hand: its dead letter has no key and no value."""

    task: TaskId
    time_ms: int


#: What a task has in hand when something fails.
InHand: TypeAlias = Message | Update | Punctuation


class Failures:
    """Does with each failure what the settings say.

    A record that fails in several operators is one failure: the first reason counts.
    """

    def __init__(self, config: StreamsConfig, dead_letters: DeadLetters, recorder: Recorder) -> None:
        self._config, self._dead_letters, self._recorder = config, dead_letters, recorder
        self._last: dict[str, InHand] = {}

    def handle(self, in_hand: InHand, error: RecordError, task: str = "") -> None:
        """Handle an error that a record has, or that came up while it was processed.

        Args:
            in_hand: what fails.
            error: why.
            task: of which task, if any.

        Raises:
            UnhandledRecordError: the worker is to stop.
        """
        stage = _stage(error)
        action = self._config.action(stage)
        if action == "fail":
            raise UnhandledRecordError(
                f"{error} [{_where(in_hand)}]; the worker stops here, and meets it again when it is started: "
                f"mend the cause, or set dead_letter= to put such records aside, or "
                f'on_{stage}_error="continue" to skip them{self._past(in_hand)}'
            ) from error
        if self._last.get(action) is in_hand:
            return
        self._last[action] = in_hand
        if action == "dead-letter":
            self._dead_letters.send(_letter(in_hand), error, stage)
        else:
            self._recorder.drop(task, f"{stage}_error")
            self.count(_SKIPPED[stage], "skipped", error, in_hand)

    def drop(
        self, in_hand: InHand, counter: CounterName, error: RecordError, reason: str, task: str = ""
    ) -> None:
        """Put aside what a rule drops although it is no error; count it where there is no topic for that.

        Args:
            in_hand: what is dropped.
            counter: counts it.
            error: what to say.
            reason: why, in few words that are the same for all such records.
            task: of which task, if any.
        """
        if self._dead_letters.topic is None:
            self._recorder.drop(task, reason)
            self.count(counter, "dropped", error, in_hand)
        elif self._last.get("dead-letter") is not in_hand:
            self._last["dead-letter"] = in_hand
            self._dead_letters.send(_letter(in_hand), error, reason)

    def _past(self, in_hand: InHand) -> str:
        """Say how to go past one record without a setting for all, if that is what failed."""
        if isinstance(in_hand, Punctuation | Update):
            return ""
        return (
            f"; or go past this one alone: kafka-consumer-groups.sh --bootstrap-server <host:port> --group "
            f"{self._config.application_id} --topic {in_hand.topic}:{in_hand.partition} --reset-offsets "
            f"--to-offset {in_hand.offset + 1} --execute"
        )

    def undelivered(self, records: Sequence[Undelivered], internal: frozenset[str]) -> None:
        """Handle records that the broker refused.

        Args:
            records: what it refused.
            internal: topics of state and of repartitions.

        Raises:
            DeliveryError: the worker is to stop; or it is state or a dead letter itself, and going on would
                lose it.
            RewindError: nobody acknowledged the record in time, which is not its fault.
        """
        for record in records:
            if record.timed_out:
                raise RewindError(
                    f"topic {record.topic!r} did not take a record: {record.reason}; going back to the last "
                    "commit"
                )
            error = ProduceError(f"topic {record.topic!r} refused a record: {record.reason}")
            action = self._config.action("produce")
            lost = record.topic == self._dead_letters.topic or record.topic in internal
            if lost or action == "fail":
                raise DeliveryError(f"{error}; the worker stops before it commits")
            if action == "continue":
                self._recorder.drop("", "produce_error")
                self.count(_SKIPPED["produce"], "skipped", error, record)
            else:
                letter = Letter(
                    record.key,
                    record.value,
                    record.timestamp,
                    record.headers,
                    record.topic,
                    record.partition,
                )
                self._dead_letters.send(letter, error, "produce")

    def count(self, counter: CounterName, who: object, why: object, in_hand: InHand | Undelivered) -> None:
        """Count what is dropped or skipped; log the 1st, the 2nd, the 4th, ...: input may be full of it."""
        counters = self._recorder.counters
        count = counters[counter] = counters[counter] + 1
        if count & (count - 1) == 0:
            text = f"{who}: {why}"[:LONGEST_TEXT]
            _log.warning("%s: %d so far; %s [%s]", counter, count, text, _where(in_hand))


def _stage(error: RecordError) -> Stage:
    if isinstance(error, SerdeError):
        return "decode"
    return "produce" if isinstance(error, ProduceError) else "processing"


def _where(in_hand: InHand | Undelivered) -> str:
    if isinstance(in_hand, Undelivered):
        return f"record for {in_hand.topic}-{in_hand.partition}"
    if isinstance(in_hand, Punctuation):
        return f"punctuation of task {in_hand.task} at {in_hand.time_ms} ms"
    if isinstance(in_hand, Update):
        return f"row of {in_hand.changelog}"
    return f"record {in_hand.topic}-{in_hand.partition} offset {in_hand.offset}"


def _letter(in_hand: InHand) -> Letter:
    if isinstance(in_hand, Punctuation):
        return Letter(None, None, in_hand.time_ms, NO_HEADERS, "", -1)
    if isinstance(in_hand, Update):
        entry = in_hand.entry
        value = None if entry.value is None else in_hand.serialize(entry.value)
        return Letter(in_hand.key, value, entry.timestamp, entry.headers, *in_hand.changelog)
    headers, timestamp = in_hand.headers, in_hand.timestamp
    where = (in_hand.topic, in_hand.partition, in_hand.offset)
    return Letter(in_hand.key, in_hand.value, timestamp, headers, *where)
