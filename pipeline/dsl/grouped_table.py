"""A grouped table: what comes between grouping a table's rows and the fold over each group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar, Unpack

from pipeline.dsl.elsewhere import OF_A_GROUP, Elsewhere
from pipeline.dsl.functions import check_function
from pipeline.dsl.graph import Graph, known, required, resolve, told
from pipeline.dsl.options import StoreOptions, table_store
from pipeline.dsl.table import KTable
from pipeline.serde import INT64, ChangeSerde, Serde, SerdeLike
from pipeline.topology import Keyed, Node, TableAggregate, declaration_site

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class KGroupedTable(Elsewhere, Generic[K, V]):
    """The rows of a table by group. A row that changes is subtracted as it was, then added as it is.

    Made by `KTable.group_by`. Rows reach their group through a repartition topic: what a crash repeats
    there is folded twice, unless exactly-once is on.
    """

    ELSEWHERE: ClassVar[Mapping[str, str]] = OF_A_GROUP

    def __init__(self, graph: Graph, node: Node, name: str, key: Serde[Any], value: Serde[Any]) -> None:
        self._graph = graph
        self._node = node
        self._keyed = Keyed(name, key, ChangeSerde(value))
        self._value = value

    def count(self, *, name: str | None = None, **store: Unpack[StoreOptions]) -> KTable[K, int]:
        """Count the rows of each group; a group that has lost all of them counts 0.

        Args:
            name: required: names the store and its changelog.
            store: see `StoreOptions`.
        """
        return self._aggregate("count", name, INT64, lambda: 0, _plus_one, _minus_one, store)

    def reduce(
        self,
        adder: Callable[[V, V], V | None],
        subtractor: Callable[[V, V], V | None],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, V]:
        """Combine the values of each group; the first value is the start.

        Args:
            adder: `adder(so_far, new)` returns the new result.
            subtractor: `subtractor(so_far, old)` takes a value away that was added before.
            name: required: names the store and its changelog.
            value: serde of the result, if it is not that of the values.
            store: see `StoreOptions`.
        """
        for function in (adder, subtractor):
            check_function(function, "reducer", f"reduce at {declaration_site()}")
        serde = known(resolve(value, self._value, "reduce"), "reduce", "value")
        return self._aggregate("reduce", name, serde, _nothing, _reducer(adder), _reducer(subtractor), store)

    def aggregate(
        self,
        initializer: Callable[[], A],
        adder: Callable[[K, V, A], A | None],
        subtractor: Callable[[K, V, A], A | None],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, A]:
        """Fold the values of each group; both functions return the new aggregate, None deletes it.

        Args:
            initializer: makes the aggregate of a group without one.
            adder: `adder(key, value, so_far)` adds a value.
            subtractor: `subtractor(key, value, so_far)` takes a value away that was added before.
            name: required: names the store and its changelog.
            value: required: serde of the aggregate.
            store: see `StoreOptions`.
        """
        serde = told(value, "aggregate")
        return self._aggregate("aggregate", name, serde, initializer, adder, subtractor, store)

    def _aggregate(
        self,
        operator: str,
        name: str | None,
        value: Serde[Any],
        initializer: Callable[[], Any],
        adder: Callable[[Any, Any, Any], Any],
        subtractor: Callable[[Any, Any, Any], Any],
        options: StoreOptions,
    ) -> KTable[K, Any]:
        name = required(name, operator, "it names the store and its changelog")
        node = self._graph.add(
            TableAggregate,
            operator,
            name,
            parents=(self._node,),
            grouped=self._keyed,
            store=table_store(name, self._keyed.key, value, options, operator),
            initializer=initializer,
            adder=adder,
            subtractor=subtractor,
        )
        return KTable(self._graph, node, self._keyed.key, value)


def _plus_one(_key: object, _value: object, count: int) -> int:
    return count + 1


def _minus_one(_key: object, _value: object, count: int) -> int:
    return count - 1


def _nothing() -> None:
    """A reduction starts with its first value."""


def _reducer(reducer: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    def fold(_key: Any, value: Any, so_far: Any) -> Any:
        return value if so_far is None else reducer(so_far, value)

    # Messages name the user's function, not this one.
    fold.__wrapped__ = reducer  # type: ignore[attr-defined] # functools.wraps' attribute, without the rest
    return fold
