"""Headrace, with the settings that a user gets."""

from __future__ import annotations

import sys
from typing import Final

import msgspec

from benchmarks.contenders.contender import Changelog, Contender, Setting
from benchmarks.machine import describe_versions
from benchmarks.measurement import Job, WorkName
from benchmarks.windows import unpack_key, unpack_value


def command_of(job: Job) -> list[str]:
    """Return the command that does a job in this environment."""
    return [sys.executable, "-m", "benchmarks.measure", msgspec.json.encode(job).decode()]


def window(work: WorkName, key: bytes, value: bytes) -> tuple[bytes, int, int, int]:
    """Return key, start, count and sum of a window in the changelog."""
    _timestamp, count, total = unpack_value(value)
    return *unpack_key(work, key), count, total


HEADRACE: Final = Contender(
    name="headrace",
    title="Headrace",
    command=command_of,
    versions=describe_versions,
    settings=(
        Setting("all", "the defaults", "what a user gets is what is measured"),
        Setting("commit_interval_ms", "100", "exactly-once alone: the pace that Kafka Streams has there"),
    ),
    changelog=Changelog(lambda application_id: f"{application_id}-by-user-changelog", window),
)
