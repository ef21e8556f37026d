"""From a grouping to the node that folds it into a table: what all aggregates have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeline.dsl.functions import check_function
from pipeline.dsl.graph import Graph, known, required, resolve, told
from pipeline.dsl.options import StoreOptions, table_store, windowed_store
from pipeline.errors import TopologyError
from pipeline.serde import BYTES, INT64, Serde, SerdeLike, SessionWindowedSerde, TimeWindowedSerde
from pipeline.topology import Aggregate, Keyed, Node, StoreSpec, declaration_site
from pipeline.windows import EmitStrategy, SessionWindows, Windows

#: What a table is made of: the graph, its node, and the serdes of its keys and values.
TableParts: TypeAlias = tuple[Graph, Node, Serde[Any], Serde[Any]]

_NAME_WHY = "it names the store and its changelog"


@dataclass(frozen=True, slots=True)
class Grouping:
    """Streams grouped by key, and by window if there are `windows`.

    Attributes:
        graph: where nodes are declared.
        inputs: the streams: one, or those of a cogroup.
        keyed: by input, how it is grouped.
        windows: None: by key alone.
        emit: when windows go downstream.
    """

    graph: Graph
    inputs: tuple[Node, ...]
    keyed: tuple[Keyed, ...]
    windows: Windows | None = None
    emit: EmitStrategy = EmitStrategy.ON_WINDOW_UPDATE

    def with_input(self, other: Grouping) -> Grouping:
        """Return the grouping of these streams and another one."""
        return dataclasses.replace(
            self, inputs=(*self.inputs, *other.inputs), keyed=(*self.keyed, *other.keyed)
        )

    def count(self, name: str | None, options: StoreOptions) -> TableParts:
        """Declare a count."""
        return self._declare(
            "count",
            name,
            INT64,
            lambda: 0,
            (lambda _key, _value, count: count + 1,),
            lambda _key, left, right: left + right,
            options,
        )

    def reduce(
        self,
        reducer: Callable[[Any, Any], Any],
        name: str | None,
        value: SerdeLike | None,
        options: StoreOptions,
    ) -> TableParts:
        """Declare a reduction, which starts with the first value."""
        check_function(reducer, "reducer", f"reduce at {declaration_site()}")
        serde = known(resolve(value, self.keyed[0].value, "reduce"), "reduce", "value")

        def aggregate(_key: Any, new: Any, reduced: Any) -> Any:
            return new if reduced is None else reducer(reduced, new)

        def merge(_key: Any, left: Any, right: Any) -> Any:
            return right if left is None else reducer(left, right)

        # Messages name the user's function, not these. (functools.wraps' attribute, without the rest.)
        aggregate.__wrapped__ = merge.__wrapped__ = reducer  # type: ignore[attr-defined]
        return self._declare("reduce", name, serde, lambda: None, (aggregate,), merge, options)

    def aggregate(
        self,
        initializer: Callable[[], Any],
        aggregators: tuple[Callable[[Any, Any, Any], Any], ...],
        merger: Callable[[Any, Any, Any], Any] | None,
        name: str | None,
        value: SerdeLike | None,
        options: StoreOptions,
    ) -> TableParts:
        """Declare a fold with the user's functions; `merger` for sessions only."""
        if isinstance(self.windows, SessionWindows):
            check_function(merger, "merger", f"aggregate at {declaration_site()}")
        serde = told(value, "aggregate")
        return self._declare("aggregate", name, serde, initializer, aggregators, merger, options)

    def _declare(
        self,
        operator: str,
        name: str | None,
        value: Serde[Any],
        initializer: Callable[[], Any],
        aggregators: tuple[Callable[[Any, Any, Any], Any], ...],
        merger: Callable[[Any, Any, Any], Any] | None,
        options: StoreOptions,
    ) -> TableParts:
        store = self._store(required(name, operator, _NAME_WHY), value, options, operator)
        node = self.graph.add(
            Aggregate,
            operator,
            store.name,
            parents=self.inputs,
            grouped=self.keyed,
            store=store,
            initializer=initializer,
            aggregators=aggregators,
            windows=self.windows,
            merger=merger if isinstance(self.windows, SessionWindows) else None,
            waiting=_waiting(store) if self.emit is EmitStrategy.ON_WINDOW_CLOSE else None,
        )
        return self.graph, node, self._key_serde(), value

    def _store(self, name: str, value: Serde[Any], options: StoreOptions, operator: str) -> StoreSpec:
        windows, key = self.windows, self.keyed[0].key
        if windows is None:
            return table_store(name, key, value, options, operator)
        least = windows.least_retention_ms
        kept = windowed_store(name, key, value, options, operator, least_ms=least)
        kept["retention_ms"] = max(kept["retention_ms"], windows.retention_ms)
        if isinstance(windows, SessionWindows):
            return StoreSpec(kind="session", **kept)
        return StoreSpec(kind="window", window_size_ms=windows.size_ms, **kept)

    def _key_serde(self) -> Serde[Any]:
        key = self.keyed[0].key
        if self.windows is None:
            return key
        if isinstance(self.windows, SessionWindows):
            return SessionWindowedSerde(key)
        return TimeWindowedSerde(key, self.windows.size_ms)


def windowed(grouping: Grouping, windows: Any) -> Grouping:
    """Return the same grouping, by window too.

    Raises:
        TopologyError: they are no windows.
    """
    if not isinstance(windows, Windows):
        raise TopologyError(
            f"windowed_by at {declaration_site()} takes windows such as tumbling(...), hopping(...), "
            f"sliding(...), session(...) or unlimited(), not {windows!r}"
        )
    return dataclasses.replace(grouping, windows=windows)


def _waiting(store: StoreSpec) -> StoreSpec:
    """Return the store of the windows that were not emitted yet: as durable as the windows themselves."""
    return StoreSpec(
        f"{store.name}-closing",
        "key-value",
        BYTES,
        BYTES,
        ordered=True,
        queryable=False,
        logged=store.logged,
        in_memory=store.in_memory,
    )
