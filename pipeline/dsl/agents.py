"""Agents: coroutines as operators."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.agents.stream import AgentStream
from pipeline.dsl.base import StreamBase
from pipeline.dsl.graph import expect, resolve
from pipeline.dsl.stores import DeclaredStore
from pipeline.errors import TopologyError
from pipeline.serde import SerdeLike
from pipeline.topology import Agent, Uses, declaration_site

if TYPE_CHECKING:
    from pipeline.dsl.stream import KStream

K = TypeVar("K")
V = TypeVar("V")
V2 = TypeVar("V2")


class AgentOperators(StreamBase[K, V]):
    """What runs a user's coroutine on a stream."""

    def agent(
        self,
        function: Callable[[AgentStream[V]], Coroutine[Any, Any, None] | AsyncIterator[V2]],
        *stores: DeclaredStore,
        name: str | None = None,
        concurrency: int = 1,
        value: SerdeLike | None = None,
        uses: Callable[[], Uses] | None = None,
        prologue: int = 0,
        answers: Callable[[Any], bytes | None] | None = None,
    ) -> KStream[K, V2]:
        """Run a coroutine of yours that takes records one after the other; what it yields goes on.

        One is started for each task, and begins anew after an exception, which goes where
        `on_processing_error` says. While it awaits something, its task takes up no more records; other tasks
        go on.

        Args:
            function: `async def function(stream)`, which loops `async for value in stream`; what it yields
                has the key, the time and the headers of the record in hand.
            stores: the stores of the tables that it uses; see `process`.
            name: display name.
            concurrency: so many instances take records of different keys at once; those of one key stay in
                their order.
            value: serde of the values that it yields.
            uses: asked, when the topology is planned, which tables its code uses besides.
            prologue: how many things its own code asks of its stream before its first event; they are done.
            answers: encodes what it yields for an event that is a question.
        """
        for store in stores:
            expect(store, DeclaredStore, "agent", "stores such as Store('name') after the function")
        expect(concurrency, int, "agent", "a whole number for concurrency=")
        if concurrency < 1:
            raise TopologyError(f"agent at {declaration_site()}: concurrency is {concurrency}: at least 1")
        node = self._graph.add(
            Agent,
            "agent",
            name,
            parents=(self.node,),
            function=function,
            concurrency=concurrency,
            declared_stores=tuple(store.spec() for store in stores),
            uses=uses,
            prologue=prologue,
            answers=answers,
        )
        return self._stream(node, self.key_serde, resolve(value, None, "agent"))
