"""Exactly-once on Apache Kafka: nothing is lost and nothing is there twice, whoever is killed when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.crash.run import kill_workers, running
from tests.integration.flagship.broker import started

KILLS = 5


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
