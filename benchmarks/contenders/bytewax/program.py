"""Each work as a user of Bytewax writes it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators.windowing import (
    EventClock,
    SessionWindower,
    SlidingWindower,
    TumblingWindower,
    Windower,
    fold_window,
)
from bytewax.run import cli_main
from bytewax.testing import TestingSink

from benchmarks import avro
from benchmarks.digest import Digest
from benchmarks.events import DROPPED_SEVERITY, HOP_MS, SESSION_GAP_MS, WINDOW_MS
from benchmarks.log import Log
from benchmarks.masking import masked_event, masked_log
from benchmarks.measurement import Job, Measurement
from benchmarks.program import answer, job_of_command_line
from benchmarks.stopwatch import Stopwatch

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_WINDOW: Final = timedelta(milliseconds=WINDOW_MS)
#: A key's time goes on with the system's after its last record: whoever takes longer than this to come to the
#: next one finds its window closed. So it must be longer than the run, not as long as the others' grace.
_WAIT: Final = timedelta(days=1)

_Message: TypeAlias = KafkaSourceMessage[Any, Any]
#: Of a session, its start; count; sum.
_Counted: TypeAlias = tuple[int, int, int]


class _Flow:
    """A job as a dataflow."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.result = Digest()
        self.watch: Stopwatch | None = None
        self.flow = Dataflow("measured")
        source = KafkaSource(
            [job.address],
            [job.source],
            tail=False,
            add_config={"fetch.queue.backoff.ms": "5"},
        )
        self.source = op.input("source", self.flow, source)
        works: dict[str, Callable[[], None]] = {
            "read": self._read,
            "decode": self._decode,
            "route": self._route,
            "count": self._count,
            "hopping": self._hopping,
            "session": self._session,
        }
        works[job.work]()

    def each(self, function: Callable[[list[_Message]], list[Any]]) -> Stream[Any]:
        """Apply a function to batches."""

        def applied(batch: list[_Message]) -> list[Any]:
            if self.watch is None:
                self.watch = Stopwatch()
            return function(batch)

        return op.flat_map_batch("each", self.source, applied)

    def _sum(self, amount: Callable[[_Message], int]) -> None:
        result = self.result

        def summed(batch: list[_Message]) -> list[Any]:
            result.records += len(batch)
            result.checksum += sum([amount(message) for message in batch])
            return []

        op.output("nothing", self.each(summed), TestingSink([]))

    def _read(self) -> None:
        self._sum(lambda message: len(message.value))

    def _decode(self) -> None:
        if self.job.format == "typed":
            decode_log = msgspec.json.Decoder(Log).decode
            self._sum(lambda message: decode_log(message.value).bytes)
        else:
            avros = self.job.format == "avro"
            decode: Any = avro.decode if avros else msgspec.json.Decoder().decode
            self._sum(lambda message: decode(message.value)["bytes"])

    def _route(self) -> None:
        encode = msgspec.json.Encoder().encode

        def sent(message: _Message, value: bytes) -> KafkaSinkMessage[Any, Any]:
            return KafkaSinkMessage(message.key, value, timestamp=message.timestamp[1])

        if self.job.format == "typed":
            decode_log = msgspec.json.Decoder(Log).decode

            def routed(batch: list[_Message]) -> list[Any]:
                logs = [(message, decode_log(message.value)) for message in batch]
                return [
                    sent(message, encode(masked_log(log)))
                    for message, log in logs
                    if log.severity != DROPPED_SEVERITY
                ]
        elif self.job.format == "avro":

            def routed(batch: list[_Message]) -> list[Any]:
                events = [(message, avro.decode(message.value)) for message in batch]
                return [
                    sent(message, avro.encode(masked_event(event), avro.head(message.value)))
                    for message, event in events
                    if event["severity"] != DROPPED_SEVERITY
                ]
        else:
            decode = msgspec.json.Decoder().decode

            def routed(batch: list[_Message]) -> list[Any]:
                events = [(message, decode(message.value)) for message in batch]
                return [
                    sent(message, encode(masked_event(event)))
                    for message, event in events
                    if event["severity"] != DROPPED_SEVERITY
                ]

        sink = KafkaSink([self.job.address], self.job.target, add_config={"linger.ms": "5"})
        op.output("target", self.each(routed), sink)

    def _count(self) -> None:
        self._in_windows(TumblingWindower(_WINDOW, align_to=_EPOCH), WINDOW_MS)

    def _hopping(self) -> None:
        hop = timedelta(milliseconds=HOP_MS)
        self._in_windows(SlidingWindower(length=_WINDOW, offset=hop, align_to=_EPOCH), HOP_MS)

    def _session(self) -> None:
        self._in_windows(SessionWindower(gap=timedelta(milliseconds=SESSION_GAP_MS)), None)

    def _in_windows(self, windower: Windower[Any], advance_ms: int | None) -> None:
        """Count and sum; a window's number times `advance_ms` is its start; None: it holds its start."""
        decode, result = msgspec.json.Decoder().decode, self.result

        def keyed(batch: list[_Message]) -> list[tuple[str, tuple[int, int]]]:
            return [
                (message.key.decode(), (message.timestamp[1], decode(message.value)["bytes"]))
                for message in batch
            ]

        def folded(so_far: _Counted, event: tuple[int, int]) -> _Counted:
            return min(so_far[0] or event[0], event[0]), so_far[1] + 1, so_far[2] + event[1]

        def merged(left: _Counted, right: _Counted) -> _Counted:
            return min(left[0], right[0]), left[1] + right[1], left[2] + right[2]

        clock = EventClock(
            lambda event: _EPOCH + event[0] * _MS,
            wait_for_system_duration=_WAIT,
        )
        windows = fold_window(
            "windows",
            self.each(keyed),
            clock,
            windower,
            lambda: (0, 0, 0),
            folded,
            merged,
            ordered=False,
        )

        def noted(batch: list[tuple[str, tuple[int, _Counted]]]) -> list[Any]:
            for user, (number, (first, count, total)) in batch:
                start = first if advance_ms is None else number * advance_ms
                result.add_window(user.encode(), start, count, total)
            return []

        op.output("nothing", op.flat_map_batch("noted", windows.down, noted), TestingSink([]))


def run(job: Job) -> Measurement:
    """Run until the end of the topic, where everything is flushed and every window closed."""
    made = _Flow(job)
    cli_main(made.flow)
    assert made.watch is not None  # noqa: S101 - there was a record
    measured = made.watch.stop(job.records)
    return msgspec.structs.replace(measured, entries=made.result.records, checksum=made.result.checksum)


if __name__ == "__main__":
    answer(run(job_of_command_line()))
