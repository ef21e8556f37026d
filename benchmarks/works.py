"""The works that are measured: what each needs on the broker, and how its results are checked."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from typing import ClassVar, Final, NamedTuple, Protocol

import msgspec

from benchmarks.digest import Digest
from benchmarks.engine import changelog_of
from benchmarks.events import (
    USERS,
    WINDOW_MS,
    CountExpectation,
    Event,
    RouteExpectation,
    make_events,
    random_users,
    users_in_turn,
)
from benchmarks.measurement import Job, Measurement, Side, Work
from benchmarks.processes import measure
from benchmarks.topics import KEPT, create_topic, fill, read_all
from benchmarks.windows import windows_digest

SOURCE: Final = "source"

#: Records in a window of the count: each user comes twice in it.
_COUNT_PER_WINDOW: Final = 2 * USERS

#: In the count, windows expire while it runs; what is restored is all there.
_COUNT_GRACE_MS: Final = 30_000
_RESTORE_GRACE_MS: Final = 24 * 3_600_000

_CHANGELOG: Final = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}


class ResultError(Exception):
    """A result is wrong, so its time does not count."""


class Place(NamedTuple):
    """Where and when a work runs.

    Attributes:
        address: bootstrap servers.
        start_ms: time of the first event.
    """

    address: str
    start_ms: int


class Runner(Protocol):
    """One work on one broker."""

    #: Records a second that the engine must reach.
    floor: ClassVar[int]

    def prepare(self) -> None:
        """Fill the topics."""
        ...

    def run(self, side: Side, number: int) -> Measurement:
        """Measure one side once, and check what it did.

        Raises:
            ResultError: the results are wrong.
        """
        ...


class Route:
    """Decode, filter, mask e-mail addresses, encode, produce."""

    floor: ClassVar = 100_000

    def __init__(self, place: Place, records: int) -> None:
        self._place, self._records = place, records
        self._expected = Digest()

    def prepare(self) -> None:
        """Fill the source."""
        expectation = RouteExpectation()
        events = make_events(self._records, self._place.start_ms, _COUNT_PER_WINDOW, random_users())
        _fill_source(self._place.address, events, expectation.add)
        self._expected = expectation.digest

    def run(self, side: Side, number: int) -> Measurement:
        """Measure one side once, and read its output back."""
        target = f"routed-{side}-{number}"
        create_topic(self._place.address, target, KEPT)
        with _job("route", side, self._place, f"route-{side}-{number}", self._records) as job:
            measurement = measure(msgspec.structs.replace(job, target=target))
        found = Digest()
        for key, value in read_all(self._place.address, target):
            found.add(key, value or b"")
        check(f"route, {side}: records in {target}", found, self._expected)
        return measurement


class Count:
    """Count and sum in one-minute windows over 100,000 keys, with RocksDB and a changelog."""

    floor: ClassVar = 80_000

    def __init__(self, place: Place, records: int) -> None:
        self._place, self._records = place, records
        self._expected = Digest()

    def prepare(self) -> None:
        """Fill the source."""
        expectation = CountExpectation()
        events = make_events(self._records, self._place.start_ms, _COUNT_PER_WINDOW, random_users())
        _fill_source(self._place.address, events, expectation.add)
        self._expected = expectation.digest

    def run(self, side: Side, number: int) -> Measurement:
        """Measure one side once, and read its changelog back: the last value of each window counts."""
        application_id = f"count-{side}-{number}"
        changelog = changelog_of(application_id)
        if side == "hand-written":
            create_topic(self._place.address, changelog, _CHANGELOG)
        with _job("count", side, self._place, application_id, self._records) as job:
            measurement = measure(msgspec.structs.replace(job, grace_ms=_COUNT_GRACE_MS))
        check(
            f"count, {side}: windows in {changelog}", _logged(self._place.address, changelog), self._expected
        )
        return measurement


class Restore:
    """Two windows for each record of the other works, from a changelog into empty stores."""

    floor: ClassVar = 250_000

    _application: Final = "restore"

    def __init__(self, place: Place, records: int) -> None:
        self._place, self._records = place, 2 * records
        self._expected = Digest()

    def prepare(self) -> None:
        """Have the engine write the changelog: each event is a window of its own."""
        events = make_events(self._records, self._place.start_ms, USERS, users_in_turn)
        expected = self._expected

        def expect(event: Event) -> None:
            start = event.timestamp - event.timestamp % WINDOW_MS
            expected.add_window(event.key, start, 1, event.amount)

        _fill_source(self._place.address, events, expect)
        with _job("count", "headrace", self._place, self._application, self._records) as job:
            measure(msgspec.structs.replace(job, grace_ms=_RESTORE_GRACE_MS))
        changelog = changelog_of(self._application)
        check(f"windows in {changelog}", _logged(self._place.address, changelog), expected)

    def run(self, side: Side, number: int) -> Measurement:
        """Measure one side once; it says what its stores hold."""
        group = self._application if side == "headrace" else f"restore-{side}-{number}"
        changelog = changelog_of(self._application)
        with _job("restore", side, self._place, group, self._records) as job:
            measurement = measure(
                msgspec.structs.replace(job, grace_ms=_RESTORE_GRACE_MS, changelog=changelog)
            )
        found = Digest(measurement.entries, measurement.checksum)
        check(f"restore, {side}: windows in the stores", found, self._expected)
        return measurement


WORKS: Final[dict[Work, Callable[[Place, int], Runner]]] = {
    "route": Route,
    "count": Count,
    "restore": Restore,
}


@contextlib.contextmanager
def _job(work: Work, side: Side, place: Place, application_id: str, records: int) -> Iterator[Job]:
    """Make a job with an empty folder for its state, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="headrace-benchmark-") as folder:
        yield Job(
            work=work,
            side=side,
            address=place.address,
            application_id=application_id,
            source=SOURCE,
            target="",
            changelog=changelog_of(application_id),
            records=records,
            grace_ms=0,
            state_dir=folder,
        )


def _fill_source(address: str, events: Iterator[Event], expect: Callable[[Event], None]) -> None:
    def expected() -> Iterator[Event]:
        for event in events:
            expect(event)
            yield event

    create_topic(address, SOURCE, KEPT)
    fill(address, SOURCE, expected())


def _logged(address: str, changelog: str) -> Digest:
    last = {key: value for key, value in read_all(address, changelog) if value is not None}
    return windows_digest(last.items())


def check(what: str, found: Digest, expected: Digest) -> None:
    """Compare what was found with what must be.

    Raises:
        ResultError: they differ.
    """
    if found != expected:
        raise ResultError(f"{what}: found {found}, expected {expected}")
