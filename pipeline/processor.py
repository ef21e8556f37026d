"""The Processor API: what a user writes when no operator fits, and when its timers fire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from pipeline.record import Record, TaskId, TopicPartition

KIn = TypeVar("KIn")
VIn = TypeVar("VIn")
KOut = TypeVar("KOut")
VOut = TypeVar("VOut")


class PunctuationType(Enum):
    """Which clock drives a punctuation."""

    #: Event time: advances with the records of the task, stands still without them.
    STREAM_TIME = "stream-time"
    #: The worker's clock.
    WALL_CLOCK_TIME = "wall-clock-time"


class Cancellable(Protocol):
    """A scheduled punctuation."""

    def cancel(self) -> None:
        """Stop it. May be called from inside its own callback."""
        ...


class ProcessorContext(Protocol[KOut, VOut]):
    """What a processor can ask of its task."""

    @property
    def task_id(self) -> TaskId:
        """The task that this processor belongs to."""
        ...

    @property
    def stream_time(self) -> int:
        """Largest timestamp among the records the task has taken up, in ms; -1 before the first."""
        ...

    @property
    def wall_clock_time(self) -> int:
        """The worker's clock, in ms since the epoch."""
        ...

    @property
    def source(self) -> TopicPartition:
        """Where the record in hand was read from."""
        ...

    @property
    def offset(self) -> int:
        """Offset of the record in hand."""
        ...

    @property
    def source_timestamp(self) -> int:
        """The broker's timestamp of the record in hand, in ms; event time may be another."""
        ...

    def forward(self, record: Record[KOut, VOut]) -> None:
        """Hand a record to the operators after this one."""
        ...

    def store(self, name: str) -> Any:
        """Return a store that this processor was declared with.

        Raises:
            TopologyError: it was not declared with a store of this name.
        """
        ...

    def schedule(
        self, interval: timedelta, kind: PunctuationType, callback: Callable[[int], None]
    ) -> Cancellable:
        """Call `callback(time_ms)` every `interval`.

        Stream time: aligned to the epoch, first as soon as stream time is known. Wall clock:
        first one interval from now. Missed times fire once (Kafka Streams, `PunctuationSchedule`).

        There is no record in hand meanwhile: `source`, `offset` and `source_timestamp` raise, and what is
        forwarded has the time and headers that it is given. What the callback raises is handled as
        `on_processing_error` says; a dead letter of it has neither key nor value.

        Raises:
            ValueError: the interval is not positive, or finer than a millisecond.
        """
        ...


class Processor(Generic[KIn, VIn, KOut, VOut]):
    """One operator written by hand. A new instance is made for every task.

    Example: a processor that passes each key once.

        class First(Processor[str, int, str, int]):
            def init(self, context):
                self.context = context
                self.seen = context.store("seen")

            def process(self, record):
                if self.seen.get(record.key) is None:
                    self.seen.put(record.key, 1, record.timestamp)
                    self.context.forward(record)
    """

    def init(self, context: ProcessorContext[KOut, VOut]) -> None:
        """Called once, when stores are restored and before the first record."""

    def process(self, record: Record[KIn, VIn]) -> None:
        """Called for every record."""
        raise NotImplementedError(f"{type(self).__name__}.process")

    def close(self) -> None:
        """Called once, when the task is closed."""


class PunctuationSchedule:
    """When one punctuation fires next: pure, with time as an argument.

    After it fires at `now`, the next time is the scheduled one plus the interval; if that has
    passed already, the next multiple after `now`: so what was missed fires once.

    ```
    interval 100, first at 0:   now 0: fires    now 99: no    now 100: fires
                                now 901: fires once, next at 1000
    ```
    """

    def __init__(self, interval_ms: int, first: int, callback: Callable[[int], None]) -> None:
        if interval_ms < 1:
            raise ValueError(f"punctuation interval must be positive, not {interval_ms} ms")
        self.next = first
        self._interval = interval_ms
        self._callback = callback
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether it has been cancelled."""
        return self._cancelled

    def cancel(self) -> None:
        """Never fire again."""
        self._cancelled = True

    def maybe_fire(self, now: int) -> bool:
        """Fire if due, and return whether it was."""
        if self._cancelled or now < self.next:
            return False
        self.next += self._interval
        if self.next <= now:
            self.next += (now - self.next) // self._interval * self._interval + self._interval
        self._callback(now)
        return True


class Punctuations:
    """The punctuations of a task that one clock drives: those due fire in the order of their times.

    One that is scheduled by another's callback and is due already fires in the same turn.

    Attributes:
        schedules: those that were not cancelled yet.
    """

    def __init__(self) -> None:
        self.schedules: list[PunctuationSchedule] = []

    def add(self, schedule: PunctuationSchedule) -> None:
        """Take on another one."""
        self.schedules.append(schedule)

    def fire(self, now: int) -> bool:
        """Fire all that are due, each once, and return whether any was."""
        fired = False
        while due := [schedule for schedule in self.schedules if schedule.next <= now]:
            first = min(due, key=lambda schedule: schedule.next)
            fired |= first.maybe_fire(now)
            if first.cancelled:
                self.schedules.remove(first)
        return fired
