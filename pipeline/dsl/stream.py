"""KStream: what a user chains operators on.

Every method declares one node, or two, and returns a new stream; nothing runs. Functions take the
key first. A name is required wherever it names state or a topic: from a counter, it would change
when an operator is added, and the state with it.

The operators stand in four families: `dsl.stateless`, `dsl.agents`, `dsl.keyed`, `dsl.stream_joins`.
"""

from __future__ import annotations

from typing import TypeVar

from pipeline.dsl.agents import AgentOperators
from pipeline.dsl.keyed import KeyedOperators
from pipeline.dsl.stateless import StatelessOperators
from pipeline.dsl.stream_joins import JoinOperators

K = TypeVar("K")
V = TypeVar("V")


class KStream(StatelessOperators[K, V], AgentOperators[K, V], KeyedOperators[K, V], JoinOperators[K, V]):
    """An unbounded sequence of records. Made by `App.stream`, never by hand."""
