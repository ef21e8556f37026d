"""What holds at any time: a table is the fold of its changelog, and never ahead of what is committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pipeline.plan.planner import Plan
from pipeline.record import TaskId, TopicPartition
from pipeline.runtime.broker import Committed
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.progress import decode_each
from pipeline.state.segment_keys import SESSIONS, WINDOWS
from pipeline.testing.simulation.machine import Machine
from pipeline.topology import GlobalTable

#: How the changelog keys of stores are laid out that forget what is older than their retention.
_LAYOUTS: Final = {"window": WINDOWS, "session": SESSIONS}


class Tables:
    """Looks into the stores of workers, between their steps.

    Args:
        plan: of the topology.
        broker: has the changelogs.
        group: has the committed positions.
    """

    def __init__(self, plan: Plan, broker: MemoryBroker, group: str) -> None:
        self._plan, self._broker, self._group = plan, broker, group
        stores = [store for sub in plan.subtopologies for store in sub.stores if store.logged]
        self._logged = {store.name for store in stores}
        self._layouts = {store.name: _LAYOUTS[store.kind] for store in stores if store.kind in _LAYOUTS}
        self._topics = {store.name: sub.topics for sub in plan.subtopologies for store in sub.stores}
        self._committed: Mapping[TopicPartition, Committed] = {}

    def check_offsets(self) -> None:
        """Raise AssertionError if a committed offset goes back, or a changelog's is past its end."""
        before, self._committed = self._committed, self._broker.committed(self._group)
        for partition, (offset, _) in self._committed.items():
            known = before.get(partition)
            if known is not None and offset < known.offset:
                raise AssertionError(
                    f"the committed offset of {partition} goes back: {known.offset}, {offset}"
                )
            end = self._broker.partitions(partition.topic)[partition.partition].end
            if offset > end:
                raise AssertionError(f"{offset} is committed of {partition}, which ends at {end}")

    def check_local(self, machines: Iterable[Machine]) -> None:
        """Raise AssertionError unless every store and copy is what its changelog says, up to its position."""
        committed = self._broker.committed(self._group)
        for machine in machines:
            for task, store in self._logged_stores(machine.stores()):
                self._check(machine, task, store, store.progress().get("time", -1), committed)
            for task, store in self._logged_stores(machine.copies()):
                time = self._copied_time(machine, task, store, committed)
                self._check(machine, task, store, time, committed)

    def _logged_stores(self, tasks: Mapping[TaskId, Mapping[str, Any]]) -> Iterator[tuple[TaskId, Any]]:
        for task, stores in tasks.items():
            yield from ((task, store) for name, store in stores.items() if name in self._logged)

    def _check(
        self,
        machine: Machine,
        task: TaskId,
        store: Any,
        time: int,
        committed: Mapping[TopicPartition, Committed],
    ) -> None:
        """Raise AssertionError unless a store is what its changelog says, but for what is over by `time`."""
        changelog = TopicPartition(self._plan.changelog(store.name), task.partition)
        position = store.position()
        end = committed.get(changelog, Committed(0)).offset
        if position > end:
            raise AssertionError(
                f"{machine} {task} {store.name}: written to {position}, and {end} is committed of {changelog}"
            )
        fold = self._fold(changelog, position)
        stored = dict(store.stored(fold))
        wrong = {
            key: f"stored {stored.get(key)!r}, and logged {value!r}"
            for key, value in fold.items()
            if stored.get(key) != value and not self._may_forget(store, key, time)
        }
        if wrong:
            raise AssertionError(f"{machine} {task} {store.name}, up to {position} of {changelog}: {wrong}")

    def _copied_time(
        self, machine: Machine, task: TaskId, store: Any, committed: Mapping[TopicPartition, Committed]
    ) -> int:
        """Return the time that is committed of a copy's store: opened just now, it is not told of it yet.

        Raises:
            AssertionError: the copy knows of a later one: it forgets too early.
        """
        sources = [TopicPartition(topic, task.partition) for topic in self._topics[store.name]]
        progress = decode_each(committed, sources).values()
        known = [each.stores[store.name]["time"] for each in progress if store.name in each.stores]
        time: int = store.progress().get("time", -1)
        if known and time > max(known):
            raise AssertionError(
                f"{machine}, copy of {task} {store.name}: its time is {time}, and {max(known)} is committed"
            )
        return max([time, *known])

    def _may_forget(self, store: Any, key: bytes, time: int) -> bool:
        """Whether what is logged under a key can be gone from the store, because its time is over."""
        if (layout := self._layouts.get(store.name)) is not None:
            return layout.time_of(key) <= time - store.retention_ms  # type: ignore[no-any-return]
        return hasattr(store, "history_ms")

    def check_settled(self, machines: Iterable[Machine]) -> None:
        """Raise AssertionError unless everything committed is stored, and global tables are whole."""
        machines = list(machines)
        self.check_local(machines)
        committed = self._broker.committed(self._group)
        for machine in machines:
            for task, stores in machine.stores().items():
                for name in self._logged & stores.keys():
                    changelog = TopicPartition(self._plan.changelog(name), task.partition)
                    position, end = stores[name].position(), committed.get(changelog, Committed(0)).offset
                    if position != end:
                        raise AssertionError(
                            f"{machine} {task} {name}: {end} is committed, and stored up to {position}"
                        )
            for table in self._plan.global_tables:
                found, expected = machine.global_rows(table.store.name), self._rows(table)
                if found != expected:
                    raise AssertionError(f"{machine} {table.name}: {found} instead of {expected}")

    def followed(self, machines: Iterable[Machine]) -> bool:
        """Return whether every worker has read all of the global tables."""
        expected = {table.store.name: self._rows(table) for table in self._plan.global_tables}
        return all(
            machine.global_rows(name) == rows for machine in machines for name, rows in expected.items()
        )

    def _rows(self, table: GlobalTable) -> dict[Any, Any]:
        """Return what a global table holds by now."""
        fold = {message.key: message.value for message in self._broker.records(table.topics[0])}
        return {
            table.key.deserialize(key): table.value.deserialize(value)
            for key, value in fold.items()
            if key is not None and value is not None
        }

    def _fold(self, changelog: TopicPartition, end: int) -> dict[bytes, bytes | None]:
        partition = self._broker.partitions(changelog.topic)[changelog.partition]
        # What the open transaction of a worker that is gone hides from readers counts, too.
        settled = (message for message in partition.committed() if message.offset < end)
        return {message.key or b"": message.value for message in settled}
