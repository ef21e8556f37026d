"""Records folded into tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.topology.node import Keyed, StoreSpec, TableNode
from pipeline.windows import Windows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Aggregate(TableNode):
    """Fold the records of each key, or of each key and window, into a table.

    The streams of a cogroup are its parents; each has its own aggregator.

    Attributes:
        grouped: by parent, how its records are grouped.
        store: the table.
        initializer: makes the aggregate of a key, or window, that has none.
        aggregators: by parent, what adds one of its records.
        windows: None: the table is by key alone.
        merger: sessions only: makes one aggregate of those of two sessions.
        waiting: the windows that were not emitted yet; None: every update is.
    """

    grouped: tuple[Keyed, ...]
    store: StoreSpec
    initializer: Callable[[], Any]
    aggregators: tuple[Callable[[Any, Any, Any], Any], ...]
    windows: Windows | None = None
    merger: Callable[[Any, Any, Any], Any] | None = None
    waiting: StoreSpec | None = None
    restores_partitioning = True

    @property
    def inputs_by_key(self) -> tuple[Keyed | None, ...]:
        """Grouping is by key."""
        return self.grouped

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The table, and what waits to be emitted."""
        return (self.store, *filter(None, (self.waiting,)))

    @property
    def details(self) -> tuple[str, ...]:
        """Its windows, if it has any, and when they are emitted."""
        if self.windows is None:
            return ()
        return (str(self.windows), *(("each emitted once, when it closes",) if self.waiting else ()))
