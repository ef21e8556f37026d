"""What a task has done by the moment its caches are flushed: what a commit commits, whatever comes after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import TaskMigratedError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Committed


@dataclass(slots=True)
class Checkpoint:
    """Taken when caches are flushed; asked what to commit when everything is acknowledged.

    Attributes:
        processed: what happened since the last commit, by the task's count.
        reached: by source partition, the offset after the last record taken.
        sources: by source partition, what to commit of it.
        changelogs: by store that has one, its changelog partition.
        positions: by store, the position that belongs to the sources' offsets; of a store that was logged,
            as of the last commit until `offsets` says it.
        logged: by store that was logged since the last commit, where its changelog ends if nobody else
            writes to it.
        shared: whether records of others may lie between: in a transaction, they are of an aborted one.
    """

    processed: int
    reached: Mapping[TopicPartition, int | None]
    sources: Mapping[TopicPartition, Committed]
    changelogs: Mapping[str, TopicPartition]
    positions: dict[str, int]
    logged: Mapping[str, int]
    shared: bool

    @property
    def written(self) -> list[TopicPartition]:
        """The changelog partitions of which it has to know where they end."""
        return [self.changelogs[name] for name in sorted(self.logged)]

    def offsets(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, Committed]:
        """Return what to commit, all in one request.

        The next offset of each source partition, with the task's times beside it; and of each changelog
        partition the position that belongs to these offsets.

        Args:
            ends: of the partitions that were written, everything being acknowledged.

        Raises:
            TaskMigratedError: somebody else has written to a changelog, between what this worker logged.
        """
        for name, expected in self.logged.items():
            changelog = self.changelogs[name]
            end = ends[changelog]
            if end != expected and not self.shared:
                raise TaskMigratedError(
                    f"changelog {changelog} ends at {end} and not at {expected}: "
                    "another worker writes to it, which had this task before or has it now"
                )
            self.positions[name] = end
        logs = {changelog: Committed(self.positions[name]) for name, changelog in self.changelogs.items()}
        return {**logs, **self.sources}
