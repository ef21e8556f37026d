"""Each work as a user of Quix Streams writes it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import msgspec
from quixstreams import Application, State
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.dataframe.windows import Count, Sum
from quixstreams.models import Topic

from benchmarks import avro
from benchmarks.digest import Digest
from benchmarks.events import DROPPED_SEVERITY, HOP_MS, SESSION_GAP_MS, WINDOW_MS
from benchmarks.log import Log
from benchmarks.masking import masked_event, masked_log
from benchmarks.measurement import Job, Measurement
from benchmarks.program import answer, job_of_command_line
from benchmarks.stopwatch import Stopwatch

_COPIES_MS: Final = 600_000
#: These take every record a second time, from their repartition topic.
_THROUGH_A_TOPIC: Final = frozenset({"repartition", "dedup"})


class _Measured:
    """A job as an application."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.result = Digest()
        self.watch: Stopwatch | None = None
        #: What the windows came to last, by user and start.
        self._windows: dict[tuple[str, int], tuple[int, int]] = {}
        self._left = job.records * (2 if job.work in _THROUGH_A_TOPIC else 1)
        self.app = Application(
            broker_address=job.address,
            consumer_group=job.application_id,
            auto_offset_reset="earliest",
            commit_interval=0.1 if job.exactly_once else 1.0,
            processing_guarantee="exactly-once" if job.exactly_once else "at-least-once",
            state_dir=job.state_dir,
            loglevel="WARNING",
            on_message_processed=self._processed,
            consumer_extra_config={"fetch.queue.backoff.ms": 5},
            producer_extra_config={"linger.ms": 5},
        )
        works: dict[str, Callable[[], None]] = {
            "read": self._read,
            "decode": self._decode,
            "route": self._route,
            "repartition": self._repartition,
            "dedup": self._dedup,
            "count": self._count,
            "hopping": self._hopping,
            "session": self._session,
            "stream-join": self._stream_join,
            "table-join": self._table_join,
        }
        works[job.work]()

    def run(self) -> Measurement:
        """Run until every record is processed and committed."""
        self.app.run()
        assert self.watch is not None  # noqa: S101 - there was a record
        measured = self.watch.stop(self.job.records)
        for (user, start), (count, total) in self._windows.items():
            self.result.add_window(user.encode(), start, count, total)
        return msgspec.structs.replace(measured, entries=self.result.records, checksum=self.result.checksum)

    def _processed(self, _topic: str, _partition: int, _offset: int) -> None:
        if self.watch is None:
            self.watch = Stopwatch()
        self._left -= 1
        if not self._left:
            self.app.stop()

    def _topic(self, name: str, value: Any = "json") -> Topic:
        serializer = "bytes" if value == "bytes" else "json"
        return self.app.topic(
            name,
            key_deserializer="str",
            value_deserializer=value,
            key_serializer="str",
            value_serializer=serializer,
        )

    def _logs(self, value: Any = "json") -> StreamingDataFrame:
        return self.app.dataframe(self._topic(self.job.source, value))

    def _sum(self, frame: StreamingDataFrame, amount: Callable[[Any], int]) -> None:
        result = self.result

        def add(value: Any) -> None:
            result.records += 1
            result.checksum += amount(value)

        frame.update(add)

    def _read(self) -> None:
        self._sum(self._logs("bytes"), len)

    def _decode(self) -> None:
        if self.job.format == "typed":
            decode = msgspec.json.Decoder(Log).decode
            self._sum(self._logs("bytes"), lambda value: decode(value).bytes)
        elif self.job.format == "avro":
            self._sum(self._logs("bytes"), lambda value: avro.decode(value)["bytes"])
        else:
            self._sum(self._logs(), _bytes)

    def _route(self) -> None:
        if self.job.format == "typed":
            decode, encode = msgspec.json.Decoder(Log).decode, msgspec.json.Encoder().encode
            logs = self._logs("bytes").apply(decode)
            kept = logs.filter(lambda log: log.severity != DROPPED_SEVERITY)
            masked = kept.apply(lambda log: encode(masked_log(log)))
            masked.to_topic(self._topic(self.job.target, "bytes"))
        elif self.job.format == "avro":
            events = self._logs("bytes").apply(lambda value: (avro.head(value), avro.decode(value)))
            some = events.filter(lambda event: event[1]["severity"] != DROPPED_SEVERITY)
            written = some.apply(lambda event: avro.encode(masked_event(event[1]), event[0]))
            written.to_topic(self._topic(self.job.target, "bytes"))
        else:
            kept = self._logs().filter(lambda event: event["severity"] != DROPPED_SEVERITY)
            kept.apply(masked_event).to_topic(self._topic(self.job.target))

    def _repartition(self) -> None:
        self._sum(self._logs().group_by("host", key_serializer="str", key_deserializer="str"), _bytes)

    def _dedup(self) -> None:
        by_id = self._logs().group_by("id", key_serializer="str", key_deserializer="str")
        self._sum(by_id.filter(_is_first, stateful=True, metadata=True), _bytes)

    def _count(self) -> None:
        self._note(self._logs().tumbling_window(WINDOW_MS, self.job.grace_ms))

    def _hopping(self) -> None:
        self._note(self._logs().hopping_window(WINDOW_MS, HOP_MS, self.job.grace_ms))

    def _session(self) -> None:
        self._note(self._logs().session_window(SESSION_GAP_MS, self.job.grace_ms))

    def _note(self, windows: Any) -> None:
        counted = windows.agg(count=Count(), sum=Sum("bytes")).current()
        noted = self._windows

        def note(value: dict[str, int], key: str, _timestamp: int, _headers: Any) -> None:
            noted[key, value["start"]] = value["count"], value["sum"]

        counted.update(note, metadata=True)

    def _stream_join(self) -> None:
        joined = self._logs().join_interval(
            self.app.dataframe(self._topic(self.job.other)),
            on_merge=_both,
            grace_ms=timedelta(milliseconds=WINDOW_MS + self.job.grace_ms),
            backward_ms=WINDOW_MS,
            forward_ms=WINDOW_MS,
        )
        self._sum(joined, _bytes)

    def _table_join(self) -> None:
        users = self.app.dataframe(self._topic(self.job.other))
        self._sum(self._logs().join_asof(users, on_merge=_both), _bytes)


def _bytes(event: dict[str, Any]) -> int:
    amount: int = event["bytes"]
    return amount


def _both(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {"bytes": left["bytes"] + right["bytes"]}


def _is_first(_event: Any, _id: str, timestamp: int, _headers: Any, state: State) -> bool:
    """Whether no event with this id went through within ten minutes; ids are kept for ever."""
    seen = state.get("seen")
    if seen is not None and abs(timestamp - seen) <= _COPIES_MS:
        return False
    state.set("seen", timestamp)
    return True


if __name__ == "__main__":
    answer(_Measured(job_of_command_line()).run())
