"""Headrace against Kafka Streams itself: random cases, and every case that has ever failed."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from tests.oracle.cases import load
from tests.oracle.check import Verdict, check, check_all
from tests.oracle.families import FAMILIES
from tests.oracle.generate import cases
from tests.oracle.kafka_streams import KafkaStreams
from tests.oracle.shrink import shrunk

_CASES = 500
_CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))
#: Set to a number to run the cases of that seed again.
_SEED = "HEADRACE_ORACLE_SEED"


@pytest.mark.kafka
def test_random_cases(kafka_streams: KafkaStreams, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get(_SEED) or secrets.randbelow(1_000_000))
    again = f"python -m tests.oracle --seed {seed} --cases {_CASES}"
    with capsys.disabled():
        print(f"\n{_CASES} random cases against Kafka Streams: {again}")
    for verdict in check_all(kafka_streams, cases(seed, _CASES, tuple(FAMILIES))):
        if verdict.failed:
            pytest.fail(f"{again}\n{_small(kafka_streams, verdict)}")


@pytest.mark.kafka
@pytest.mark.parametrize("path", _CORPUS, ids=lambda path: path.stem)
def test_corpus(kafka_streams: KafkaStreams, path: Path) -> None:
    verdict = check(kafka_streams, load(path))
    assert verdict.difference is None, verdict.difference


def _small(kafka: KafkaStreams, verdict: Verdict) -> str:
    smallest = check(kafka, shrunk(verdict.case, lambda smaller: check(kafka, smaller).failed))
    return f"{smallest.case.text()}{smallest.difference}"
