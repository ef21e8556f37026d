"""Faust, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from benchmarks.contenders.contender import Changelog, Contender, Setting
from benchmarks.contenders.environment import command_in, pinned
from benchmarks.measurement import WorkName
from benchmarks.windows import COUNT_ONE

_HERE: Final = Path(__file__).parent


def _window(_work: WorkName, key: bytes, value: bytes) -> tuple[bytes, int, int, int]:
    """Return what Faust logs in JSON: key with bounds in seconds, and both numbers in one."""
    user, (start, _end) = msgspec.json.decode(key)
    count, total = divmod(msgspec.json.decode(value), COUNT_ONE)
    return user.encode(), round(start * 1_000), count, total


_JOINS: Final = "its joins raise NotImplementedError"

FAUST: Final = Contender(
    name="faust",
    title="Faust",
    command=lambda job: command_in(_HERE, job),
    versions=lambda: pinned(_HERE, "faust-streaming", "aiokafka", "rocksdict", "msgspec"),
    settings=(
        Setting("broker_commit_interval", "1", "as the others"),
        Setting("store", "rocksdb://, by rocksdict", "in RocksDB, as the others"),
        Setting("JSON", "msgspec, in the agent", "faster than its codec"),
        Setting(
            "count and sum", "in one number", "`+=` on a window takes a number; two tables would cost twice"
        ),
        Setting("producer_linger_ms", "5", "as the others"),
        Setting("stream_wait_empty, stream_buffer_maxsize", "False, 4096", "its defaults"),
    ),
    refusals={
        "avro": "no codec for Avro",
        "exactly-once": "not measured",
        "dedup": "no state that expires by event time",
        "session": "no session windows",
        "stream-join": _JOINS,
        "table-join": _JOINS,
        "restore": "not measured",
    },
    share=50,
    changelog=Changelog(lambda application_id: f"{application_id}-by-user-changelog", _window),
)
