"""What one run of the program is told, by its environment."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec

ENGINES: Final = ("headrace", "faust")
WORKS: Final = ("nothing", "counting", "windowed")

_PREFIX: Final = "BENCHMARK_"


class Result(msgspec.Struct, frozen=True):
    """What a run comes to, from the first event to the last.

    Attributes:
        rate: events a second.
        cpu_us: CPU time an event, of the thread that the agent runs in: what decides the rate on a machine
            that has nothing else to do.
    """

    rate: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        engine: whose names are imported.
        work: which agent.
        name: application id.
        address: bootstrap servers.
        topic: what is read.
        partitions: how many it has.
        events: how many there are.
        folder: where state is kept.
        result: the file that the result is written to.
    """

    engine: str
    work: str
    name: str
    address: str
    topic: str
    partitions: int
    events: int
    folder: str
    result: str

    @classmethod
    def of_environment(cls) -> Run:
        """Return the run that this process is."""
        told = {name: os.environ[f"{_PREFIX}{name.upper()}"] for name in cls.__slots__}
        numbers = {name: int(told[name]) for name in ("partitions", "events")}
        return cls(**{**told, **numbers})  # type: ignore[arg-type]  # all others are text

    def environment(self) -> dict[str, str]:
        """Return what the process is to be given."""
        return {f"{_PREFIX}{name.upper()}": str(value) for name, value in asdict(self).items()}

    def settings(self) -> dict[str, Any]:
        """Return what stock Faust must be told to run well on one broker; Headrace is told nothing.

        Its internal topics have as many partitions as the source, one replica and no second copy, nobody
        leads, and its tables are in memory: the fastest store that it has. Headrace's are in RocksDB.
        """
        if self.engine != "faust":
            return {}
        return {
            "topic_partitions": self.partitions,
            "topic_replication_factor": 1,
            "topic_disable_leader": True,
            "table_standby_replicas": 0,
            "stream_wait_empty": False,
            "store": "memory://",
        }
