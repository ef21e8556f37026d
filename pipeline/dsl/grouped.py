"""Grouped streams: what comes between grouping and the aggregate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, Unpack

from pipeline.dsl.functions import check_function
from pipeline.dsl.graph import Graph, known, required, resolve
from pipeline.dsl.options import StoreOptions, table_store, windowed_store
from pipeline.dsl.table import KTable, WindowedKTable
from pipeline.errors import TopologyError
from pipeline.serde import INT64, Serde, SerdeLike, TimeWindowedSerde
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
        options: StoreOptions,
    ) -> tuple[Graph, Node, Serde[Any], Serde[Any]]:
        store = self._store(required(name, operator, _NAME_WHY), value, options, operator)
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
        return self._graph, node, self._key_serde(), value

    def _store(self, name: str, value: Serde[Any], options: StoreOptions, operator: str) -> StoreSpec:
        if self._windows is None:
            return table_store(name, self._keyed.key, value, options, operator)
        least = self._windows.retention_ms
        kept = windowed_store(name, self._keyed.key, value, options, operator, least_ms=least)
        return StoreSpec(kind="window", window_size_ms=self._windows.size_ms, **kept)

    def _key_serde(self) -> Serde[Any]:
        if self._windows is None:
            return self._keyed.key
        return TimeWindowedSerde(self._keyed.key, self._windows.size_ms)

    def _count(self, name: str | None, options: StoreOptions) -> tuple[Graph, Node, Serde[Any], Serde[Any]]:
        return self._aggregate(
            "count", name, INT64, lambda: 0, lambda _key, _value, count: count + 1, options
        )

    def _reduce(
        self,
        reducer: Callable[[V, V], V],
        name: str | None,
        value: SerdeLike | None,
        options: StoreOptions,
    ) -> tuple[Graph, Node, Serde[Any], Serde[Any]]:
        check_function(reducer, "reducer", f"reduce at {declaration_site()}")
        serde = known(resolve(value, self._keyed.value, "reduce"), "reduce", "value")

        def aggregate(_key: Any, new: V, reduced: V | None) -> V:
            return new if reduced is None else reducer(reduced, new)

        # Messages name the user's function, not this one.
        aggregate.__wrapped__ = reducer  # type: ignore[attr-defined] # functools.wraps' attribute, without the rest
        return self._aggregate("reduce", name, serde, lambda: None, aggregate, options)

    def _fold(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A],
        name: str | None,
        value: SerdeLike | None,
        options: StoreOptions,
    ) -> tuple[Graph, Node, Serde[Any], Serde[Any]]:
        serde = known(resolve(value, None, "aggregate"), "aggregate", "value")
        return self._aggregate("aggregate", name, serde, initializer, aggregator, options)


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

    def count(self, *, name: str | None = None, **store: Unpack[StoreOptions]) -> KTable[K, int]:
        """Count the records of each key. Null keys and null values don't count.

        Args:
            name: required: names the store and its changelog.
            store: see `StoreOptions`.
        """
        return KTable(*self._count(name, store))

    def reduce(
        self,
        reducer: Callable[[V, V], V],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, V]:
        """Combine the values of each key: `reducer(so_far, new)`; the first value is the start."""
        return KTable(*self._reduce(reducer, name, value, store))

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, A]:
        """Fold the values of each key: `aggregator(key, value, so_far)` returns the new aggregate.

        An aggregate that becomes None is deleted. The aggregator may change the aggregate it is
        given and return it, as its last act: if it raises after a change, the change stays.

        Args:
            initializer: makes the aggregate of a key not seen before.
            aggregator: adds one value.
            name: required: names the store and its changelog.
            store: see `StoreOptions`.
            value: required: serde of the aggregate.
            store: see `StoreOptions`.
        """
        return KTable(*self._fold(initializer, aggregator, name, value, store))


class TimeWindowedKStream(_Grouped[K, V]):
    """A stream grouped by key and window."""

    def count(self, *, name: str | None = None, **store: Unpack[StoreOptions]) -> WindowedKTable[K, int]:
        """Count the records of each key and window; see `KGroupedStream.count`."""
        return WindowedKTable(*self._count(name, store))

    def reduce(
        self,
        reducer: Callable[[V, V], V],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> WindowedKTable[K, V]:
        """Combine the values of each key and window; see `KGroupedStream.reduce`."""
        return WindowedKTable(*self._reduce(reducer, name, value, store))

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> WindowedKTable[K, A]:
        """Fold the values of each key and window; see `KGroupedStream.aggregate`."""
        return WindowedKTable(*self._fold(initializer, aggregator, name, value, store))
