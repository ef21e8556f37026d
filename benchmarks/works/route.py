"""Route: decode, filter, mask e-mail addresses, encode, produce."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contenders.contender import Contender
from benchmarks.digest import Digest
from benchmarks.events import Event
from benchmarks.measurement import Job, Measurement
from benchmarks.topics import KEPT, read_all
from benchmarks.works.work import Expected, Work


class Route(Work):
    """One record in ten is filtered out; the others are written to a topic, the same regex for all."""

    title = "route"

    def expect(self, events: Iterator[Event], expected: list[Expected]) -> Iterator[Event]:
        """Say what must have been written, whatever the order."""
        digest, records = Digest(), 0
        for event in events:
            records += 1
            if event.routed is not None:
                digest.add(event.key, event.routed)
            yield event
        expected.append(Expected(records, records, digest))

    def outputs(self, _contender: Contender, job: Job) -> dict[str, dict[str, str]]:
        """Return the topic that it writes to."""
        return {job.target: KEPT}

    def found(self, _contender: Contender, job: Job, _measurement: Measurement) -> Digest:
        """Read its output back."""
        digest = Digest()
        for key, value in read_all(job.address, job.target):
            digest.add(key, value or b"")
        return digest
