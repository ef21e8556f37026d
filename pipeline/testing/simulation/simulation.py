"""The run: what happens next is drawn, until all input is in; then faults end, and all comes to rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.errors import StreamsError
from pipeline.plan.planner import plan
from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.broker import Committed, Message
from pipeline.runtime.memory import MemoryBroker
from pipeline.testing.simulation.faults import Faults
from pipeline.testing.simulation.machine import Machine
from pipeline.topology import GlobalTable, Topology

#: How long the group waits for a member that does not answer.
SESSION_MS: Final = 6_000
#: Until the last input is written, about so many steps are between two of them.
_STEPS_PER_INPUT: Final = 4
#: Rounds without anything new, after which all is at rest.
_QUIET_ROUNDS: Final = 12
_MAX_ROUNDS: Final = 5_000
_LONGEST_PAUSE_MS: Final = 3 * SESSION_MS
_TRACE: Final = 60


class Input(NamedTuple):
    """A record to write to a source topic.

    Attributes:
        topic: which.
        key: bytes, None for none.
        value: bytes, None for a tombstone.
        timestamp: event time in ms.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp: int


class SimulationError(AssertionError):
    """Something happened that must not; the message says how to run it again."""


class Outcome(NamedTuple):
    """What is there when all has come to rest.

    Attributes:
        broker: the topics, and the group's committed offsets.
        crashes: how many workers were killed.
    """

    broker: MemoryBroker
    crashes: int

    def records(self, topic: str) -> Sequence[Message]:
        """Return what a reader sees of a topic, partition by partition."""
        return self.broker.records(topic)

    def last_values(self, topic: str) -> dict[bytes | None, bytes | None]:
        """Return the last value of each key."""
        return {message.key(): message.value() for message in self.records(topic)}


