"""Running a user's agent as an operator: a coroutine that takes records one after the other.

While it awaits something, its task takes up no more records; other tasks go on. With
`concurrency=n`, n instances of it take records of different keys at once:

```
records    a1  b1  a2  c1         two instances
instance   a1 ------> a2 --->     a2 waits for a1: they have the same key
instance       b1 ->      c1 ->   c1 waits for a2, which came before it
```
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NoReturn

from pipeline.agents.actor import Actor
from pipeline.agents.questions import CORRELATION_ID, asked_by, without_question
from pipeline.agents.stream import AgentStream, Event
from pipeline.errors import TopologyError, UnknownTopicError
from pipeline.operators.agent_windows import ClosingTable, tables_that_close
from pipeline.operators.calls import Calls
from pipeline.operators.context import OperatorContext, failed, is_fatal
from pipeline.record import Forward, Headers
from pipeline.topology import Agent


def build_agent(node: Agent, context: OperatorContext, forward: Forward) -> Forward:
    """Make the agent's instances for this task, and give them every record."""
    scope = _TaskScope(node, context)
    operator = _AgentOperator(node, context, forward, scope)
    context.on_close(operator.close)
    if not node.closings and not node.recovered:
        return operator.process
    calls = Calls(node, context, scope)
    _recover(node, context, calls)
    scope.closings = tables_that_close(node, context, calls)
    return _hearing(tuple(scope.closings.values()), operator.process) if node.closings else operator.process


