"""Loops written by hand on the client that Headrace uses: the ceiling."""

from __future__ import annotations

from typing import Final

from benchmarks.contenders.contender import Changelog, Contender, Setting
from benchmarks.contenders.headrace import command_of, window
from benchmarks.machine import describe_versions
from benchmarks.measurement import WorkName

_NOT_WRITTEN: Final = "not written by hand"
_REFUSED: Final[tuple[WorkName, ...]] = (
    "repartition",
    "dedup",
    "hopping",
    "session",
    "stream-join",
    "table-join",
)

HANDWRITTEN: Final = Contender(
    name="hand-written",
    title="hand-written",
    command=command_of,
    versions=describe_versions,
    settings=(
        Setting(
            "fetch.queue.backoff.ms", "5", "by default the client sleeps a second when its queue is full"
        ),
        Setting("linger.ms, batch.size", "5, 256 KiB", "the fastest that were measured"),
        Setting("acks, enable.idempotence", "all, true", "as durable as the others"),
        Setting("commits", "every second", "as Headrace"),
    ),
    refusals={**dict.fromkeys(_REFUSED, _NOT_WRITTEN), "exactly-once": _NOT_WRITTEN},
    changelog=Changelog(lambda application_id: f"{application_id}-by-user-changelog", window, made_here=True),
)
