"""A machine: its disk, its connection, and the worker that runs on it, or does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.errors import BrokerError
from pipeline.record import GLOBAL, TaskId
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker
from pipeline.testing.simulation.disk import Disk
from pipeline.testing.simulation.faults import Faults
from pipeline.testing.simulation.leaders import Leaders
from pipeline.testing.simulation.link import Link
from pipeline.topology import Topology


class Machine:
    """Starts, steps, kills and pauses one worker.

    Args:
        number: of the machine.
        topology: what its worker runs.
        config: settings.
        broker: the broker behind its link.
        clock: virtual time.
        random: the simulation's.
        faults: how often requests get lost.
        leaders: who leads what.
        counts: counts what happens.
    """

    def __init__(
        self,
        number: int,
        topology: Topology,
        config: StreamsConfig,
        broker: MemoryBroker,
        clock: ManualClock,
        random: Random,
        faults: Faults,
        leaders: Leaders,
        counts: Counter[str],
    ) -> None:
        self.link = Link(broker, leaders, random, faults, counts)
        #: What ended the worker by itself in its last step.
        self.ended: str | None = None
        self._number, self._topology, self._config = number, topology, config
        self._broker, self._clock, self._random = broker, clock, random
        self._leaders, self._counts = leaders, counts
        self._starts = 0
        self._client_id = ""
        self._away_until = 0
        self._seen_ms = clock.now_ms()
        #: Members whose worker was killed, and when the group last heard of each.
        self._ghosts: dict[str, int] = {}
        #: The member, if the group has given it up and its worker does not know yet.
        self._given_up = ""
        self._disk = Disk(f"disk-{number}", random)
        self._worker: Worker | None = None
        self._start()

    def __str__(self) -> str:
        return f"worker {self._client_id}"

    def _start(self) -> None:
        self._starts += 1
        self._client_id = f"{self._number}.{self._starts}"
        self._seen_ms = self._clock.now_ms()
        down, faults = self.link.down, self.link.faults
        self.link = Link(self._broker, self._leaders, self._random, faults, self._counts)
        self.link.down = down
        self._worker = Worker(
            self._topology, self._config, self.link, self._clock, self._disk, self._client_id
        )

    def step(self) -> bool:
        """Let the worker take a step, if it is there; return whether it is.

        One that ends by itself because of the broker is started again, as a supervisor does.
        """
        self.ended = None
        if self._worker is None or self._clock.now_ms() < self._away_until:
            return False
        self._seen_ms, self._given_up = self._clock.now_ms(), ""
        try:
            self._worker.step()
        except BrokerError as error:
            self.ended = f"{self} ends: {error}"
            self._counts["ends by itself"] += 1
            worker = self._away()
            worker.abort()
            self._start()
        return True

    def crash(self, away_ms: int, *, lose_disk: bool) -> bool:
        """Kill the worker, if it runs: nobody says goodbye; return whether it ran."""
        if self._worker is None:
            return False
        self._ghosts[self._client_id] = self._seen_ms
        self._away().kill()
        if self._random.random() < 0.5:  # noqa: PLR2004 - as often as not
            # What was on its way arrives.
            self.link.carry_on()
        if lose_disk:
            self._counts["disks lost"] += 1
            self._disk = Disk(f"disk-{self._number}-{self._starts}", self._random)
        else:
            self._disk.crash()
        self._away_until = self._clock.now_ms() + away_ms
        return True

    def leave(self, away_ms: int) -> bool:
        """Stop the worker in order, if it runs and is not paused; return whether it did."""
        if self._worker is None or self._clock.now_ms() < self._away_until:
            return False
        worker = self._away()
        try:
            worker.close()
        except BrokerError:
            # The broker did not take its last commit: what was in hand comes again.
            worker.abort()
        self._away_until = self._clock.now_ms() + away_ms
        return True

    def _away(self) -> Worker:
        worker, self._worker = self._worker, None
        assert worker is not None  # noqa: S101 - whoever asks knows that it is there
        self._count_restored(worker)
        return worker

    def _count_restored(self, worker: Worker) -> None:
        metrics = worker.status().metrics
        self._counts["records restored"] += metrics["records_restored"]
        self._counts["records copied by standbys"] += metrics["records_standby"]

    def pause(self, away_ms: int) -> None:
        """Do nothing for a while, and know nothing of it."""
        self._away_until = max(self._away_until, self._clock.now_ms() + away_ms)

    def wake(self) -> bool:
        """Start the worker again when its time has come; return whether it was."""
        if self._worker is not None or self._clock.now_ms() < self._away_until:
            return False
        self._start()
        return True

    def expire(self, session_ms: int) -> bool:
        """Let the group give up members that it has not heard of; return whether it gave up any."""
        since = self._clock.now_ms() - session_ms
        gone = [each for each, seen in self._ghosts.items() if seen < since] if self._ghosts else []
        for client_id in gone:
            del self._ghosts[client_id]
        if self._seen_ms < since and self._worker is not None and self._client_id != self._given_up:
            self._given_up = self._client_id
            gone.append(self._client_id)
        for client_id in gone:
            self._broker.expire(self._config.application_id, client_id)
            self._counts["sessions expired"] += 1
        return bool(gone)

    def expel(self) -> None:
        """Let the group give up the worker, although it is there."""
        self._broker.expire(self._config.application_id, self._client_id)

    def end(self) -> None:
        """Count what the worker has done; it is not asked to do anything any more."""
        if self._worker is not None:
            self._away().kill()

    def recover(self) -> None:
        """Nothing goes wrong any more."""
        self._away_until = 0
        self.link.down = False
        self.link.faults = Faults()
        self.wake()

    def stores(self) -> Mapping[TaskId, Mapping[str, Any]]:
        """Return the stores of the worker's tasks."""
        return {} if self._worker is None else self._worker.stores()

    def copies(self) -> Mapping[TaskId, Mapping[str, Any]]:
        """Return the standby copies that the worker keeps."""
        return {} if self._worker is None else self._worker.copies()

    def global_rows(self, name: str) -> Mapping[Any, Any]:
        """Return the rows of a global table."""
        return {} if self._worker is None else dict(self._worker.registry.open(name)[GLOBAL].all())

    @property
    def running(self) -> bool:
        """Whether the worker is there, and all it has is restored."""
        return self._worker is not None and self._worker.status().state == "running"

    def status(self) -> str:
        """Return how the worker is doing."""
        return f"{self}: {'away' if self._worker is None else self._worker.status()}"
