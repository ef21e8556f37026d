"""Kafka Streams 4.3, in a JVM of its own, with one thread and with two."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.contenders.contender import Changelog, Contender, Setting
from benchmarks.live.job import LiveJob
from benchmarks.measurement import Job, WorkName
from benchmarks.windows import unpack_key
from pipeline.testing.java import compiled, jdk
from pipeline.testing.kafka_jars import classpath, kafka_directory, locked_jars

_HERE: Final = Path(__file__).parent
_LOCK: Final = _HERE / "kafka-streams-jars.lock"
#: Count and sum; in a window, after the timestamp of the last record.
_VALUE: Final = struct.Struct(">qq")

_JVM: Final = ("-Xms1g", "-Xmx1g", "-XX:+UseParallelGC")
_SETTINGS: Final = (
    Setting("commit.interval.ms", "1000", "as the others; the default of 30 s only lets more be repeated"),
    Setting(
        "statestore.cache.max.bytes",
        "134217728",
        "more than Headrace's 80 MiB; its default of 10 MiB is slower",
    ),
    Setting("producer.linger.ms", "5", "as the others"),
    Setting("producer.batch.size", "262144", "as the others"),
)
_EXACTLY_ONCE: Final = (
    Setting("processing.guarantee", "exactly_once_v2", "exactly-once alone"),
    Setting("commit.interval.ms", "100", "exactly-once alone: its default there"),
)


def live_command(job: LiveJob, state_dir: Path, jvm: Sequence[str]) -> list[str]:
    """Return the command that does a job until SIGTERM, with Kafka Streams' defaults.

    Args:
        job: what to do.
        state_dir: for its stores.
        jvm: options of the virtual machine.
    """
    settings = {"processing.guarantee": {"exactly_once": "exactly_once_v2"}.get(job.guarantee, job.guarantee)}
    told = msgspec.to_builtins(job) | {
        "state_dir": str(state_dir),
        "other": "",
        "format": "open",
        "threads": 1,
        "settings": settings,
    }
    return [*_java(jvm), "Live", msgspec.json.encode(told).decode()]


def _java(jvm: Sequence[str]) -> list[str]:
    """Return how a program begins, after compiling it."""
    path = classpath(kafka_directory(), _LOCK)
    classes = compiled(_HERE / "java", path, kafka_directory(), "kafka-streams")
    return [str(jdk() / "java"), *jvm, "-cp", f"{classes}{os.pathsep}{path}"]


def _command(threads: int, job: Job) -> list[str]:
    """Return the command that does a job."""
    settings = (*_SETTINGS, *(_EXACTLY_ONCE if job.exactly_once else ()))
    told = msgspec.structs.replace(
        job, threads=threads, settings={setting.name: setting.value for setting in settings}
    )
    return [*_java(_JVM), "Main", msgspec.json.encode(told).decode()]


def _versions() -> str:
    done = subprocess.run([jdk() / "java", "-version"], capture_output=True, text=True, check=True)
    jars = {jar.artifact: jar.version for jar in locked_jars(_LOCK)}
    return (
        f"Kafka Streams {jars['kafka-streams']}, Jackson {jars['jackson-databind']}, "
        f"{done.stderr.splitlines()[0]}"
    )


def _window(work: WorkName, key: bytes, value: bytes) -> tuple[bytes, int, int, int]:
    count, total = _VALUE.unpack_from(value, len(value) - _VALUE.size)
    return *unpack_key(work, key), count, total


def _contender(threads: int) -> Contender:
    return Contender(
        name=f"kafka-streams-{threads}",
        title=f"Kafka Streams, {threads} thread{'s' if threads > 1 else ''}",
        command=lambda job: _command(threads, job),
        versions=_versions,
        settings=(
            Setting("num.stream.threads", str(threads), "its best of one and two counts, on two cores"),
            Setting("JVM", " ".join(_JVM), "throughput rather than short pauses"),
            Setting("count and sum", "16 bytes", "no JSON in its stores, which is faster than what ours has"),
            Setting("dedup", "a window store of ids", "the usual way"),
            *_SETTINGS,
            *_EXACTLY_ONCE,
        ),
        changelog=Changelog(lambda application_id: f"{application_id}-by-user-changelog", _window),
    )


KAFKA_STREAMS: Final = (_contender(1), _contender(2))
