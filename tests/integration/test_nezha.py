"""The flagship over real logs and spans, against an oracle in plain Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.integration.flagship.broker import started
from tests.integration.nezha.data import FULL, SAMPLE, load, owners
from tests.integration.nezha.oracle import (
    ALERTS,
    DEAD_LETTERS,
    DESTINATIONS,
    FOLDS,
    METRICS,
    REPARTITIONS,
    Oracle,
)
from tests.integration.nezha.rows import differences
from tests.integration.nezha.run import OWNED_SINCE_MS, Run, running

_ABSENT: Final = pytest.mark.skipif(not FULL.is_dir(), reason=f"the full data is not at {FULL}")
_EMBEDDED: Final = pytest.mark.embedded
_KAFKA: Final = pytest.mark.kafka


class Finished(NamedTuple):
    run: Run
    oracle: Oracle
    owners: dict[str, dict[str, str]]


@cache
def expectations(directory: Path) -> tuple[Oracle, dict[str, dict[str, str]]]:
    raw = load(directory)
    known = owners(raw)
    return Oracle(raw, known), known


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("embedded", SAMPLE), id="embedded-sample", marks=_EMBEDDED),
        pytest.param(("kafka", SAMPLE), id="kafka-sample", marks=_KAFKA),
        pytest.param(("embedded", FULL), id="embedded-full", marks=[_EMBEDDED, _ABSENT]),
        pytest.param(("kafka", FULL), id="kafka-full", marks=[_KAFKA, _ABSENT]),
    ],
)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """All input processed by a worker that nothing disturbed."""
    kind, directory = request.param
    oracle, known = expectations(directory)
    with started(kind) as address, running(address, tmp_path_factory.mktemp("flagship")) as run:
        run.prepare(known)
        run.feed(load(directory))
        run.worker.start()
        run.worker.wait_ready()
        run.wait_processed()
        yield Finished(run, oracle, known)


@pytest.mark.parametrize("topic", DESTINATIONS)
def test_a_destination_has_each_event_once_in_its_shape(finished: Finished, topic: str) -> None:
    expected = finished.oracle.rows(topic)
    assert expected
    assert differences(finished.run.counted(topic), expected) == []


@pytest.mark.parametrize("topic", REPARTITIONS)
def test_events_pass_between_sub_topologies_once(finished: Finished, topic: str) -> None:
    expected = finished.oracle.rows(topic)
    assert expected
    assert differences(finished.run.counted(topic), expected) == []


def test_the_last_value_of_each_metric_is_right(finished: Finished) -> None:
    assert finished.run.points(METRICS) == finished.oracle.points()


def test_each_minute_with_too_many_errors_is_told_of_once(finished: Finished) -> None:
    assert finished.run.alerts(ALERTS) == finished.oracle.alerts()


@pytest.mark.parametrize("table", FOLDS)
def test_a_table_is_right(finished: Finished, table: str) -> None:
    expected = finished.oracle.table(table)
    assert expected
    finished.run.wait_table(table, expected)


def test_the_table_of_owners_is_right(finished: Finished) -> None:
    finished.run.wait_table(
        "service-owners",
        {
            (json.dumps(service), None): (
                {"team": owner["team"], "tier": owner.get("tier", "")},
                OWNED_SINCE_MS,
            )
            for service, owner in finished.owners.items()
        },
    )


def test_nothing_is_dead(finished: Finished) -> None:
    assert finished.run.topics.read(DEAD_LETTERS) == []
    assert finished.run.worker.metric("dead_letters_total") == 0
