"""What a table can be joined with: another table, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from pipeline.dsl.foreign_key import declare_foreign_key_join
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
FK = TypeVar("FK")
VR = TypeVar("VR")


class TableJoinOperators(TableBase[K, V]):
    """Operators of `KTable` that pair its rows with others."""

    @overload
    def join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[K, V, V2], VR],
        *,
        name: str | None = ...,
        value: SerdeLike | None = ...,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, VR]: ...

    @overload
    def join(
        self,
        other: KTable[FK, V2],
        joiner: Callable[[K, V, V2], VR],
        *,
        foreign_key: Callable[[K, V], FK | None],
        name: str,
        value: SerdeLike,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, VR]: ...

    def join(
        self,
        other: KTable[Any, V2],
        joiner: Callable[[K, V, V2], VR],
        *,
        foreign_key: Callable[[K, V], Any] | None = None,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, VR]:
        """Pair the rows of two tables that have one key; a change of either changes the result.

        A row of the result is as late as the later of the two. When one of them is deleted, so is it.

        With `foreign_key`, each row of this table is paired with the row of the other one that it names,
        which other rows may name as well, and the result has this table's keys. The tables need not be
        partitioned alike: rows find each other through two topics, `<app>-<name>-subscription-registration`
        and `<app>-<name>-subscription-response`; but the other table must be partitioned by its keys'
        bytes, as Kafka's Java client does. A change of the other table comes out at its own time. A row
        that names another one from now on, which is not there, is deleted, even if it never was in the
        result.

        Args:
            other: a table with keys of the same type, partitioned alike (checked at start); with
                `foreign_key`, any table.
            joiner: `joiner(key, left, right)` returns the row's value; None: there is no row.
            foreign_key: `foreign_key(key, value)` returns the key of the row of `other` that a row of this
                table names; None: it names none.
            name: keeps the result in a store of this name; without it, rows are computed when asked for.
                Required with `foreign_key`.
            value: serde of the result, where a topic or store needs it. Required with `foreign_key`.
            store: with a name only, see `StoreOptions`.

        Raises:
            TopologyError: something is missing, or does not fit.
        """
        return self._join("join", other, joiner, foreign_key, name, value, store, outer=(False, False))

    @overload
    def left_join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[K, V, V2 | None], VR],
        *,
        name: str | None = ...,
        value: SerdeLike | None = ...,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, VR]: ...

    @overload
    def left_join(
        self,
        other: KTable[FK, V2],
        joiner: Callable[[K, V, V2 | None], VR],
        *,
        foreign_key: Callable[[K, V], FK | None],
        name: str,
        value: SerdeLike,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, VR]: ...

    def left_join(
        self,
        other: KTable[Any, V2],
        joiner: Callable[[K, V, V2 | None], VR],
        *,
        foreign_key: Callable[[K, V], Any] | None = None,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, VR]:
        """Like `join`, but a row of this table without one in the other comes too, with None for it.

        With `foreign_key`, a row that names none comes likewise.
        """
        return self._join("left_join", other, joiner, foreign_key, name, value, store, outer=(True, False))

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
        return self._join("outer_join", other, joiner, None, name, value, store, outer=(True, True))

    def _join(
        self,
        operator: str,
        other: KTable[Any, Any],
        joiner: Callable[[K, Any, Any], VR],
        foreign_key: Callable[[K, V], Any] | None,
        name: str | None,
        value: SerdeLike | None,
        options: StoreOptions,
        *,
        outer: tuple[bool, bool],
    ) -> KTable[K, VR]:
        if not isinstance(other, TableBase):
            raise TopologyError(f"{operator} at {declaration_site()} of a table takes a table, not {other!r}")
        left_outer, right_outer = outer
        if foreign_key is not None:
            node = declare_foreign_key_join(
                self._graph,
                (self, other),
                joiner,
                foreign_key,
                name,
                value,
                options,
                operator,
            )
            return self._derived(node, resolve(value, None, operator))
        values = resolve(value, None, operator)
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
