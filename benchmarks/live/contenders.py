"""Who is measured: each starts a process for a job."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from benchmarks.contenders.kafka_streams import live_command
from benchmarks.live.job import LiveJob
from pipeline.testing.process import ServerProcess, free_port


class Started(NamedTuple):
    """A process that does a job.

    Attributes:
        process: it.
        web_port: where it answers over HTTP; 0: nowhere.
    """

    process: ServerProcess
    web_port: int


#: Starts a process for a job, with its state and its log in a folder.
Contender = Callable[[LiveJob, Path], Started]


def headrace(job: LiveJob, folder: Path) -> Started:
    """Start the command that a user types."""
    port = free_port()
    settings = {
        "BROKER_URL": f"kafka://{job.address}",
        "APP_DATADIR": str(folder / "state"),
        "WEB_PORT": str(port),
        "WEB_BIND": "127.0.0.1",
    }
    assignments = [job.assignment(), *(f"{name}={value}" for name, value in settings.items())]
    command = [*_python(assignments), "-m", "faust", "-A", "benchmarks.live.program", "worker"]
    return Started(ServerProcess("Headrace", command, folder / "headrace.log"), port)


def by_hand(job: LiveJob, folder: Path) -> Started:
    """Start the loop that is written by hand."""
    command = [*_python([job.assignment()]), "-m", "benchmarks.live.by_hand"]
    return Started(ServerProcess("the hand-written loop", command, folder / "by-hand.log"), 0)


def _python(assignments: Sequence[str]) -> list[str]:
    """Return how a Python program begins: with its modules compiled, as an installation has them."""
    compiled = Path(tempfile.gettempdir()) / "headrace-benchmark-modules"
    cached = ["PYTHONDONTWRITEBYTECODE=", f"PYTHONPYCACHEPREFIX={compiled}"]
    return ["env", *assignments, *cached, sys.executable]


def exactly_once(job: LiveJob, folder: Path) -> Started:
    """Start the command that a user types, with exactly-once."""
    return headrace(msgspec.structs.replace(job, guarantee="exactly_once"), folder)


def kafka_streams(job: LiveJob, folder: Path, jvm: Sequence[str] = ()) -> Started:
    """Start Kafka Streams with its defaults."""
    command = live_command(job, folder / "state", jvm)
    return Started(ServerProcess("Kafka Streams", command, folder / "kafka-streams.log"), 0)


CONTENDERS: Final[dict[str, Contender]] = {
    "Headrace": headrace,
    "hand-written": by_hand,
    "Kafka Streams": kafka_streams,
    "Headrace, exactly-once": exactly_once,
}


def word_of(name: str) -> str:
    """Return a contender's name as it can stand in those of topics and folders.

    >>> word_of("Headrace, exactly-once")
    'headrace--exactly-once'
    """
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
