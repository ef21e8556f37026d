"""What one run of the program is told, by its environment."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Final

ENGINES: Final = ("headrace", "faust")
WORKS: Final = ("nothing", "counting", "windowed")

_PREFIX: Final = "BENCHMARK_"


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        engine: whose names are imported.
        work: which agent.
        name: application id.
        address: bootstrap servers.
        topic: what is read.
        events: how many there are.
        folder: where state is kept.
        result: the file that the rate is written to.
    """

    engine: str
    work: str
    name: str
    address: str
    topic: str
    events: int
    folder: str
    result: str

    @classmethod
    def of_environment(cls) -> Run:
        """Return the run that this process is."""
        told = {name: os.environ[f"{_PREFIX}{name.upper()}"] for name in cls.__slots__}
        return cls(**{**told, "events": int(told["events"])})  # type: ignore[arg-type]  # all others are text

    def environment(self) -> dict[str, str]:
        """Return what the process is to be given."""
        return {f"{_PREFIX}{name.upper()}": str(value) for name, value in asdict(self).items()}
