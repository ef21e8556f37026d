"""What a process that is measured from outside is told, by its environment."""

from __future__ import annotations

import os
from typing import Final, Literal, Self

import msgspec

#: `route` filters, masks and writes; `count` counts and sums up by user and minute; `keys` counts by key
#: for ever; `both` routes and counts.
LiveWork = Literal["route", "count", "keys", "both"]
Guarantee = Literal["at_least_once", "exactly_once"]

_VARIABLE: Final = "BENCHMARK_JOB"


class LiveJob(msgspec.Struct, frozen=True, kw_only=True):
    """One process.

    Attributes:
        work: what to do until it is stopped.
        address: bootstrap servers.
        application_id: consumer group.
        source: topic to read.
        target: topic that is written to.
        guarantee: of processing.
        grace_ms: how long windows stay open.
    """

    work: LiveWork
    address: str
    application_id: str
    source: str
    target: str
    guarantee: Guarantee = "at_least_once"
    grace_ms: int = 24 * 3_600_000

    def assignment(self) -> str:
        """Return it as `NAME=value`, for `env`."""
        return f"{_VARIABLE}={msgspec.json.encode(self).decode()}"

    @classmethod
    def of_environment(cls) -> Self:
        """Return what this process was told."""
        return msgspec.json.decode(os.environ[_VARIABLE], type=cls)
