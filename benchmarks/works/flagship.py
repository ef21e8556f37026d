"""The flagship, whole: logs and spans of a made-up shop, faults included, to all its destinations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec
from confluent_kafka.admin import AdminClient

from benchmarks.contenders.contender import Contender
from benchmarks.digest import Digest
from benchmarks.events import Event
from benchmarks.measurement import Job, Measurement
from benchmarks.topics import delete_topic, ends
from benchmarks.works.work import Expected, Work
from demo.sending import Outgoing, acknowledge
from demo.topics import DEAD_LETTERS, RAW_LOGS, prepare
from demo.traffic import Traffic
from pipeline.record import NO_HEADERS
from pipeline.runtime.kafka import KafkaBroker

#: Each log goes to the first, each span to the second, and what is broken to the third.
ARRIVALS: Final = ("archive.logs", "stackdriver.traces", DEAD_LETTERS)

#: Events a second of the shop's clock: an hour in 200,000.
_RATE: Final = 50.0
_SEED: Final = 7
_AT_ONCE: Final = 10_000
#: What `demo.faults` breaks a time with.
_NO_DAY: Final = "2026-02-31"


class Flagship(Work):
    """Done when each event is where it belongs, once; joins and counts are on the way."""

    title = "flagship"
    only = frozenset({"headrace"})

    def prepare(self, records: int) -> Expected:
        """Fill its topics, which have fixed names: those of the run before are deleted."""
        self._forget()
        broker = KafkaBroker(self.place.address)
        prepare(broker)
        producer = broker.producer("flagship")
        sent: list[Outgoing] = []
        for record in islice(Traffic(_SEED, self.place.start_ms, _RATE), records):
            producer.produce(record.topic, record.value, record.key, -1, record.at_ms or 0, NO_HEADERS)
            sent.append(record)
            if len(sent) % _AT_ONCE == 0:
                acknowledge(producer)
        acknowledge(producer)
        producer.close()
        found = digest_of(arrivals_of(sent))
        return Expected(records, found.records, found)

    def expect(self, events: Iterator[Event], expected: list[Expected]) -> Iterator[Event]:
        """Its events are no `Event`s."""
        raise NotImplementedError

    def found(self, _contender: Contender, job: Job, _measurement: Measurement) -> Digest:
        """Count what has arrived."""
        return digest_of([sum(ends(job.address, topic)) for topic in ARRIVALS])

    def _forget(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.place.address, "log_level": 3})
        for topic in admin.list_topics(timeout=30).topics:
            if not topic.startswith("__"):
                delete_topic(self.place.address, topic)
        for group in admin.list_consumer_groups().result().valid or ():
            admin.delete_consumer_groups([group.group_id])[group.group_id].result()


def arrivals_of(records: Iterable[Outgoing]) -> list[int]:
    """Return how many records must arrive in each of `ARRIVALS`."""
    logs: set[str] = set()
    spans: set[str] = set()
    broken = 0
    for record in records:
        event_id = _id_of(record)
        if event_id is None:
            broken += 1
        else:
            (logs if record.topic == RAW_LOGS else spans).add(event_id)
    return [len(logs), len(spans), broken]


def digest_of(arrived: list[int]) -> Digest:
    """Return what several numbers come to."""
    return Digest(sum(arrived), sum(number << (20 * place) for place, number in enumerate(arrived)))


def _id_of(record: Outgoing) -> str | None:
    """Return what the copies of an event have in common; None: it is broken."""
    try:
        event: Any = msgspec.json.decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(event, dict):
        return None
    if record.topic == RAW_LOGS:
        well = "message" in event and not str(event["timestamp"]).startswith(_NO_DAY)
        return str(event["id"]) if well else None
    backwards = event.get("start_time_unix_nano", 0) > event.get("end_time_unix_nano", 0)
    return None if backwards or "trace_id" not in event else str(event["span_id"])
