"""Quix Streams, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.contenders.contender import Contender, Setting
from benchmarks.contenders.environment import command_in, pinned

_HERE: Final = Path(__file__).parent

QUIX: Final = Contender(
    name="quix",
    title="Quix Streams",
    command=lambda job: command_in(_HERE, job),
    versions=lambda: pinned(_HERE, "quixstreams", "confluent-kafka", "rocksdict", "orjson"),
    settings=(
        Setting("commit_interval", "1", "as the others; 0.1 with exactly-once"),
        Setting("JSON", "its own (orjson)", "as fast as it gets in Python"),
        Setting("loglevel", "WARNING", "nothing is logged of a record"),
        Setting(
            "fetch.queue.backoff.ms", "5", "by default the client sleeps a second when its queue is full"
        ),
        Setting("linger.ms", "5", "as the others"),
        Setting("windows", ".current()", "what is emitted is kept, and says in the end what they came to"),
        Setting("dedup", "a stateful filter", "ids are kept for ever: it has no state that expires"),
        Setting("stream-table join", "join_asof", "the latest row that is not younger"),
        Setting("state", "RocksDB, changelog topics", "its defaults"),
    ),
    refusals={"restore": "not measured"},
    share=10,
)
