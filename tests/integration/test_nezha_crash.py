"""The flagship killed halfway through real logs and spans: what a crash may change, and nothing more.

Delivery is at least once: outputs may repeat, repartition topics are outputs, and what repeats there
is counted twice behind them. State within a sub-topology is exact: each table is the fold of what
its own topic holds, by the oracle's plain Python. The dedup stands behind the first repartition: it
takes out what repeats there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.integration.flagship.broker import started
from tests.integration.nezha import tables
from tests.integration.nezha.data import FULL, SAMPLE, load, owners
from tests.integration.nezha.oracle import (
    DEAD_LETTERS,
    DESTINATIONS,
    ERRORS,
    FOLDS,
    METRICS,
    OPERATIONS,
    REPARTITIONS,
    Oracle,
)
from tests.integration.nezha.rows import as_set, differences, most_repeated
from tests.integration.nezha.run import Run, running

_DATA: Final = FULL if FULL.is_dir() else SAMPLE
_EMBEDDED: Final = pytest.mark.embedded
_KAFKA: Final = pytest.mark.kafka


class Crash(NamedTuple):
    """What is run.

    Attributes:
        broker: which broker.
        directory: the input.
        forget: whether the killed worker's state folder is deleted.
    """

    broker: str
    directory: Path
    forget: bool


class Finished(NamedTuple):
    run: Run
    oracle: Oracle


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(Crash("embedded", SAMPLE, forget=True), id="embedded-state-deleted", marks=_EMBEDDED),
        pytest.param(Crash("kafka", SAMPLE, forget=True), id="kafka-state-deleted", marks=_KAFKA),
        pytest.param(Crash("embedded", SAMPLE, forget=False), id="embedded-state-kept", marks=_EMBEDDED),
        pytest.param(Crash("kafka", _DATA, forget=False), id="kafka-state-kept", marks=_KAFKA),
    ],
)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """All input processed, by a worker that was killed halfway and one that took its place."""
    crash: Crash = request.param
    raw = load(crash.directory)
    known = owners(raw)
    with started(crash.broker) as address, running(address, tmp_path_factory.mktemp("crash")) as run:
        run.prepare(known)
        run.crash_halfway(raw, forget=crash.forget)
        run.wait_processed()
        yield Finished(run, Oracle(raw, known))


@pytest.mark.parametrize("topic", DESTINATIONS)
def test_a_destination_has_each_event(finished: Finished, topic: str) -> None:
    actual, expected = finished.run.counted(topic), finished.oracle.rows(topic)
    assert differences(as_set(actual), as_set(expected)) == []
    # A record is read once more for each crash, and stands in its topic once more for each crash:
    # of a pair, both the log and the request.
    powers = 3 if topic == "honeycomb.events" else 2
    assert most_repeated(actual, expected) <= (1 + finished.run.crashes) ** powers


@pytest.mark.parametrize("topic", REPARTITIONS)
def test_each_event_passes_between_sub_topologies(finished: Finished, topic: str) -> None:
    actual, expected = finished.run.counted(topic), finished.oracle.rows(topic)
    assert differences(as_set(actual), as_set(expected)) == []
    assert most_repeated(actual, expected) <= 1 + finished.run.crashes


@pytest.mark.parametrize("table", FOLDS)
def test_a_table_is_exactly_the_fold_of_its_topic(finished: Finished, table: str) -> None:
    topic, fold = FOLDS[table]
    finished.run.wait_table(table, fold(finished.run.rows(topic)))


@pytest.mark.parametrize("table", ["seen-logs", "seen-spans"])
def test_what_was_seen_is_not_forgotten(finished: Finished, table: str) -> None:
    finished.run.wait_table(table, finished.oracle.table(table))


def test_the_last_value_of_each_metric_is_that_of_its_table(finished: Finished) -> None:
    run = finished.run
    expected = tables.points(tables.counts(run.rows(ERRORS)), tables.requests(run.rows(OPERATIONS)))
    assert run.points(METRICS) == expected
    assert expected.keys() == finished.oracle.points().keys()


def test_nothing_is_dead(finished: Finished) -> None:
    assert finished.run.topics.read(DEAD_LETTERS) == []


def test_the_worker_that_took_over_stops_in_order(finished: Finished) -> None:
    before = finished.run.topics.ends(DESTINATIONS)
    assert finished.run.worker.stop() == 0
    assert finished.run.topics.ends(DESTINATIONS) == before
