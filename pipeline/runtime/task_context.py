"""A task as its operators and its users' processors see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pipeline.agents.loop import AgentLoop
from pipeline.errors import ProcessingError, StreamsError, TopologyError
from pipeline.operators.context import StreamTime, failed
from pipeline.plan.fusion import fuse
from pipeline.plan.old_values import sending_old_values
from pipeline.processor import Cancellable, PunctuationSchedule, PunctuationType
from pipeline.record import Forward, Headers, Record, TaskId, TopicPartition
from pipeline.runtime.failures import InHand, Punctuation, Update
from pipeline.runtime.global_writes import TableWriter
from pipeline.runtime.metrics.recorder import as_label
from pipeline.serde import Serde, TopicSerde
from pipeline.state.store import Entry
from pipeline.timestamps import EventTime
from pipeline.topology import Node, Source
from pipeline.windows import milliseconds

if TYPE_CHECKING:
    from pipeline.runtime.task import Task


class TaskContext:
    """Implements `operators.context.OperatorContext` on a task.

    Args:
        task: the task.
        times: by operator, its stream time at the last commit, in ms.
    """

    def __init__(self, task: Task, times: Mapping[str, int]) -> None:
        self._task, self._times = task, times
        self.fail, self.in_flight = task.fail, task.in_flight
        self._name = str(task.id)
        self.shared: dict[str, Any] = {}
        #: What users' processors were given.
        self.processors: list[ProcessorTaskContext] = []
        self._places = {node: place for place, node in enumerate(task.sub.nodes)}
        self._sending_old_values = sending_old_values(task.sub.nodes)
        self.partition = task.id.partition
        environment = task.environment
        self.max_record_bytes = environment.config.max_record_bytes
        self.partition_count = environment.partition_count
        self.partition_for, self.check_topic = environment.partition_for, environment.check_topic
        self.produce, self.produce_uncounted = environment.produce, environment.producer.produce
        self.flow_to = environment.recorder.traffic.flow_to

    def store(self, name: str) -> Any:
        """Return a store of the task, or a global one."""
        stores = self._task.stores
        return stores[name] if name in stores else self._task.environment.global_stores[name]

    def global_table(self, name: str) -> TableWriter:
        """Return a global table that agents of the task write to."""
        self._task.writes_global = True
        return self._task.environment.global_writes.writer(name, self._task)

    def sends_old_values(self, node: Node) -> bool:
        """Return whether the changes that `node` forwards carry the old value."""
        return node in self._sending_old_values

    def as_it_came(self, node: Node, parent: Node, serde: Serde[Any]) -> bool:
        """Return whether a value from `parent` is, at `node`, what the bytes of the message in hand say."""
        return (
            type(parent) is Source
            and (parent.timestamp is None or isinstance(parent.timestamp, EventTime))
            # What a registry knows of a store is what was written to its changelog.
            and (parent.value is serde and not isinstance(serde, TopicSerde))
            and all(child is node or parent not in child.parents for child in self._places)
        )

    def stream_time(self, node: Node, number: int = 0) -> StreamTime:
        """Return the operator's stream time, or one input's, as the last commit left it."""
        return self._task.time.of_operator(node, number, self._times)

    def on_time(self, node: Node, callback: Callable[[int, Headers], None]) -> None:
        """Call back when time goes on without a record."""
        self._task.time.on_time(node, callback)

    @property
    def flushing(self) -> bool:
        """Whether caches are being flushed."""
        return self._task.flushing

    def on_flush(self, node: Node, callback: Callable[[], None]) -> None:
        """Call back when the caches before the node have been flushed."""
        self._task.before_flush.setdefault(node.stores[0].name, []).append(callback)

    def defer(self, node: Node, callback: Callable[[], None]) -> None:
        """Call back when the change in hand has reached all that it reaches."""
        if self._task.update is None:
            callback()
        else:
            self._task.deferred[self._places[node]] = callback

    def holding(self, store: str, key: bytes, entry: Entry, serialize: Callable[[Any], bytes]) -> Holding:
        """Say that what is done within is done for a record that waited."""
        # A window's entry may be put again.
        return Holding(self._task, Update(self._task.changelog(store), key, entry.as_it_is(), serialize))

    @property
    def agent_loop(self) -> AgentLoop:
        """The worker's."""
        return self._task.environment.agent_loop

    @property
    def now_ms(self) -> int:
        """The worker's clock."""
        return self._task.environment.clock.now_ms()

    @property
    def hand(self) -> Task:
        """The task: it has something in hand."""
        return self._task

    def taking_up(self, in_hand: InHand) -> TakingUp:
        """Say that what is done within is done for what was in hand before."""
        return TakingUp(self._task, in_hand)

    def on_drain(self, callback: Callable[[], None]) -> None:
        """Call back when a commit waits for what is in flight."""
        self._task.in_flight.drainers.append(callback)

    def drop(self, node: Node, reason: str) -> None:
        """Count a record that a rule drops, and log it now and then."""
        environment = self._task.environment
        environment.recorder.drop(self._name, as_label(reason))
        environment.failures.count("records_dropped", node, reason, self._task.in_hand)

    def reject(self, node: Node, reason: str) -> None:
        """Dead-letter the record in hand, or count it as dropped where there is no such topic."""
        error = ProcessingError(f"{node}: {reason}")
        failures, task = self._task.environment.failures, self._task
        failures.drop(task.in_hand, "records_rejected", error, as_label(reason), self._name)

    def processor_context(self, node: Node, forward: Forward) -> ProcessorTaskContext:
        """Return what a user's processor is given."""
        context = ProcessorTaskContext(self._task, node, forward)
        self.processors.append(context)
        return context

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call back when the task is closed."""
        self._task.closers.append(callback)


class Holding:
    """For as long as it lasts, a task has a record in hand that waited in a store. They may be nested."""

    __slots__ = ("_outer", "_task", "_waited")

    def __init__(self, task: Task, waited: Update) -> None:
        self._task, self._waited = task, waited

    def __enter__(self) -> None:
        self._outer, self._task.waited = self._task.waited, self._waited

    def __exit__(self, *_error: object) -> None:
        self._task.waited = self._outer


class TakingUp:
    """For as long as it lasts, a task has in hand what it had in hand before. They may be nested."""

    __slots__ = ("_in_hand", "_outer", "_task")

    def __init__(self, task: Task, in_hand: InHand) -> None:
        self._task, self._in_hand = task, in_hand

    def __enter__(self) -> None:
        task, in_hand = self._task, self._in_hand
        self._outer = task.message, task.waited
        task.message = task.waited = None
        if isinstance(in_hand, Update):
            task.waited = in_hand
        elif not isinstance(in_hand, Punctuation):
            task.message = in_hand

    def __exit__(self, *_error: object) -> None:
        self._task.message, self._task.waited = self._outer


class ProcessorTaskContext:
    """Implements `processor.ProcessorContext` on a task."""

    def __init__(self, task: Task, node: Node, forward: Forward) -> None:
        self._task, self._node, self._forward = task, node, fuse(forward)
        self._declared = {store.name for store in node.stores}

    @property
    def task_id(self) -> TaskId:
        """The task."""
        return self._task.id

    @property
    def stream_time(self) -> int:
        """The task's stream time in ms; -1 before the first record."""
        return self._task.time.stream

    @property
    def wall_clock_time(self) -> int:
        """The worker's clock in ms."""
        return self._task.environment.clock.now_ms()

    @property
    def source(self) -> TopicPartition:
        """Where the record in hand was read from."""
        message = self._message()
        return TopicPartition(message.topic, message.partition)

    @property
    def offset(self) -> int:
        """Offset of the record in hand."""
        offset: int = self._message().offset
        return offset

    @property
    def source_timestamp(self) -> int:
        """The broker's timestamp of the record in hand, in ms."""
        timestamp: int = self._message().timestamp
        return timestamp

    def _message(self) -> Any:
        if self._task.message is None:
            raise ProcessingError(f"{self._node}: there is no record in hand during a punctuation")
        return self._task.message

    def forward(self, record: Record[Any, Any]) -> None:
        """Hand a record to the operators after this one."""
        self._forward(record.key, record.value, record.timestamp, record.headers)

    def store(self, name: str) -> Any:
        """Return a store that the processor was declared with."""
        if name not in self._declared:
            raise TopologyError(
                f"{self._node} asks for store {name!r}, but was declared with {sorted(self._declared)}: "
                "pass it to process()"
            )
        return self._task.stores[name]

    def schedule(
        self, interval: timedelta, kind: PunctuationType, callback: Callable[[int], None]
    ) -> Cancellable:
        """Call back every `interval` of stream time or of the wall clock (rule a1.8)."""
        interval_ms = milliseconds(interval, "punctuation interval")
        callback = self._named(callback)
        if kind is PunctuationType.STREAM_TIME:
            schedule = PunctuationSchedule(interval_ms, 0, callback)
            self._task.time.stream_punctuations.add(schedule)
        else:
            first = self._task.environment.clock.now_ms() + interval_ms
            schedule = PunctuationSchedule(interval_ms, first, callback)
            self._task.time.clock_punctuations.add(schedule)
        return schedule

    def _named(self, callback: Callable[[int], None]) -> Callable[[int], None]:
        """Name what a punctuation raises; it is handled like what a record's processing raises."""

        def named(time_ms: int) -> None:
            try:
                callback(time_ms)
            except StreamsError:
                raise
            except Exception as error:
                self._task.fail(failed(self._node, callback, error))

        return named
