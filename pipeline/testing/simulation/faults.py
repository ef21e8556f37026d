"""How often what goes wrong in a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Self


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities: of the first six at each request or record, of the others at each step.

    Attributes:
        request_lost: the broker does not get a request.
        response_lost: it does what it was asked to, and the answer does not arrive.
        slow_flush: some records are not acknowledged in time.
        held_back: a produced record waits in the client's queue for a later step.
        queue_full: the client's queue takes no record before some are delivered; if none can be, those
            that wait for that partition have failed: they were not acknowledged in time.
        disk_lost: a worker is started on a machine without its state (at a crash).
        crash: a worker is killed, and another one started on its machine some time later.
        pause: a worker does nothing for a while, longer than its session may be.
        leave: a worker stops in order, and starts again some time later.
        expel: the group gives up a worker that is there, as after lost heartbeats.
        abort: the broker aborts a worker's open transaction, as after its timeout.
        leader_lost: a broker is killed. What it leads, partitions and coordinators of groups and of
            transactions, cannot be reached until others lead it; of the records that it has not
            acknowledged some are in the log all the same.
        outage: nobody reaches the broker for a while.
    """

    request_lost: float = 0.0
    response_lost: float = 0.0
    slow_flush: float = 0.0
    held_back: float = 0.0
    queue_full: float = 0.0
    disk_lost: float = 0.0
    crash: float = 0.0
    pause: float = 0.0
    leave: float = 0.0
    expel: float = 0.0
    abort: float = 0.0
    leader_lost: float = 0.0
    outage: float = 0.0

    @classmethod
    def drawn(cls, random: Random) -> Self:
        """Draw how often each happens: in some runs never, so that rare sequences come up, too."""

        def some(highest: float) -> float:
            return random.choice((0.0, 0.3, 1.0)) * random.random() * highest

        return cls(
            request_lost=some(0.05),
            response_lost=some(0.05),
            slow_flush=some(0.3),
            held_back=some(0.9),
            queue_full=some(0.15),
            disk_lost=random.choice((0.0, 0.5)),
            crash=some(0.08),
            pause=some(0.04),
            leave=some(0.04),
            expel=some(0.02),
            abort=some(0.06),
            leader_lost=some(0.05),
            outage=some(0.02),
        )
