"""Two tables joined by a foreign key: one node as it is declared, three as it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.serde import Serde
from pipeline.topology.node import Node, StoreSpec, TableNode


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ForeignKeyJoin(TableNode):
    """Each row of the left table (first parent) with the row of the right one that it names.

    Attributes:
        foreign_key: `(key, value)` of a left row to the key of the right one; None: it names none.
        left_outer: whether a row that names none, or one that is not there, comes out alone.
        subscriptions: where the right side keeps which left rows belong to each of its rows.
    """

    store: StoreSpec
    subscriptions: StoreSpec
    foreign_key: Callable[[Any, Any], Any]
    joiner: Callable[[Any, Any, Any], Any]
    left_outer: bool
    left_key: Serde[Any]
    left_value: Serde[Any]
    right_key: Serde[Any]
    right_value: Serde[Any]

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The result's rows, and the subscriptions."""
        return (self.store, self.subscriptions)

    @property
    def details(self) -> tuple[str, ...]:
        """Which rows come out alone."""
        return ("left" if self.left_outer else "inner",)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Subscribe(Node):
    """Left side: say of each changed row which right row it belongs to now, and which no longer.

    Attributes:
        result: the store of the result, to see what would have to be taken back.
    """

    result: StoreSpec
    foreign_key: Callable[[Any, Any], Any]
    left_outer: bool
    left_key: Serde[Any]
    left_value: Serde[Any]
    right_key: Serde[Any]
    changes_key = True

    @property
    def wants_old_values(self) -> tuple[bool, ...]:
        """What a row belonged to before is told of its end."""
        return (True,)

    @property
    def details(self) -> tuple[str, ...]:
        """Which rows come out alone."""
        return ("left" if self.left_outer else "inner",)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AnswerSubscriptions(Node):
    """Right side: answer a subscription (first parent), and all of a row that changes (second)."""

    subscriptions: StoreSpec
    right_key: Serde[Any]
    right_value: Serde[Any]
    changes_key = True

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The subscriptions."""
        return (self.subscriptions,)

    @property
    def wants_old_values(self) -> tuple[bool, ...]:
        """A right row that neither was there nor is now is not told of, as far as tables can know."""
        return (False, True)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ForeignKeyResult(TableNode):
    """Left side: join the row that an answer (first parent) is for, as it is in the table (second)."""

    joiner: Callable[[Any, Any, Any], Any]
    left_outer: bool
    left_value: Serde[Any]
    right_value: Serde[Any]

    @property
    def details(self) -> tuple[str, ...]:
        """Which rows come out alone."""
        return ("left" if self.left_outer else "inner",)
