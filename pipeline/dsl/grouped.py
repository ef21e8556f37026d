"""Grouped streams: what comes between grouping and the aggregate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pipeline.dsl.graph import Graph, known, required, resolve
from pipeline.dsl.table import KTable, WindowedKTable
from pipeline.errors import TopologyError
from pipeline.serde import INT64, Serde, SerdeLike
from pipeline.topology import Aggregate, Keyed, Node, StoreSpec, declaration_site
from pipeline.windows import TimeWindows

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")

_NAME_WHY = "it names the store and its changelog"


class _Grouped(Generic[K, V]):
    """Aggregates over a grouping, windowed or not: only the store differs."""

    def __init__(self, graph: Graph, node: Node, keyed: Keyed, windows: TimeWindows | None = None) -> None:
        self._graph = graph
        self._node = node
        self._keyed = keyed
        self._windows = windows

    def _aggregate(
        self,
        operator: str,
        name: str | None,
        value: Serde[Any],
        initializer: Callable[[], Any],
        aggregator: Callable[[Any, Any, Any], Any],
    ) -> tuple[Graph, Node, StoreSpec]:
        store = self._store(required(name, operator, _NAME_WHY), value)
        node = self._graph.add(
            Aggregate,
            operator,
            store.name,
            parents=(self._node,),
            grouped=self._keyed,
            store=store,
            initializer=initializer,
            aggregator=aggregator,
            windows=self._windows,
        )
        return self._graph, node, store

    def _store(self, name: str, value: Serde[Any]) -> StoreSpec:
        if self._windows is None:
            return StoreSpec(name, "key-value", self._keyed.key, value)
        return StoreSpec(
            name,
            "window",
            self._keyed.key,
            value,
            retention_ms=self._windows.retention_ms,
            window_size_ms=self._windows.size_ms,
        )

    def _count(self, name: str | None) -> tuple[Graph, Node, StoreSpec]:
        return self._aggregate("count", name, INT64, lambda: 0, lambda _key, _value, count: count + 1)

    def _reduce(
        self, reducer: Callable[[V, V], V], name: str | None, value: SerdeLike | None
    ) -> tuple[Graph, Node, StoreSpec]:
        serde = known(resolve(value, self._keyed.value, "reduce"), "reduce", "value")

        def aggregate(_key: Any, new: V, reduced: V | None) -> V:
            return new if reduced is None else reducer(reduced, new)

        # Messages name the user's function, not this one.
        aggregate.__wrapped__ = reducer  # type: ignore[attr-defined] # functools.wraps' attribute, without the rest
        return self._aggregate("reduce", name, serde, lambda: None, aggregate)

    def _fold(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A],
        name: str | None,
        value: SerdeLike | None,
    ) -> tuple[Graph, Node, StoreSpec]:
        serde = known(resolve(value, None, "aggregate"), "aggregate", "value")
        return self._aggregate("aggregate", name, serde, initializer, aggregator)


class KGroupedStream(_Grouped[K, V]):
    """A stream grouped by key: aggregate it into a table, or window it first."""

    def windowed_by(self, windows: TimeWindows) -> TimeWindowedKStream[K, V]:
        """Group by key and window, such as `tumbling(timedelta(minutes=1), grace=...)`.

        Raises:
            TopologyError: `windows` is not what `tumbling` returns.
        """
        if not isinstance(windows, TimeWindows):
            raise TopologyError(
                f"windowed_by at {declaration_site()} takes windows such as tumbling(...), not {windows!r}"
            )
        return TimeWindowedKStream(self._graph, self._node, self._keyed, windows)

    def count(self, *, name: str | None = None) -> KTable[K, int]:
        """Count the records of each key. Null keys and null values don't count.

        Args:
            name: required: names the store and its changelog.
        """
        return KTable(*self._count(name))

    def reduce(
        self, reducer: Callable[[V, V], V], *, name: str | None = None, value: SerdeLike | None = None
    ) -> KTable[K, V]:
        """Combine the values of each key: `reducer(so_far, new)`; the first value is the start."""
        return KTable(*self._reduce(reducer, name, value))

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
    ) -> KTable[K, A]:
        """Fold the values of each key: `aggregator(key, value, so_far)` returns the new aggregate.

        An aggregate that becomes None is deleted. The aggregator may change the aggregate it is
        given and return it, as its last act: if it raises after a change, the change stays.

        Args:
            initializer: makes the aggregate of a key not seen before.
            aggregator: adds one value.
            name: required: names the store and its changelog.
            value: required: serde of the aggregate.
        """
        return KTable(*self._fold(initializer, aggregator, name, value))


class TimeWindowedKStream(_Grouped[K, V]):
    """A stream grouped by key and window."""

    def count(self, *, name: str | None = None) -> WindowedKTable[K, int]:
        """Count the records of each key and window; see `KGroupedStream.count`."""
        return WindowedKTable(*self._count(name))

    def reduce(
        self, reducer: Callable[[V, V], V], *, name: str | None = None, value: SerdeLike | None = None
    ) -> WindowedKTable[K, V]:
        """Combine the values of each key and window; see `KGroupedStream.reduce`."""
        return WindowedKTable(*self._reduce(reducer, name, value))

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
    ) -> WindowedKTable[K, A]:
        """Fold the values of each key and window; see `KGroupedStream.aggregate`."""
        return WindowedKTable(*self._fold(initializer, aggregator, name, value))
