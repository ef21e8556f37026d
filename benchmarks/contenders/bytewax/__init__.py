"""Bytewax, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.contenders.contender import Contender, Setting
from benchmarks.contenders.environment import command_in, pinned

_HERE: Final = Path(__file__).parent

BYTEWAX: Final = Contender(
    name="bytewax",
    title="Bytewax",
    command=lambda job: command_in(_HERE, job),
    versions=lambda: pinned(_HERE, "bytewax", "confluent-kafka", "msgspec"),
    settings=(
        Setting("workers", "1", "one process with one thread runs Python code"),
        Setting("batch_size", "1000", "its default, which it recommends for throughput"),
        Setting("operators", "flat_map_batch", "what its other stateless operators are made of: the fastest"),
        Setting("JSON", "msgspec", "as fast as it gets in Python"),
        Setting(
            "fetch.queue.backoff.ms", "5", "by default the client sleeps a second when its queue is full"
        ),
        Setting("linger.ms", "5", "as the others; its sink flushes after every batch"),
        Setting(
            "wait_for_system_duration",
            "1 day",
            "a key's time goes on with the system's: with the others' grace of 30 s a run that takes longer "
            "closes windows too early",
        ),
        Setting(
            "ordered", "False", "sums ask for no order: else each record is held until its window closes"
        ),
        Setting("recovery", "off", "its windows are in memory alone: without changelog, nothing is stored"),
    ),
    refusals={
        "exactly-once": "no transactions",
        "repartition": "exchanges records between its workers in memory, not through a topic",
        "dedup": "no state that expires by event time",
        "stream-join": "joins within fixed windows alone",
        "table-join": "no tables of topics",
        "restore": "no changelog",
    },
    share=10,
)
