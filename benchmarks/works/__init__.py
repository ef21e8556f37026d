"""The works that are measured: what each needs on the broker, and how its results are checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks.events import start_of_history
from benchmarks.measurement import WorkName
from benchmarks.works.count import Count, Hopping, Session
from benchmarks.works.dedup import Dedup
from benchmarks.works.flagship import Flagship
from benchmarks.works.joins import StreamJoin, TableJoin
from benchmarks.works.read import Decode, Read
from benchmarks.works.repartition import Repartition
from benchmarks.works.restore import Restore
from benchmarks.works.route import Route
from benchmarks.works.work import Case, Place, Work
from pipeline.clock import SystemClock
from pipeline.testing.brokers import ApacheKafka

WORKS: Final[dict[WorkName, type[Work]]] = {
    "read": Read,
    "decode": Decode,
    "route": Route,
    "repartition": Repartition,
    "dedup": Dedup,
    "count": Count,
    "hopping": Hopping,
    "session": Session,
    "stream-join": StreamJoin,
    "table-join": TableJoin,
    "restore": Restore,
    "flagship": Flagship,
}


@contextmanager
def on_fresh_broker(case: Case) -> Iterator[Work]:
    """Yield a work on an Apache Kafka of its own."""
    with ApacheKafka() as kafka:
        yield WORKS[case.work](Place(kafka.address, start_of_history(SystemClock().now_ms())), case)
