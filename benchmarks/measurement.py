"""What a measuring process is told, and what it answers."""

from __future__ import annotations

from typing import Literal

import msgspec

WorkName = Literal[
    "read",
    "decode",
    "route",
    "repartition",
    "dedup",
    "count",
    "hopping",
    "session",
    "stream-join",
    "table-join",
    "restore",
    "flagship",
]
#: Of values: open JSON (whatever fields there are), JSON of a declared type, or Avro.
Format = Literal["open", "typed", "avro"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement, in a process of its own.

    Attributes:
        work: what to do.
        contender: by whom.
        address: bootstrap servers.
        application_id: consumer group.
        source: topic to read.
        other: the second topic of a join: a stream, or a table.
        target: topic that the route writes to.
        changelog: changelog topic of the hand-written loops; the others name their own.
        records: how many records there are to read, of both topics; or to restore.
        results: how often the user's function is called that makes the result: the process is done when
            it was, and all is committed.
        grace_ms: how long windows stay open.
        state_dir: empty folder for state.
        format: of the values.
        schema: of Avro's values, as its specification writes it.
        exactly_once: whether to commit in transactions, every 100 ms, instead of at least once.
        threads: of Kafka Streams.
        settings: of the contender's clients, where it takes them from here.
    """

    work: WorkName
    contender: str
    address: str
    application_id: str
    source: str
    other: str = ""
    target: str = ""
    changelog: str = ""
    records: int
    results: int
    grace_ms: int
    state_dir: str
    format: Format = "open"
    schema: str = ""
    exactly_once: bool = False
    threads: int = 1
    settings: dict[str, str] = {}


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What one measurement came to.

    Attributes:
        records: how many records were read or restored.
        seconds: from the first record in hand to the last result committed.
        cpu_seconds: processor time of the measuring process meanwhile, all its threads.
        entries: how many entries the result has, where it is in the process and not in a topic, and
        checksum: what they are checked with: the sum of their amounts, or a digest's.
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
