"""What all works have in common: topics are filled once, then contenders take turns, each checked."""

from __future__ import annotations

import contextlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Final, NamedTuple

import msgspec

from benchmarks import avro
from benchmarks.contenders.contender import Contender
from benchmarks.digest import Digest
from benchmarks.events import USERS, Event, make_events, random_users
from benchmarks.masking import masked_event
from benchmarks.measurement import Format, Job, Measurement, WorkName
from benchmarks.processes import measure
from benchmarks.topics import KEPT, create_topic, delete_topic, fill
from pipeline.serde.local_registry import LocalRegistry

#: Records in a window of a minute: each user comes twice in it.
PER_MINUTE: Final = 2 * USERS


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


class Case(NamedTuple):
    """A row of a table: a work, and what it is done with.

    Attributes:
        work: what to do.
        format: of the values.
        value_bytes: size of the values.
        exactly_once: whether to commit in transactions, every 100 ms.
    """

    work: WorkName
    format: Format = "open"
    value_bytes: int = 190
    exactly_once: bool = False


class Expected(NamedTuple):
    """What must come of the records.

    Attributes:
        records: how many there are, in all source topics.
        results: calls of the user's function; see `Job`.
        digest: what the result must come to.
    """

    records: int
    results: int
    digest: Digest


class Work(ABC):
    """One work on one broker."""

    #: What it is, in the report.
    title: ClassVar[str]
    #: How long its windows stay open.
    grace_ms: ClassVar[int] = 30_000
    #: It reads a second topic, named "other".
    has_other: ClassVar[bool] = False

    #: Those that it is written for; None: all that do not say why not.
    only: ClassVar[frozenset[str] | None] = None

    def __init__(self, place: Place, case: Case) -> None:
        self.place, self.case = place, case
        #: By number of records: slow contenders are given fewer.
        self._filled: dict[int, Expected] = {}

    def events(self, records: int) -> Iterator[Event]:
        """Return so many records: two of each of 100,000 users a minute, in random order."""
        events = make_events(records, self.place.start_ms, PER_MINUTE, random_users(), self.case.value_bytes)
        return map(_in_avro(), events) if self.case.format == "avro" else events

    @abstractmethod
    def expect(self, events: Iterator[Event], expected: list[Expected]) -> Iterator[Event]:
        """Pass the events on, and say at their end what must come of them."""

    @abstractmethod
    def found(self, contender: Contender, job: Job, measurement: Measurement) -> Digest:
        """Return what came of them."""

    def prepare(self, records: int) -> Expected:
        """Fill the source topics with so many records, unless they are."""
        if records not in self._filled:
            address, expected = self.place.address, list[Expected]()
            for topic in self._topics(records).values():
                create_topic(address, topic, KEPT)
            fill(address, self._topics(records), self.expect(self.events(records), expected))
            self._filled[records] = expected[0]
        return self._filled[records]

    def run(self, contender: Contender, records: int, number: int) -> Measurement:
        """Measure a contender once.

        Args:
            contender: whom.
            records: how many to give it.
            number: of the run: each is an application of its own.

        Raises:
            MeasurementError: its process failed.
            ResultError: the results are wrong.
        """
        expected = self.prepare(records)
        application_id = f"{self.case.work}-{contender.name}-{number}"
        with self.job(contender, application_id, records, expected) as job, self._outputs(contender, job):
            measurement = measure(contender, job)
            check(
                f"{self.case.work}, {contender.name}",
                self.found(contender, job, measurement),
                expected.digest,
            )
        return measurement

    @contextlib.contextmanager
    def job(
        self, contender: Contender, application_id: str, records: int, expected: Expected
    ) -> Iterator[Job]:
        """Make a job with an empty folder for its state, removed afterwards."""
        topics = self._topics(records)
        with tempfile.TemporaryDirectory(prefix="headrace-benchmark-") as folder:
            yield Job(
                work=self.case.work,
                contender=contender.name,
                address=self.place.address,
                application_id=application_id,
                source=topics["source"],
                other=topics.get("other", ""),
                target=f"{application_id}-target",
                changelog=contender.changelog.topic(application_id) if contender.changelog else "",
                records=expected.records,
                results=expected.results,
                grace_ms=self.grace_ms,
                state_dir=folder,
                format=self.case.format,
                schema=avro.SCHEMA_FILE.read_text(encoding="utf-8") if self.case.format == "avro" else "",
                exactly_once=self.case.exactly_once,
            )

    def outputs(self, _contender: Contender, _job: Job) -> dict[str, dict[str, str]]:
        """Return the topics, and their settings, that must be there before it runs."""
        return {}

    @contextlib.contextmanager
    def _outputs(self, contender: Contender, job: Job) -> Iterator[None]:
        """Make the topics that it writes to; delete them afterwards: a disk has an end."""
        made = self.outputs(contender, job)
        for topic, config in made.items():
            create_topic(job.address, topic, config)
        yield
        for topic in made:
            delete_topic(job.address, topic)

    def _topics(self, records: int) -> dict[str, str]:
        names = ("source", "other") if self.has_other else ("source",)
        return {name: f"{name}-{records}" for name in names}


class SummedWork(Work):
    """A work whose results a process counts, and sums up an amount of each."""

    #: Where the last call comes from in which all results are there.
    @abstractmethod
    def amount(self, event: Event) -> int | None:
        """Return what the event adds to the sum; None if it is no result."""

    def expect(self, events: Iterator[Event], expected: list[Expected]) -> Iterator[Event]:
        """Sum up."""
        digest, records = Digest(), 0
        for event in events:
            records += 1
            amount = self.amount(event)
            if amount is not None:
                digest.records += 1
                digest.checksum += amount
            yield event
        expected.append(Expected(records, self.results(records, digest), digest))

    def results(self, _records: int, digest: Digest) -> int:
        """Return how often the user's function is called: once a result."""
        return digest.records

    def found(self, _contender: Contender, _job: Job, measurement: Measurement) -> Digest:
        """Return what the process says."""
        return Digest(measurement.entries, measurement.checksum)


def _in_avro() -> Callable[[Event], Event]:
    """Return what gives an event values in Avro instead."""
    schema = avro.SCHEMA_FILE.read_text(encoding="utf-8")
    registry = LocalRegistry(avro.SCHEMA_FILE.parent)
    head = avro.head_of(registry.id_of("log", schema, register=False))

    def encoded(event: Event) -> Event:
        fields = msgspec.json.decode(event.value)
        routed = None if event.routed is None else avro.encode(masked_event(fields), head)
        return event._replace(value=avro.encode(fields, head), routed=routed)

    return encoded


def check(what: str, found: Digest, expected: Digest) -> None:
    """Compare what was found with what must be.

    Raises:
        ResultError: they differ.
    """
    if found != expected:
        raise ResultError(f"{what}: found {found}, expected {expected}")
