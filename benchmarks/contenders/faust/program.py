"""Each work as a user of Faust writes it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import faust
import msgspec

from benchmarks.digest import Digest
from benchmarks.events import DROPPED_SEVERITY, HOP_MS, WINDOW_MS
from benchmarks.log import Log
from benchmarks.masking import masked_event, masked_log
from benchmarks.measurement import Job
from benchmarks.program import answer, job_of_command_line
from benchmarks.stopwatch import Stopwatch
from benchmarks.windows import COUNT_ONE

#: Windows stay in the table for so long; long enough that none goes before it was counted.
_EXPIRES = timedelta(hours=6)
#: Until the agent has acknowledged the last record.
_ACKNOWLEDGED_S = 0.01


class _Measured:
    """A job as an application with one agent, which ends the process when all is done and committed."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.result = Digest()
        self._watch: Stopwatch | None = None
        self._left = job.records
        self.app = faust.App(
            job.application_id,
            broker=f"kafka://{job.address}",
            store="rocksdb://",
            datadir=job.state_dir,
            broker_commit_interval=1.0,
            producer_linger_ms=5,
            topic_disable_leader=True,
            web_enabled=False,
        )
        works: dict[str, Callable[[], Any]] = {
            "read": self._read,
            "decode": self._decode,
            "route": self._route,
            "repartition": self._repartition,
            "count": self._count,
            "hopping": self._hopping,
        }
        self.app.agent(self._topic(job.source), name="measured")(works[job.work]())

    def _topic(self, name: str) -> Any:
        return self.app.topic(name, key_serializer="raw", value_serializer="raw")

    def _begin(self) -> None:
        if self._watch is None:
            self._watch = Stopwatch()

    async def _note(self) -> None:
        """Count a record; after the last one, have everything sent and committed, and end."""
        self._left -= 1
        if not self._left:
            asyncio.get_running_loop().create_task(self._finish())

    async def _finish(self) -> None:
        assert self._watch is not None  # noqa: S101 - there was a record
        await asyncio.sleep(_ACKNOWLEDGED_S)
        await self.app.producer.flush()
        await self.app.consumer.commit()
        await self.app.producer.flush()
        measured = self._watch.stop(self.job.records)
        answer(msgspec.structs.replace(measured, entries=self.result.records, checksum=self.result.checksum))
        os._exit(0)

    def _read(self) -> Any:
        return self._summing(len)

    def _decode(self) -> Any:
        if self.job.format == "typed":
            decode_log = msgspec.json.Decoder(Log).decode
            return self._summing(lambda value: decode_log(value).bytes)
        decode = msgspec.json.Decoder().decode
        return self._summing(lambda value: decode(value)["bytes"])

    def _summing(self, amount: Callable[[bytes], int]) -> Any:
        async def add(stream: Any) -> None:
            async for value in stream:
                self._begin()
                self.result.records += 1
                self.result.checksum += amount(value)
                await self._note()

        return add

    def _route(self) -> Any:
        target = self._topic(self.job.target)
        typed = self.job.format == "typed"
        decode: Any = (msgspec.json.Decoder(Log) if typed else msgspec.json.Decoder()).decode
        encode = msgspec.json.Encoder().encode

        def routed(value: bytes) -> bytes | None:
            event = decode(value)
            severity = event.severity if typed else event["severity"]
            if severity == DROPPED_SEVERITY:
                return None
            return encode(masked_log(event) if typed else masked_event(event))

        async def route(stream: Any) -> None:
            async for event in stream.events():
                self._begin()
                value = routed(event.value)
                if value is not None:
                    timestamp = event.message.timestamp
                    await target.send(key=event.key, value=value, timestamp=timestamp)
                await self._note()

        return route

    def _repartition(self) -> Any:
        decode = msgspec.json.Decoder().decode

        async def add(stream: Any) -> None:
            by_host = stream.group_by(lambda value: decode(value)["host"], name="host")
            async for value in by_host:
                self._begin()
                self.result.records += 1
                self.result.checksum += decode(value)["bytes"]
                await self._note()

        return add

    def _count(self) -> Any:
        return self._in_windows(lambda table: table.tumbling(WINDOW_MS / 1_000, expires=_EXPIRES))

    def _hopping(self) -> Any:
        return self._in_windows(
            lambda table: table.hopping(WINDOW_MS / 1_000, HOP_MS / 1_000, expires=_EXPIRES)
        )

    def _in_windows(self, windowed: Callable[[Any], Any]) -> Any:
        """Count and sum in one number: `+=` on a window takes a number alone."""
        counts = windowed(self.app.Table("by-user", default=int, partitions=4))
        decode = msgspec.json.Decoder().decode

        async def count(stream: Any) -> None:
            async for event in stream.events():
                self._begin()
                counts[event.key.decode()] += COUNT_ONE + decode(event.value)["bytes"]
                await self._note()

        return count


if __name__ == "__main__":
    measured = _Measured(job_of_command_line())
    faust.Worker(measured.app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()
