"""Streams grouped by key and window: what comes between `windowed_by` and the aggregate."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import ClassVar, Generic, Self, TypeVar, Unpack

from pipeline.dsl.aggregation import Grouping
from pipeline.dsl.elsewhere import OF_A_GROUP, Elsewhere
from pipeline.dsl.options import StoreOptions
from pipeline.dsl.table import WindowedKTable
from pipeline.errors import TopologyError
from pipeline.serde import SerdeLike
from pipeline.topology import declaration_site
from pipeline.windows import EmitStrategy, UnlimitedWindows

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class WindowedKStream(Elsewhere, Generic[K, V]):
    """What streams have in common that are grouped by key and window, whatever the windows."""

    ELSEWHERE: ClassVar[Mapping[str, str]] = OF_A_GROUP

    def __init__(self, grouping: Grouping) -> None:
        self._grouping = grouping

    def emit_strategy(self, strategy: EmitStrategy) -> Self:
        """Say when windows go downstream: at every update (the default), or once when they close.

        Raises:
            TopologyError: it is no `EmitStrategy`; or unlimited windows, which never close, are to be
                emitted when they do.
        """
        if not isinstance(strategy, EmitStrategy):
            raise TopologyError(
                f"emit_strategy at {declaration_site()} takes an EmitStrategy such as "
                f"EmitStrategy.ON_WINDOW_CLOSE, not {strategy!r}"
            )
        if strategy is EmitStrategy.ON_WINDOW_CLOSE and isinstance(self._grouping.windows, UnlimitedWindows):
            raise TopologyError(
                f"emit_strategy at {declaration_site()}: unlimited windows never close, so nothing would "
                "be emitted; use EmitStrategy.ON_WINDOW_UPDATE, or windows that end"
            )
        return type(self)(dataclasses.replace(self._grouping, emit=strategy))

    def count(self, *, name: str | None = None, **store: Unpack[StoreOptions]) -> WindowedKTable[K, int]:
        """Count the records of each key and window; see `KGroupedStream.count`."""
        return WindowedKTable(*self._grouping.count(name, store))

    def reduce(
        self,
        reducer: Callable[[V, V], V | None],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> WindowedKTable[K, V]:
        """Combine the values of each key and window; see `KGroupedStream.reduce`."""
        return WindowedKTable(*self._grouping.reduce(reducer, name, value, store))


class TimeWindowedKStream(WindowedKStream[K, V]):
    """A stream grouped by key and by tumbling, hopping, sliding or unlimited windows."""

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A | None],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> WindowedKTable[K, A]:
        """Fold the values of each key and window; see `KGroupedStream.aggregate`."""
        return WindowedKTable(*self._grouping.aggregate(initializer, (aggregator,), None, name, value, store))


class SessionWindowedKStream(WindowedKStream[K, V]):
    """A stream grouped by key and session."""

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A | None],
        merger: Callable[[K, A, A], A],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> WindowedKTable[K, A]:
        """Fold the values of each key and session; see `KGroupedStream.aggregate`.

        Args:
            initializer: makes the aggregate of a session before its first record.
            aggregator: adds one value.
            merger: `merger(key, left, right)` makes one aggregate of those of two sessions that a
                record has joined, the earlier one on the left.
            name: required: names the store and its changelog.
            value: required: serde of the aggregate.
            store: see `StoreOptions`.
        """
        return WindowedKTable(
            *self._grouping.aggregate(initializer, (aggregator,), merger, name, value, store)
        )
