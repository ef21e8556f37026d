"""The run: what happens next is drawn, until all input is in; then faults end, and all comes to rest."""

from __future__ import annotations

from collections import Counter
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
from pipeline.testing.simulation.leaders import Leaders
from pipeline.testing.simulation.machine import Machine
from pipeline.testing.simulation.tables import Tables
from pipeline.topology import Topology

#: Small batches, so that much can happen between them; what is measured in virtual time says nothing.
_SETTINGS: Final = {"poll_records": 3, "restore_records": 3, "metrics_recording_level": "off"}
#: How long the group waits for a member that does not answer.
SESSION_MS: Final = 6_000
#: In one of so many steps, inputs are written.
_STEPS_PER_WRITE: Final = 4
#: Faults go on for at least so many steps.
_STEPS_PER_INPUT: Final = 3
#: So many, and faults end although not all is written: it waits for what never comes.
_MOST_STEPS_PER_INPUT: Final = 6
#: Steps between two looks whether all is settled.
_LOOK_EVERY: Final = 8
#: Commits between two looks into the stores.
_COMMITS_PER_LOOK: Final = 20
#: Rounds without anything new, after which all is at rest.
_QUIET_ROUNDS: Final = 4
_MAX_ROUNDS: Final = 5_000
#: What passes between two steps; and while nothing is written before all is settled.
_PACE_MS: Final = (0, 1, 20, 200)
_WAITING_MS: Final = (0, 20, 200, 2_000)
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


#: Among inputs: those after it are written when all that came of those before it is committed.
SETTLE: Final = Input("", None, None, -1)


class SimulationError(AssertionError):
    """Something happened that must not; the message says how to run it again."""


class Outcome(NamedTuple):
    """What is there when all has come to rest.

    Attributes:
        broker: the topics, and the group's committed offsets.
        counts: how often what has happened, such as `crashes`, `answers lost`, `transactions aborted`.
    """

    broker: MemoryBroker
    counts: Counter[str]

    @property
    def crashes(self) -> int:
        """How many workers were killed."""
        return self.counts["crashes"]

    def records(self, topic: str) -> Sequence[Message]:
        """Return what a reader sees of a topic, partition by partition."""
        return self.broker.records(topic)

    def last_values(self, topic: str) -> dict[bytes | None, bytes | None]:
        """Return the last value of each key."""
        return {message.key: message.value for message in self.records(topic)}


