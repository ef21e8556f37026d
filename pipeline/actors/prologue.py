"""What an agent asks of its stream before its first event: `group_by(...)`, `through(...)`, `stream & other`.

The topology is fixed before anything runs, and such a call is made when the agent runs. So the
function of an agent whose code says so is run once where it is declared, with a stream that
takes note, and ends it where it would take its first event.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from inspect import isawaitable, iscoroutinefunction, unwrap
from types import CodeType
from typing import Any, Final, Never, Protocol, TypeAlias

from pipeline.actors.models import table_key_serde_of
from pipeline.actors.topic import Topic
from pipeline.dsl.stream import KStream
from pipeline.errors import TopologyError
from pipeline.serde import Serde
from pipeline.topology import describe_function


class Ground(Protocol):
    """Where an agent is declared: in its application, or in a test of its own."""

    def topic(self, name: str, key: Serde[Any] | None, value: Serde[Any] | None) -> Topic:
        """Return a topic by its name; one that is not declared holds what these say.

        Raises:
            TopologyError: it is not declared, and nobody knows what it would hold.
        """
        ...

    def read(self, topic: Topic) -> KStream[Any, Any]:
        """Return a topic as a stream."""
        ...

    def others(self, streams: Iterable[KStream[Any, Any]]) -> list[KStream[Any, Any]]:
        """Return the streams that are read beside the agent's own."""
        ...


@dataclass(frozen=True, slots=True)
class Regroup:
    """A repartition that an agent's code asks for.

    Attributes:
        name: names the topic, with the agent's name.
        read: returns the new key of a value.
        key: serde of the new key.
        partitions: of the topic; None: as those that are read before it.
    """

    name: str
    read: Callable[[Any], Any]
    key: Serde[Any]
    partitions: int | None

    def follow(self, taken: KStream[Any, Any], agent: str, _ground: Ground) -> KStream[Any, Any]:
        """Return the stream by the new key."""
        read = self.read
        by_key: KStream[Any, Any] = taken.select_key(lambda _key, value: read(value), key=self.key)
        return by_key.repartition(name=f"{agent}-{self.name}", partitions=self.partitions)


@dataclass(frozen=True, slots=True)
class Keep:
    """What an agent filters its events by before one of the other steps.

    Attributes:
        predicate: holds of the values that stay.
    """

    predicate: Callable[[Any], object]

    def follow(self, taken: KStream[Any, Any], _agent: str, _ground: Ground) -> KStream[Any, Any]:
        """Return the stream without the others."""
        predicate = self.predicate

        def keeps(_key: object, value: Any) -> bool:
            kept = predicate(value)
            if isawaitable(kept):
                raise TypeError("filter before group_by, through or combine takes no async function")
            return bool(kept)

        keeps.__wrapped__ = predicate  # type: ignore[attr-defined]  # errors name what the user wrote
        return taken.filter(keeps)


@dataclass(frozen=True, slots=True)
class Through:
    """A topic that an agent has its events go through.

    Attributes:
        topic: the topic, or its name.
    """

    topic: Topic | str

    def follow(self, taken: KStream[Any, Any], _agent: str, ground: Ground) -> KStream[Any, Any]:
        """Write the stream to the topic, and return what is read from there."""
        topic = self.topic
        if isinstance(topic, str):
            topic = ground.topic(topic, taken.key_serde, taken.value_serde)
        taken.to(topic.get_topic_name(), key=topic.key, value=topic.value)
        return ground.read(topic)


@dataclass(frozen=True, slots=True)
class Combine:
    """Streams that an agent takes the events of beside its own.

    Attributes:
        streams: the streams.
    """

    streams: tuple[KStream[Any, Any], ...]

    def follow(self, taken: KStream[Any, Any], _agent: str, ground: Ground) -> KStream[Any, Any]:
        """Return the events of all of them."""
        return taken.merge(*ground.others(self.streams))


#: What comes before an agent's first event.
Step: TypeAlias = Regroup | Keep | Through | Combine

_NAMES: Final = frozenset({"group_by", "through", "combine"})
#: What an expression is made of; anything else begins or ends a statement.
_WITHIN: Final = ("LOAD", "CALL", "PRECALL", "PUSH_NULL", "BINARY", "KW_NAMES", "CACHE", "RESUME", "COPY")


class _FirstEventError(BaseException):
    """Ends the function: nothing that it does later concerns the topology."""


