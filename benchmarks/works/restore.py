"""Restore: the count's windows from a changelog into empty stores."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from benchmarks.contenders.contender import Contender
from benchmarks.digest import Digest
from benchmarks.events import USERS, Event, make_events, users_in_turn
from benchmarks.measurement import Measurement
from benchmarks.processes import measure
from benchmarks.topics import create_topic
from benchmarks.works.count import Count
from benchmarks.works.work import check


class Restore(Count):
    """Each contender restores what it has counted itself: each record was a window of its own."""

    title = "restore"
    # What is restored is all there: nothing has expired.
    grace_ms = 24 * 3_600_000

    def events(self, records: int) -> Iterator[Event]:
        """Return records of users in turn: no user twice in a window."""
        return make_events(records, self.place.start_ms, USERS, users_in_turn, self.case.value_bytes)

    def run(self, contender: Contender, records: int, number: int) -> Measurement:
        """Measure a contender once; before its first run it writes what it restores."""
        expected = self.prepare(records)
        application_id = f"restore-{contender.name}"
        if number == 1:
            with self.job(contender, application_id, records, expected) as job:
                for topic, config in self.outputs(contender, job).items():
                    create_topic(job.address, topic, config)
                counted = msgspec.structs.replace(job, work="count")
                found = self.found(contender, counted, measure(contender, counted))
                check(f"windows to restore, {contender.name}", found, expected.digest)
        with self.job(contender, application_id, records, expected) as job:
            measurement = measure(contender, job)
        found = Digest(measurement.entries, measurement.checksum)
        check(f"restore, {contender.name}: windows in the stores", found, expected.digest)
        return measurement