class Simulation:
    """Workers on a broker, everything that goes wrong drawn from a seed.

    Args:
        topology: what the workers run.
        inputs: records to write, in this order; with `SETTLE` between them, where it matters what is
            processed before what.
        seed: of everything that is drawn.
        workers: number of machines.
        partitions: of every topic that is not internal, or by topic.
        topics: more topics to create, such as those that a sink chooses for each record.
        faults: how often what goes wrong; drawn from the seed unless told.
        classic: whether the group's partitions change hands all at once, and not one by one; drawn from
            the seed unless told.
        invariants: called after every step that committed with the broker and the application's id;
            each raises AssertionError if something is not as it must be at any time.
        settings: fields of `StreamsConfig`, such as `processing_guarantee`.

    Attributes:
        trace: what happened, line by line: the same for the same seed.
        counts: how often what has happened.
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
        classic: bool | None = None,
        invariants: Sequence[Callable[[MemoryBroker, str], None]] = (),
        **settings: Any,
    ) -> None:
        self.seed = seed
        self.random = random = Random(seed)
        self.clock = ManualClock(1_000_000)
        self.faults = Faults.drawn(random) if faults is None else faults
        self.classic = random.random() < 0.3 if classic is None else classic  # noqa: PLR2004 - now and then
        self.broker = MemoryBroker(self.clock, classic_groups=self.classic)
        self.trace: list[str] = []
        self.counts: Counter[str] = Counter()
        self._topology, self._inputs = topology, list(inputs)
        self._written = 0
        self._config = StreamsConfig(topology.application_id, Path("unused"), **{**_SETTINGS, **settings})
        self._plan = plan(topology)
        self._sources = {topic for sub in self._plan.subtopologies for topic in sub.topics}
        self._invariants = invariants
        self._checked = self._looked = 0
        self._waiting = False
        for topic in sorted({*self._plan.external_sources, *self._plan.fixed_sinks, *topics}):
            count = partitions if isinstance(partitions, int) else partitions.get(topic, 1)
            self.broker.create_topic(topic, count)
        self._leaders = Leaders(self.broker, random)
        self._tables = Tables(self._plan, self.broker, topology.application_id)
        shared = (topology, self._config, self.broker, self.clock, random, self.faults)
        self._machines = [Machine(number, *shared, self._leaders, self.counts) for number in range(workers)]
        #: What may go wrong at each step, and how likely it is.
        self._actions = [(chance, act) for chance, act in self._all_actions() if chance]

    def run(self) -> Outcome:
        """Run until all input is processed and everything is at rest, and check what must hold then.

        Raises:
            SimulationError: it does not come to rest, a worker failed, or an invariant does not hold.
        """
        try:
            self._go_wrong()
            self._calm_down()
            self._tables.check_settled(self._machines)
        except (AssertionError, StreamsError, LookupError, TypeError, ValueError) as error:
            last = "\n  ".join(self.trace[-_TRACE:])
            raise SimulationError(
                f"seed {self.seed}: {type(error).__name__}: {error}\n{self.faults}\nlast steps:\n  {last}"
            ) from error
        finally:
            for machine in self._machines:
                machine.end()
        return Outcome(self.broker, self.counts)

    def _go_wrong(self) -> None:
        random, steps = self.random, 0
        least, most = _STEPS_PER_INPUT * len(self._inputs), _MOST_STEPS_PER_INPUT * len(self._inputs)
        while steps < least or (self._written < len(self._inputs) and steps < most):
            steps += 1
            self._time_passes()
            if self._written < len(self._inputs) and random.randrange(_STEPS_PER_WRITE) == 0:
                self._write(random.randint(1, 4), steps)
            for chance, act in self._actions:
                if random.random() < chance:
                    act()
                    break
            machine = random.choice(self._machines)
            if machine.step():
                self._note(machine.ended or f"{machine} steps")
                self._check()

    def _time_passes(self) -> None:
        self.clock.advance(self.random.choice(_WAITING_MS if self._waiting else _PACE_MS))
        self.counts["transactions timed out"] += self.broker.time_out_transactions()
        if self._leaders.elect(self.clock.now_ms()):
            self._note("there are leaders again")
        for machine in self._machines:
            machine.link.carry_on()
            if machine.expire(SESSION_MS):
                self._note(f"{machine} is given up by the group")
            if machine.wake():
                self._note(f"{machine} is there again")

    def _all_actions(self) -> list[tuple[float, Callable[[], None]]]:
        faults = self.faults
        return [
            (faults.crash, self._crash),
            (faults.pause, self._pause),
            (faults.leave, self._leave),
            (faults.expel, self._expel),
            (faults.abort, self._abort),
            (faults.leader_lost, self._lose_leader),
            (faults.outage, self._cut_off),
        ]

    def _crash(self) -> None:
        machine, lose_disk = self.random.choice(self._machines), self.random.random() < self.faults.disk_lost
        if machine.crash(self._some_ms(), lose_disk=lose_disk):
            self._happened("crashes", f"{machine} is killed{', and its disk lost' if lose_disk else ''}")

    def _pause(self) -> None:
        machine, pause_ms = self.random.choice(self._machines), self._some_ms()
        machine.pause(pause_ms)
        self._happened("pauses", f"{machine} is paused for {pause_ms} ms")

    def _leave(self) -> None:
        machine = self.random.choice(self._machines)
        if machine.leave(self._some_ms()):
            self._happened("leaves", f"{machine} leaves")

    def _expel(self) -> None:
        machine = self.random.choice(self._machines)
        machine.expel()
        self._happened("expulsions", f"{machine} is expelled")

    def _abort(self) -> None:
        machine = self.random.choice(self._machines)
        if machine.link.abort_transaction():
            self._happened("transactions aborted", f"the transaction of {machine} is aborted")

    def _lose_leader(self) -> None:
        lost = self._leaders.kill(self.clock.now_ms())
        for machine in self._machines:
            machine.link.lose_leader(lost)
        self._happened("leaders lost", f"the leader of {', '.join(map(str, lost))} is killed")

    def _cut_off(self) -> None:
        down = self.random.random() < 0.5  # noqa: PLR2004 - as often on as off
        for each in self._machines:
            each.link.down = down
        if down:
            self._happened("outages", "nobody reaches the broker")
        else:
            self._note("the broker is reached again")

    def _some_ms(self) -> int:
        return self.random.randrange(_LONGEST_PAUSE_MS)

    def _happened(self, what: str, note: str) -> None:
        self.counts[what] += 1
        self._note(note)

    def _write(self, count: int, turn: int) -> None:
        """Write some of the next inputs, but none that others must be settled for."""
        producer = self.broker.producer("input")
        for _ in range(count):
            if self._written == len(self._inputs):
                break
            topic, key, value, timestamp = following = self._inputs[self._written]
            if following is SETTLE:
                self._waiting = bool(turn % _LOOK_EVERY) or not self._settled()
                if self._waiting:
                    break
                self._note("all is settled")
            else:
                producer.produce(topic, value, key, -1, timestamp, NO_HEADERS)
            self._written += 1
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
            if self._written < len(self._inputs):
                self._write(len(self._inputs), 0)
                continue
            now = self._ends()
            quiet = quiet + 1 if now == before else 0
            before = now
            if quiet < _QUIET_ROUNDS or not self._settled():
                continue
            if all(each.running for each in self._machines) and self._tables.followed(self._machines):
                return
        raise SimulationError(f"it does not come to rest: {[machine.status() for machine in self._machines]}")

    def _ends(self) -> list[int]:
        partitions = self.broker.partitions
        return [partition.end for topic in self.broker.topics() for partition in partitions(topic)]

    def _settled(self) -> bool:
        """Whether every record of every source is committed; markers after the last need not be.

        And no transaction is open: one of a worker that is gone ends when its time is over.
        """
        committed = self.broker.committed(self._config.application_id)
        for topic in self.broker.topics():
            for number, partition in enumerate(self.broker.partitions(topic)):
                if partition.stable_end != partition.end:
                    return False
                if topic in self._sources and (last := partition.last_offset()) is not None:
                    offset = committed.get(TopicPartition(topic, number), Committed(0)).offset
                    if offset <= last:
                        return False
        return True

    def _check(self) -> None:
        """Check what must hold at any time, if anything was committed since the last look."""
        commits = self.counts["commits"]
        if commits == self._checked:
            return
        self._checked = commits
        self._tables.check_offsets()
        for invariant in self._invariants:
            invariant(self.broker, self._config.application_id)
        if commits - self._looked >= _COMMITS_PER_LOOK:
            self._looked = commits
            self._tables.check_local(self._machines)

    def _note(self, what: str) -> None:
        self.trace.append(f"{self.clock.now_ms() - 1_000_000:>8} {what}")
