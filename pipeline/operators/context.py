"""What an operator needs from its task: stores, time, the producer, and where errors go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from pipeline.agents.in_flight import InFlight
from pipeline.agents.loop import AgentLoop
from pipeline.errors import (
    BrokerError,
    ProcessingError,
    RecordError,
    StateError,
    TopologyError,
    UnhandledRecordError,
)
from pipeline.processor import ProcessorContext
from pipeline.record import Forward, Headers
from pipeline.serde import Serde
from pipeline.state.store import Entry
from pipeline.topology import Node, describe_function


class StreamTime:
    """How far event time has come for one operator, in ms; -1 before the first record.

    Survives restarts: the task writes it beside the committed offset.
    """

    __slots__ = ("ms",)

    def __init__(self, ms: int = -1) -> None:
        self.ms = ms


class Flow:
    """What went through one topic, in one direction: records, and bytes of their keys and values."""

    __slots__ = ("bytes", "records")

    def __init__(self) -> None:
        self.records = self.bytes = 0


class Hand(Protocol):
    """What a task has in hand.

    Attributes:
        message: the record that is processed, if it is one.
        waited: a record that waited in a store and goes on now, if there is one: that is in hand, then.
    """

    message: Any
    waited: Any

    @property
    def in_hand(self) -> Any:
        """Whatever it is: besides these, a table's update or a punctuation."""
        ...


