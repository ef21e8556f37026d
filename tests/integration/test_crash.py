"""Exactly-once on Apache Kafka: nothing is lost and nothing is there twice, whoever is killed when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.testing.brokers import ApacheKafka
from tests.integration.crash.run import BROKERS, CLUSTER, kill_brokers, kill_workers, running
from tests.integration.flagship.broker import project_directory, started

KILLS = 5
BROKER_KILLS = 2


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("HEADRACE_SEED", "1"))


@pytest.mark.kafka
def test_a10_2_b6_workers_killed_at_random_lose_and_repeat_nothing(tmp_path: Path, seed: int) -> None:
    with started("kafka") as address, running(address, tmp_path, seed) as run:
        kill_workers(run, KILLS)
        assert run.differences() == [], f"HEADRACE_SEED={seed}"
        run.roll()
        run.wait_processed()
        assert run.differences() == []


@pytest.mark.kafka
def test_a10_2_b6_brokers_killed_at_random_lose_and_repeat_nothing(tmp_path: Path, seed: int) -> None:
    with (
        project_directory(),
        ApacheKafka(BROKERS, settings=CLUSTER) as kafka,
        running(kafka.address, tmp_path, seed) as run,
    ):
        kill_brokers(run, kafka, BROKER_KILLS)
        assert run.differences() == [], f"HEADRACE_SEED={seed}"
