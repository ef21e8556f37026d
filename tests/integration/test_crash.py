"""Exactly-once on Apache Kafka: nothing is lost and nothing is there twice, whoever is killed when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.testing.brokers import ApacheKafka
from tests.integration.crash.kills import BROKERS, CLUSTER, ONE_NODE, kill_brokers, kill_workers
from tests.integration.crash.run import running
from tests.integration.flagship.broker import project_directory

KILLS = 5
BROKER_KILLS = 2


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("HEADRACE_SEED", "1"))


@pytest.mark.kafka
@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_a10_2_b6_workers_killed_at_random_lose_and_repeat_nothing(
    tmp_path: Path, seed: int, guarantee: str
) -> None:
    with (
        project_directory(),
        ApacheKafka(settings=ONE_NODE) as kafka,
        running(kafka.address, tmp_path, seed, guarantee) as run,
    ):
        kill_workers(run, KILLS)
        run.roll()
        assert run.finish() == [], f"HEADRACE_SEED={seed}"


@pytest.mark.kafka
def test_a10_2_b6_brokers_killed_at_random_lose_and_repeat_nothing(tmp_path: Path, seed: int) -> None:
    with (
        project_directory(),
        ApacheKafka(BROKERS, settings=CLUSTER, controller=True) as kafka,
        running(kafka.address, tmp_path, seed, partitions=3) as run,
    ):
        kill_brokers(run, kafka, BROKER_KILLS)
        assert run.finish() == [], f"HEADRACE_SEED={seed}"
