"""What a measuring process is told, and what it answers."""

from __future__ import annotations

from typing import Literal

import msgspec

Work = Literal["route", "count", "restore"]
Side = Literal["headrace", "hand-written"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement, in a process of its own.

    Attributes:
        work: what to do.
        side: by whom.
        address: bootstrap servers.
        application_id: consumer group.
        source: topic to read.
        target: topic that the route writes to.
        changelog: changelog topic of the hand-written loops; ours names its own.
        records: how many records there are to process, or to restore.
        grace_ms: how long the count's windows stay open.
        state_dir: empty folder for state.
    """

    work: Work
    side: Side
    address: str
    application_id: str
    source: str
    target: str
    changelog: str
    records: int
    grace_ms: int
    state_dir: str


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What one measurement came to.

    Attributes:
        records: how many records were processed or restored.
        seconds: from the first record in hand to the last result committed.
        cpu_seconds: processor time of the measuring process meanwhile, all its threads.
        entries: number of entries in the restored stores, and
        checksum: the fingerprint of their keys and values; both for `restore` only.
    """

    records: int
    seconds: float
    cpu_seconds: float
    entries: int = 0
    checksum: int = 0

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds
