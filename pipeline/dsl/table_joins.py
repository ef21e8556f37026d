"""What a table can be joined with: another table, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from pipeline.dsl.graph import resolve
from pipeline.dsl.options import StoreOptions, named_store
from pipeline.dsl.table_base import TableBase
from pipeline.errors import TopologyError
from pipeline.serde import SerdeLike
from pipeline.topology import TableTableJoin, declaration_site

if TYPE_CHECKING:
    from pipeline.dsl.table import KTable

K = TypeVar("K")
V = TypeVar("V")
V2 = TypeVar("V2")
VR = TypeVar("VR")


class TableJoinOperators(TableBase[K, V]):
    """Operators of `KTable` that pair its rows with others."""

    def join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[K, V, V2], VR],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, VR]:
        """Pair the rows of two tables that have one key; a change of either changes the result.

        A row of the result is as late as the later of the two. When one of them is deleted, so is it.

        Args:
            other: a table with keys of the same type, partitioned alike (checked at start).
            joiner: `joiner(key, left, right)` returns the row's value; None: there is no row.
            name: keeps the result in a store of this name; without it, rows are computed when asked for.
            value: serde of the result, where a topic or store needs it.
            store: with a name only, see `StoreOptions`.
        """
        return self._join("join", other, joiner, name, value, store, outer=(False, False))

    def left_join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[K, V, V2 | None], VR],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, VR]:
        """Like `join`, but a row of this table without one in the other comes too, with None for it."""
        return self._join("left_join", other, joiner, name, value, store, outer=(True, False))

    def outer_join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[K, V | None, V2 | None], VR],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, VR]:
        """Like `join`, but rows of either table without one in the other come too, with None for it."""
        return self._join("outer_join", other, joiner, name, value, store, outer=(True, True))

    def _join(
        self,
        operator: str,
        other: KTable[K, Any],
        joiner: Callable[[K, Any, Any], VR],
        name: str | None,
        value: SerdeLike | None,
        options: StoreOptions,
        *,
        outer: tuple[bool, bool],
    ) -> KTable[K, VR]:
        if not isinstance(other, TableBase):
            raise TopologyError(f"{operator} at {declaration_site()} of a table takes a table, not {other!r}")
        values = resolve(value, None, operator)
        left_outer, right_outer = outer
        node = self._graph.add(
            TableTableJoin,
            f"table-{operator.replace('_', '-')}",
            name,
            parents=(self.node, other.node),
            store=named_store(name, self.key_serde, values, options, operator),
            joiner=joiner,
            left_outer=left_outer,
            right_outer=right_outer,
            left_key=self.key_serde,
            right_key=other.key_serde,
        )
        return self._derived(node, values)