class NotingStream:
    """Stands for an agent's stream while nothing runs."""

    def __init__(self, agent: str) -> None:
        self.steps: list[Step] = []
        self._agent = agent
        #: Filters that no other step follows yet: after the last one the agent's stream itself filters.
        self._filters: list[Keep] = []
        self._echoed = False

    def group_by(
        self, key: Any, *, name: str | None = None, topic: object = None, partitions: int | None = None
    ) -> NotingStream:
        """Take note of a repartition; see `AgentStream.group_by`."""
        del topic
        field = getattr(key, "field", None)
        getter: Callable[[Any], Any] | None = getattr(key, "getattr", None)
        name = name or field
        if name is None:
            raise TopologyError(
                f"agent {self._agent!r}: group_by with a function needs name=: it names a topic"
            )
        read: Any = getter if getter is not None else key
        if not callable(read):
            raise TopologyError(f"agent {self._agent!r}: group_by takes a model's field or a function")
        self._refuse_async("group_by", read)
        type_ = getattr(key, "type", None)
        return self._then(Regroup(name, read, table_key_serde_of(type_), partitions))

    def filter(self, predicate: Any) -> NotingStream:
        """Take note of a filter; see `AgentStream.filter`."""
        self._filters.append(Keep(predicate))
        return self

    def echo(self, *_channels: Any) -> NotingStream:
        """Take note of an echo, which no other step may follow; see `AgentStream.echo`."""
        self._echoed = True
        return self

    def _then(self, step: Step) -> NotingStream:
        if self._echoed:
            raise TopologyError(
                f"agent {self._agent!r}: echo comes after group_by, through and combine: "
                "stream.group_by(...).echo(...); or let the topology write it: "
                "app.stream(...).to(...) beside the agent"
            )
        for keep in self._filters:
            self._refuse_async("filter before another step", keep.predicate)
        self.steps += [*self._filters, step]
        self._filters.clear()
        return self

    def _refuse_async(self, what: str, function: Any) -> None:
        if iscoroutinefunction(unwrap(function)):
            raise TopologyError(
                f"agent {self._agent!r}: {what} takes no async function, as {describe_function(function)} "
                "is: await in the loop of an agent before it, and give what that yields to this one"
            )

    def through(self, channel: Any) -> NotingStream:
        """Take note of a topic; see `AgentStream.through`."""
        if not isinstance(channel, Topic | str):
            raise TopologyError(
                f"agent {self._agent!r}: through takes a topic or its name, not {channel!r}: a channel is in "
                "memory, so send to it in the loop"
            )
        return self._then(Through(channel))

    def combine(self, *nodes: Any) -> NotingStream:
        """Take note of other streams; see `AgentStream.combine`."""
        streams: list[KStream[Any, Any]] = []
        for node in nodes:
            stream = node.stream() if isinstance(node, Topic) else node
            if isinstance(stream, KStream):
                streams.append(stream)
            elif stream is not self:
                raise TopologyError(
                    f"agent {self._agent!r}: its stream is combined with topics, or with streams of them "
                    f"(topic.stream(), app.stream(...)), not with {node!r}"
                )
        return self._then(Combine(tuple(streams)))

    def __and__(self, other: Any) -> NotingStream:
        return self.combine(other)

    #: The stream of another topic may stand before it.
    __rand__ = __and__

    def __getattr__(self, _name: str) -> Callable[..., NotingStream]:
        return lambda *_args, **_kwargs: self

    def __aiter__(self) -> Never:
        raise _FirstEventError


def prologue_of(function: Callable[[Any], Any], agent: str) -> tuple[Step, ...]:
    """Return what an agent's function asks of its stream before its first event.

    Raises:
        TopologyError: it cannot be seen: the function awaits something, or raises, before it takes its
            first event.
    """
    code = getattr(unwrap(function), "__code__", None)
    if code is None or not (_NAMES.intersection(code.co_names) or _combines(code)):
        return ()
    stream = NotingStream(agent)
    running = function(stream)
    step = running if hasattr(running, "send") else running.__anext__()
    try:
        step.send(None)
    except _FirstEventError:
        return tuple(stream.steps)
    except Exception as error:
        raise TopologyError(
            f"agent {agent!r}: {describe_function(function)} is run once, up to its first event, to see what "
            f"it asks of its stream, and raised {type(error).__name__}: {error}"
        ) from error
    finally:
        if hasattr(running, "close"):
            running.close()
    raise TopologyError(
        f"agent {agent!r}: {describe_function(function)} awaits something before it says how its stream is "
        "grouped, or where it goes: say that first, or give the agent a stream that is: "
        "app.stream(...).group_by..."
    )


def _combines(code: CodeType) -> bool:
    """Whether a function says `stream & ...`, its stream being its first argument."""
    if not code.co_argcount:
        return False
    return any(code.co_varnames[0] in operands for operands in _operands_of_and(code))


def _operands_of_and(code: CodeType) -> Iterator[set[object]]:
    """Yield the local variables in each expression that has an `&`."""
    operands: set[object] = set()
    for instruction in dis.get_instructions(code):
        if not instruction.opname.startswith(_WITHIN):
            operands = set()
        elif instruction.opname.startswith("LOAD_FAST"):
            value = instruction.argval
            operands.update(value if isinstance(value, tuple) else (value,))
        elif instruction.opname.startswith("BINARY") and instruction.argrepr == "&":
            yield operands
