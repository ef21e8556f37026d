"""Everything that is counted, by name: one list, so that documentation and types agree."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

CounterName: TypeAlias = Literal[
    # Records taken from source topics and processed, whatever came of them.
    "records_processed",
    # Records sent to the dead-letter topic.
    "dead_letters",
    # Records that a rule dropped: late, null value, no event time.
    "records_dropped",
    # Records without a key where one is needed, dropped because there is no dead-letter topic.
    "records_rejected",
    # Records skipped because they could not be decoded (`on_decode_error="continue"`).
    "decode_errors_skipped",
    # Records skipped because a user's function raised (`on_processing_error="continue"`).
    "processing_errors_skipped",
    # Results skipped because they could not be encoded or written (`on_produce_error="continue"`).
    "produce_errors_skipped",
    # Partitions read on elsewhere, because the broker did not hold any more what came next.
    "offsets_reset",
    # Commits of offsets and state.
    "commits",
    # Partitions given up without a commit, because the broker did not answer: they are replayed.
    "revocations_uncommitted",
    # Changelog records applied while restoring.
    "records_restored",
    # Changelog records read into copies of stores whose tasks run elsewhere (`standby_replicas`).
    "records_standby",
    # Records read into global tables, at the start and since.
    "records_global",
]


class Counters(dict[CounterName, int]):
    """Counts since the worker started. Written by the engine's thread, read by any."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(get_args(CounterName), 0))

    def snapshot(self) -> dict[str, int]:
        """Return all counts."""
        return {name: count for name, count in self.items()}  # noqa: C416 - widens the keys' type