class Simulation:
    """Workers on a broker, everything that goes wrong drawn from a seed.

    Args:
        topology: what the workers run.
        inputs: records to write, in this order.
        seed: of everything that is drawn.
        workers: number of machines.
        partitions: of every topic that is not internal, or by topic.
        topics: more topics to create, such as those that a sink chooses for each record.
        faults: how often what goes wrong; drawn from the seed unless told.
        invariants: called after every step of a worker with the broker and the application's id;
            each raises AssertionError if something is not as it must be at any time.
        settings: fields of `StreamsConfig`, such as `processing_guarantee`.
    """

    def __init__(
        self,
        topology: Topology,
        inputs: Iterable[Input],
        *,
        seed: int,
        workers: int = 3,
        partitions: int | Mapping[str, int] = 3,
        topics: Iterable[str] = (),
        faults: Faults | None = None,
        invariants: Sequence[Callable[[MemoryBroker, str], None]] = (),
        **settings: Any,
    ) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.clock = ManualClock(1_000_000)
        self.broker = MemoryBroker(self.clock)
        self.faults = Faults.drawn(self.random) if faults is None else faults
        self.trace: list[str] = []
        self._topology, self._inputs = topology, list(inputs)
        self._written = self._crashes = 0
        self._config = StreamsConfig(
            topology.application_id, Path("unused"), **{"poll_records": 3, "restore_records": 3, **settings}
        )
        self._plan = plan(topology)
        self._invariants = invariants
        for topic in sorted({*self._plan.external_sources, *self._plan.fixed_sinks, *topics}):
            count = partitions if isinstance(partitions, int) else partitions.get(topic, 1)
            self.broker.create_topic(topic, count)
        self._machines = [
            Machine(number, topology, self._config, self.broker, self.clock, self.random, self.faults)
            for number in range(workers)
        ]

    def run(self) -> Outcome:
        """Run until all input is processed and everything is at rest, and check what must hold then.

        Raises:
            SimulationError: it does not come to rest, a worker failed, or an invariant does not hold.
        """
        try:
            self._go_wrong()
            self._calm_down()
            self._check_tables()
        except (AssertionError, StreamsError, LookupError, TypeError, ValueError) as error:
            last = "\n  ".join(self.trace[-_TRACE:])
            raise SimulationError(
                f"seed {self.seed}: {type(error).__name__}: {error}\n{self.faults}\nlast steps:\n  {last}"
            ) from error
        return Outcome(self.broker, self._crashes)

    def _go_wrong(self) -> None:
        steps = _STEPS_PER_INPUT * len(self._inputs)
        while self._written < len(self._inputs) or steps > 0:
            steps -= 1
            self._time_passes()
            if self._written < len(self._inputs) and self.random.randrange(_STEPS_PER_INPUT) == 0:
                self._write(self.random.randint(1, 4))
            self._something_happens()
            machine = self.random.choice(self._machines)
            if machine.step():
                self._note(machine.ended or f"{machine} steps")
                self._check()

    def _time_passes(self) -> None:
        self.clock.advance(self.random.choice((0, 1, 20, 200)))
        self.broker.time_out_transactions()
        for machine in self._machines:
            machine.link.background()
            if machine.expire(SESSION_MS):
                self._note(f"{machine} is given up by the group")
            if machine.wake():
                self._note(f"{machine} is there again")

    def _something_happens(self) -> None:
        draw, faults = self.random.random, self.faults
        machine = self.random.choice(self._machines)
        pause_ms = self.random.randrange(_LONGEST_PAUSE_MS)
        if draw() < faults.crash and machine.crash(pause_ms, lose_disk=draw() < faults.disk_lost):
            self._crashes += 1
            self._note(f"{machine} is killed")
        elif draw() < faults.pause:
            machine.pause(pause_ms)
            self._note(f"{machine} is paused for {pause_ms} ms")
        elif draw() < faults.leave and machine.leave(pause_ms):
            self._note(f"{machine} leaves")
        elif draw() < faults.expel:
            machine.expel()
            self._note(f"{machine} is expelled")
        elif draw() < faults.outage:
            down = self.random.random() < 0.5  # noqa: PLR2004 - as often on as off
            for each in self._machines:
                each.link.down = down
            self._note("nobody reaches the broker" if down else "the broker is reached again")

    def _write(self, count: int) -> None:
        producer = self.broker.producer("input")
        for topic, key, value, timestamp in self._inputs[self._written : self._written + count]:
            producer.produce(topic, value, key, -1, timestamp, NO_HEADERS)
        self._written += count
        producer.flush(0)

    def _calm_down(self) -> None:
        """No faults any more: whoever is away comes back, and all that is left is done."""
        self._note("faults end")
        for machine in self._machines:
            machine.recover()
        quiet, before = 0, None
        for _ in range(_MAX_ROUNDS):
            self._time_passes()
            self.clock.advance(self._config.commit_interval_ms)
            for machine in self._machines:
                machine.step()
                self._check()
            now = self._ends()
            quiet = quiet + 1 if now == before else 0
            before = now
            if quiet >= _QUIET_ROUNDS and self._all_settled() and self._all_committed():
                return
        raise SimulationError(f"it does not come to rest: {[machine.status() for machine in self._machines]}")

    def _ends(self) -> dict[TopicPartition, int]:
        return {
            TopicPartition(topic, number): partition.end
            for topic in self.broker.topics()
            for number, partition in enumerate(self.broker.partitions(topic))
        }

    def _all_settled(self) -> bool:
        """Whether no transaction is open: one of a worker that is gone ends when its time is over."""
        return all(
            partition.stable_end == partition.end
            for topic in self.broker.topics()
            for partition in self.broker.partitions(topic)
        )

    def _all_committed(self) -> bool:
        """Whether every record of every source is committed; markers after the last need not be."""
        committed = self.broker.committed(self._config.application_id)
        sources = {topic for sub in self._plan.subtopologies for topic in sub.topics}
        return all(
            committed.get(TopicPartition(message.topic(), message.partition()), Committed(0)).offset
            > message.offset()
            for topic in sources
            for message in self.broker.records(topic)
        )

    def _check(self) -> None:
        for invariant in self._invariants:
            invariant(self.broker, self._config.application_id)

    def _check_tables(self) -> None:
        """Every table is the fold of its changelog, as far as it is committed; a global one, of its topic."""
        committed = self.broker.committed(self._config.application_id)
        logged = {store.name for sub in self._plan.subtopologies for store in sub.stores if store.logged}
        for machine in self._machines:
            for task, stores in machine.stores().items():
                for name, store in stores.items():
                    if name not in logged:
                        continue
                    changelog = TopicPartition(self._plan.changelog(name), task.partition)
                    fold = self._fold(changelog, committed.get(changelog, Committed(0)).offset)
                    stored = dict(store.stored(fold))
                    wrong = {key for key, value in fold.items() if stored[key] not in (value, None)}
                    # A window that has expired is gone from the store, and still in the changelog.
                    if wrong or (store_keeps_all(store) and stored != fold):
                        raise SimulationError(f"{task} {name}: stored {stored}, and logged {fold}")

        for table in self._plan.global_tables:
            self._check_global_table(table)

    def _check_global_table(self, table: GlobalTable) -> None:
        fold = {message.key(): message.value() for message in self.broker.records(table.topics[0])}
        expected = {
            table.key.deserialize(key): table.value.deserialize(value)
            for key, value in fold.items()
            if key is not None and value is not None
        }
        for machine in self._machines:
            found = machine.global_rows(table.store.name)
            if found != expected:
                raise SimulationError(f"{machine} {table.name}: {found} instead of {expected}")

    def _fold(self, changelog: TopicPartition, end: int) -> dict[bytes, bytes | None]:
        partition = self.broker.partitions(changelog.topic)[changelog.partition]
        records = partition.read(0, end, end)
        return {message.key() or b"": message.value() for message in records}

    def _note(self, what: str) -> None:
        self.trace.append(f"{self.clock.now_ms() - 1_000_000:>8} {what}")


def store_keeps_all(store: Any) -> bool:
    """Whether a store forgets nothing by itself."""
    return not hasattr(store, "retention_ms") and not hasattr(store, "history_ms")
