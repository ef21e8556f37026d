"""Where a worker's thread counts and times what it does; `runtime.metrics.snapshot` makes samples of it."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.clock import Clock
from pipeline.config import StreamsConfig
from pipeline.record import TaskId
from pipeline.runtime.broker import Message
from pipeline.runtime.counters import Counters
from pipeline.runtime.metrics.sampling import Sampling
from pipeline.runtime.metrics.task_metrics import TaskMetrics
from pipeline.runtime.metrics.timing import Measured, Timing
from pipeline.runtime.metrics.traffic import Traffic


class Recorder:
    """What a worker counts. Everything in it is the engine's thread's.

    Args:
        config: what is measured, and how much of it.
        clock: for durations.

    Attributes:
        counters: counts of the whole worker.
        traffic: records and bytes by topic.
        polling: durations of polls.
        processing: of turns of processing.
        committing: of commits.
        punctuating: of turns of wall-clock punctuations.
        restoring: of turns of restoring.
        polled: records that a poll returned.
        processed: records that a turn processed.
        tasks: by task.
        dropped: records dropped or skipped, by task and reason; the task is empty where none is known.
        dead_letters: records put aside, by the topic they came from and by reason.
    """

    def __init__(self, config: StreamsConfig, clock: Clock) -> None:
        self._level, self._clock = config.metrics_recording_level, clock
        self.enabled = self._level != "off"
        self.counters = Counters()
        self.traffic = Traffic(config.metrics_topics)
        self.polling, self.processing, self.committing = Timing(clock), Timing(clock), Timing(clock)
        self.punctuating, self.restoring = Timing(clock), Timing(clock)
        self.polled, self.processed = Measured(), Measured()
        self.tasks: dict[TaskId, TaskMetrics] = {}
        self.dropped: dict[tuple[str, str], int] = {}
        self.dead_letters: dict[tuple[str, str], int] = {}
        self.tasks_created = self.tasks_closed = self.rebalances = 0
        self.punctuated = self.commit_failures = 0
        self.started_ms = clock.now_ms()

    def open_task(self, task: TaskId) -> TaskMetrics:
        """Begin to count for a task."""
        self.tasks_created += 1
        metrics = self.tasks.setdefault(task, TaskMetrics())
        metrics.users += 1
        return metrics

    def sampling(self, task: TaskMetrics) -> Sampling:
        """Return what times some of a task's records."""
        return Sampling(self._level, self._clock, task)

    def close_task(self, task: TaskId) -> None:
        """Forget a task, as Kafka Streams does: another worker counts for it now."""
        self.tasks_closed += 1
        self.tasks[task].users -= 1
        if not self.tasks[task].users:
            del self.tasks[task]

    def polled_from(self, topic: str, run: Sequence[Message]) -> None:
        """Count records of one topic that were polled."""
        if self.enabled:
            self.traffic.polled(topic, run)

    def drop(self, task: str, reason: str) -> None:
        """Count a record that was dropped or skipped."""
        self.dropped[task, reason] = self.dropped.get((task, reason), 0) + 1

    def put_aside(self, topic: str, reason: str) -> None:
        """Count a dead letter."""
        self.dead_letters[topic, reason] = self.dead_letters.get((topic, reason), 0) + 1

    @property
    def loops(self) -> dict[str, Timing]:
        """The parts of the thread's loop, as Kafka calls them."""
        return {
            "poll": self.polling,
            "process": self.processing,
            "commit": self.committing,
            "punctuate": self.punctuating,
        }

    def turn(self) -> None:
        """Begin a new window of averages and maxima."""
        for measured in (*self.loops.values(), self.restoring, self.polled, self.processed):
            measured.turn()
        for task in self.tasks.values():
            task.turn()


def as_label(reason: str) -> str:
    """Return why an operator drops records as a label says it.

    >>> as_label("out of order, of a versioned table")
    'out_of_order'
    """
    return reason.partition(":")[0].partition(",")[0].replace(" ", "_")