class OperatorContext(Protocol):
    """A task as its operators see it."""

    def store(self, name: str) -> Any:
        """Return a store by name: one of the task's, or that of a global table."""
        ...

    def global_table(self, name: str) -> Any:
        """Return a global table that agents of the task write to: `get`, `put` and `all`."""
        ...

    @property
    def shared(self) -> dict[str, Any]:
        """What operators of the task that share a store share besides, by a name of theirs."""
        ...

    def sends_old_values(self, node: Node) -> bool:
        """Return whether the changes that `node` forwards carry the old value."""
        ...

    def as_it_came(self, node: Node, parent: Node, serde: Serde[Any]) -> bool:
        """Return whether a value from `parent` is, at `node`, what the bytes of the message in hand say.

        Then these bytes are as good as what `serde` would make of it. They are not if a function of the
        user's has had the value: it may have changed it.
        """
        ...

    def stream_time(self, node: Node, number: int = 0) -> StreamTime:
        """Return the operator's own stream time; that of one of its inputs, if each has its own."""
        ...

    def on_time(self, node: Node, callback: Callable[[int, Headers], None]) -> None:
        """Call `callback(time_ms, headers)` when time goes on without a record.

        For operators that act when time passes: close a window, give up waiting. By then the operator's
        stream time is at least `time_ms`, the operators before it have acted, and what they forwarded has
        arrived. The headers are those to forward under. With records that bring time forward the
        operator acts by itself.
        """
        ...

    @property
    def flushing(self) -> bool:
        """Whether what arrives now comes from caches: many changes of one moment, not by their times."""
        ...

    def on_flush(self, node: Node, callback: Callable[[], None]) -> None:
        """Call `callback()` in each flush, when all that caches before `node` held has arrived at it.

        The node has a store: the callback runs before that is flushed.
        """
        ...

    def defer(self, node: Node, callback: Callable[[], None]) -> None:
        """Call `callback()` when the change in hand has reached all that it reaches, by whatever way.

        At once if there is no table's change in hand. Operators that come before `node` are called first.
        """
        ...

    @property
    def produce(self) -> Callable[[str, bytes | None, bytes | None, int, int, Headers], None]:
        """`(topic, value, key, partition, timestamp, headers)`: `runtime.producer.Producer.produce`."""
        ...

    @property
    def produce_uncounted(self) -> Callable[[str, bytes | None, bytes | None, int, int, Headers], None]:
        """The same for who counts in `flow_to` by itself, and saves a call for each record."""
        ...

    def flow_to(self, topic: str) -> Flow:
        """Return where records and bytes produced to a topic are counted."""
        ...

    @property
    def partition(self) -> int:
        """Number of the partitions that the task works on."""
        ...

    def partition_for(self, topic: str, key: bytes) -> int:
        """Return the partition of `topic` that records with this key lie in."""
        ...

    def partition_count(self, topic: str) -> int:
        """Return the number of partitions of a topic.

        Raises:
            UnknownTopicError: there is no such topic.
        """
        ...

    def check_topic(self, topic: str) -> None:
        """Ask whether a topic exists that a sink chose for a record.

        Raises:
            UnknownTopicError: it does not.
        """
        ...

    def fail(self, error: RecordError) -> None:
        """Skip the record in hand, put it aside or stop, as the settings say: the operator fails on it.

        Called by the operator that fails, which then returns: what came before it and what stands
        beside it goes on (Kafka Streams handles processing errors at the node, too).

        Raises:
            UnhandledRecordError: the worker is to stop.
        """
        ...

    def holding(
        self, store: str, key: bytes, entry: Entry, serialize: Callable[[Any], bytes]
    ) -> AbstractContextManager[None]:
        """Say that what is done within is done for a record that waited in a store, not for the one in hand.

        So what fails is the record that waited: its dead letter has its key and value.

        Args:
            store: where it waited.
            key: the record's key.
            entry: its value, time and headers.
            serialize: encodes the value.
        """
        ...

    @property
    def agent_loop(self) -> AgentLoop:
        """Where agents await what is not here yet."""
        ...

    @property
    def in_flight(self) -> InFlight:
        """The task's records that are not done when they have been processed."""
        ...

    @property
    def now_ms(self) -> int:
        """The worker's clock."""
        ...

    @property
    def hand(self) -> Hand:
        """What the task has in hand, at any time."""
        ...

    def taking_up(self, in_hand: Any) -> AbstractContextManager[None]:
        """Say that what is done within is done for what was in hand before, not for what is now."""
        ...

    def on_drain(self, callback: Callable[[], None]) -> None:
        """Call `callback()` when a commit waits for what is in flight."""
        ...

    def drop(self, node: Node, reason: str) -> None:
        """Count a record that a rule of the operator drops, such as a late one."""
        ...

    def reject(self, node: Node, reason: str) -> None:
        """Hand a record that the operator cannot take, such as one without a key, to the dead letters.

        Without a dead-letter topic it is counted and dropped, as Kafka Streams does.
        """
        ...

    @property
    def max_record_bytes(self) -> int:
        """A larger value is not produced."""
        ...

    def processor_context(self, node: Node, forward: Forward) -> ProcessorContext[Any, Any]:
        """Return what a user's processor is given."""
        ...

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call back when the task is closed."""
        ...


#: What passes through a user's code on its way up, to stop the worker.
_FATAL: Final = (UnhandledRecordError, BrokerError, StateError, TopologyError)


def is_fatal(error: BaseException) -> bool:
    """Whether an error that comes out of a user's code is not the code's: it stops the worker."""
    return isinstance(error, _FATAL)


def failed(node: Node, function: object, error: BaseException) -> ProcessingError:
    """Return the error that says which operator and which of the user's functions raised."""
    failure = ProcessingError(f"{node}: {describe_function(function)} raised {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def unencodable(node: Node, serde: Serde[Any], key: object, error: Exception) -> ProcessingError:
    """Return the error that says that a key is not of the type that was declared."""
    failure = ProcessingError(
        f"{node} cannot encode a key of type {type(key).__name__} as {serde.name}: {error}; give "
        "the right key="
    )
    failure.__cause__ = error
    return failure


def fan_out(forwards: tuple[Forward, ...]) -> Forward:
    """Return one function that calls all of `forwards` in order."""
    if len(forwards) == 1:
        return forwards[0]

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        for forward in forwards:
            forward(key, value, timestamp, headers)

    return process
