"""Records folded into tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.topology.node import Keyed, StoreSpec, TableNode
from pipeline.windows import TimeWindows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Aggregate(TableNode):
    """Fold the records of each key, or of each key and window, into a table."""

    grouped: Keyed
    store: StoreSpec
    initializer: Callable[[], Any]
    aggregator: Callable[[Any, Any, Any], Any]
    windows: TimeWindows | None = None
    restores_partitioning = True

    @property
    def inputs_by_key(self) -> tuple[Keyed | None, ...]:
        """Grouping is by key."""
        return (self.grouped,)

    @property
    def details(self) -> tuple[str, ...]:
        """Its windows, if it has any."""
        return () if self.windows is None else (str(self.windows),)
