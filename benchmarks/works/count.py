"""Count and sum by user, in windows of event time, with RocksDB and a changelog."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from benchmarks.contenders.contender import Contender
from benchmarks.digest import Digest
from benchmarks.events import HOP_MS, SESSION_GAP_MS, WINDOW_MS, Event
from benchmarks.measurement import Job, Measurement
from benchmarks.topics import read_all
from benchmarks.works.work import Expected, Work

CHANGELOG: Final = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}

#: Key, start of the window.
Window: TypeAlias = tuple[bytes, int]


class Windowed(Work):
    """What windows of all kinds have in common: the last value of each in the changelog counts."""

    #: Windows that a record is in.
    windows_each: int = 1

    @abstractmethod
    def windows(self, event: Event) -> Iterable[int]:
        """Return the starts of the windows that an event is in; they come in order of time."""

    def expect(self, events: Iterator[Event], expected: list[Expected]) -> Iterator[Event]:
        """Count and sum."""
        counted: dict[Window, list[int]] = {}
        records = 0
        for event in events:
            records += 1
            for start in self.windows(event):
                entry = counted.get((event.key, start))
                if entry is None:
                    counted[event.key, start] = [1, event.amount]
                else:
                    entry[0] += 1
                    entry[1] += event.amount
            yield event
        digest = Digest()
        for (key, start), (count, total) in counted.items():
            digest.add_window(key, start, count, total)
        expected.append(Expected(records, records * self.windows_each, digest))

    def outputs(self, contender: Contender, job: Job) -> dict[str, dict[str, str]]:
        """Return the changelog of who does not make it by itself."""
        made_here = contender.changelog is not None and contender.changelog.made_here
        return {job.changelog: CHANGELOG} if made_here else {}

    def found(self, contender: Contender, job: Job, measurement: Measurement) -> Digest:
        """Read the changelog back; who has none says what its windows came to."""
        if contender.changelog is None:
            return Digest(measurement.entries, measurement.checksum)
        records = dict(read_all(job.address, job.changelog))
        digest = Digest()
        for key, value in records.items():
            if value is not None:
                digest.add_window(*contender.changelog.window(job.work, key, value))
        return digest


class Count(Windowed):
    """Windows of one minute, one after the other."""

    title = "one-minute count and sum"

    def windows(self, event: Event) -> Iterable[int]:
        """Return the minute."""
        return (event.timestamp // WINDOW_MS * WINDOW_MS,)


class Hopping(Windowed):
    """A window of one minute every twenty seconds: a record is in three."""

    title = "hopping windows, 1 min every 20 s"
    windows_each = WINDOW_MS // HOP_MS

    def windows(self, event: Event) -> Iterable[int]:
        """Return the three windows."""
        last = event.timestamp // HOP_MS * HOP_MS
        return range(last, last - WINDOW_MS, -HOP_MS)


class Session(Windowed):
    """Sessions that end with a pause of thirty seconds."""

    title = "session windows, 30 s gap"

    def events(self, records: int) -> Iterator[Event]:
        """Return records; no session is open before the first."""
        #: Start and last time of each user's session.
        self._open: dict[bytes, tuple[int, int]] = {}
        return super().events(records)

    def windows(self, event: Event) -> Iterable[int]:
        """Return the start of the session."""
        start, last = self._open.get(event.key, (event.timestamp, event.timestamp))
        if event.timestamp - last > SESSION_GAP_MS:
            start = event.timestamp
        self._open[event.key] = start, event.timestamp
        return (start,)