def _hearing(tables: tuple[ClosingTable, ...], process: Forward) -> Forward:
    """Let windows close before the record is taken that closes them."""

    def hear(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        for table in tables:
            table.hear(timestamp)
        process(key, value, timestamp, headers)

    return hear


def _recover(node: Agent, context: OperatorContext, calls: Calls) -> None:
    """Say that the task has its part of the tables, once for each callback."""
    for table, callback in node.recovered:
        told = context.shared.setdefault(f"recovered {table}", [])
        if callback not in told:
            told.append(callback)
            calls.call(callback, key=None, timestamp=context.now_ms, at_once=False)


class _AgentOperator:
    """Shares records out among the instances; keeps what none of them can take yet, in order."""

    def __init__(self, node: Agent, context: OperatorContext, forward: Forward, scope: _TaskScope) -> None:
        self._node, self._context, self._forward = node, context, forward
        self._flight = context.in_flight
        loop = context.agent_loop
        self._scope = scope
        self._actors = [Actor(self._begin, loop, self, scope) for _ in range(node.concurrency)]
        #: What came while nobody could take it: more of a record that the task has taken up already.
        self._waiting: deque[Event[Any]] = deque()
        self._sharing = self._blocks = False
        #: The event that is being given to the only instance, until that has done with it.
        self._given: Event[Any] | None = None
        self.process = self._taking()
        context.on_drain(self._hurry)

    def _begin(self) -> Any:
        return self._node.function(AgentStream(self._node.prologue))

    def _taking(self) -> Forward:
        """Return what gives a record to an instance, or keeps it until one takes it."""
        hand, waiting = self._context.hand, self._waiting
        only = self._actors[0] if len(self._actors) == 1 else None
        give = self._actors[0].give

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            in_hand = hand.message
            if in_hand is None or hand.waited is not None:
                in_hand = hand.in_hand
            event = Event(key, value, timestamp, headers, in_hand)
            if only is not None and only.takes and not waiting:
                self._given = event
                if not give(event) and self._given is not None:
                    self._flight.hold(event.in_hand)
                    self._block()
                self._given = None
                return
            self._flight.hold(event.in_hand)
            waiting.append(event)
            self._share_out()

        return process

    def _share_out(self) -> None:
        if self._sharing:
            return
        self._sharing = True
        try:
            while self._waiting and (actor := self._taker(self._waiting[0])) is not None:
                event = self._waiting.popleft()
                with self._context.taking_up(event.in_hand):
                    if actor.give(event):
                        self.done([event])
        finally:
            self._sharing = False
        self._block()

    def _taker(self, event: Event[Any]) -> Actor | None:
        """Return the instance that is to take an event: the one that has its key, if one has."""
        if event.key is not None:
            for actor in self._actors:
                if any(other.key == event.key for other in actor.events):
                    return actor if actor.takes else None
        return min((actor for actor in self._actors if actor.takes), key=_load, default=None)

    def _block(self) -> None:
        """Let the task take up more records only while there is somebody to give them to."""
        self._blocks = bool(self._waiting) or not any(actor.takes for actor in self._actors)
        if self._blocks:
            self._flight.blocked.add(self)
        else:
            self._flight.blocked.discard(self)

    def _hurry(self) -> None:
        for actor in self._actors:
            actor.hurry()

    # What actors tell

    def taking_up(self, event: Event[Any]) -> AbstractContextManager[None]:
        """Have an event's record in hand again."""
        return self._context.taking_up(event.in_hand)

    def emit(self, event: Event[Any], value: Any) -> None:
        """Forward what was yielded, under the event's key, time and headers; answer whoever asks."""
        headers = event.pairs
        if headers and (asked := asked_by(headers)) is not None:
            self._answer(asked, value)
            headers = without_question(headers)
        self._forward(event.key, value, event.timestamp, headers)

    def _answer(self, asked: tuple[str, bytes], value: Any) -> None:
        encode, (topic, correlation) = self._node.answers, asked
        if encode is None:
            return
        try:
            data = encode(value)
        except Exception as error:
            if is_fatal(error):
                raise
            self._context.fail(failed(self._node, self._node.function, error))
            return
        try:
            self._scope.produce(topic, data, None, 0, -1, ((CORRELATION_ID, correlation),))
        except UnknownTopicError:
            self._context.drop(self._node, "an answer: its topic is gone")

    def done(self, events: list[Event[Any]]) -> None:
        """Let go of events; somebody may wait for the instance, or for their keys."""
        for event in events:
            if event is self._given:
                self._given = None
            else:
                self._flight.release(event.in_hand)
        if self._blocks:
            self._share_out()

    def failed(self, events: list[Event[Any]], error: BaseException) -> None:
        """Handle an error as that of all the records that were in hand."""
        if is_fatal(error):
            raise error
        for event in events:
            with self._context.taking_up(event.in_hand):
                self._context.fail(failed(self._node, self._node.function, error))
        self.done(events)

    def close(self) -> None:
        """End all instances; what they have in hand comes again."""
        with ExitStack() as stack:
            for actor in self._actors:
                stack.callback(self._close, actor)

    def _close(self, actor: Actor) -> None:
        try:
            actor.close()
        except Exception as error:
            raise failed(self._node, self._node.function, error) from error


class _TaskScope:
    """Implements `agents.scope.Scope`."""

    def __init__(self, node: Agent, context: OperatorContext) -> None:
        self._node, self._context, self._produce = node, context, context.produce
        self.stores = _Declared(node)
        self.stores.update((spec.name, context.store(spec.name)) for spec in node.stores)
        self.stores.update((name, context.global_table(name)) for name in node.global_tables)
        self._topics: set[str] = set()
        self.closings: Mapping[str, ClosingTable] = {}

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> None:
        """Write a record with the results of the task."""
        if topic not in self._topics:
            # The producer would wait for it to appear, and everything with it.
            self._context.check_topic(topic)
            self._topics.add(topic)
        self._produce(topic, value, key, partition, timestamp, headers)

    def drop(self, reason: str) -> None:
        """Count a change that a rule drops."""
        self._context.drop(self._node, reason)

    @property
    def now_ms(self) -> int:
        """The worker's clock."""
        return self._context.now_ms


class _Declared(dict[str, Any]):
    """The stores that an agent was declared with, by name."""

    def __init__(self, node: Agent) -> None:
        self._node = node

    def __missing__(self, name: str) -> NoReturn:
        raise TopologyError(
            f"{self._node} uses table {name!r}, and nobody could see that from its code: declare it "
            "with tables=[...]"
        )


def _load(actor: Actor) -> int:
    return len(actor.events)
