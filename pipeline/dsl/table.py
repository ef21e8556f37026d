"""KTable: the latest value of each key, as the DSL sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from pipeline.dsl.graph import key_serde, known, required, resolve
from pipeline.dsl.options import StoreOptions, named_store
from pipeline.dsl.suppress import held_back, suppression
from pipeline.dsl.table_joins import TableJoinOperators
from pipeline.record import Windowed
from pipeline.serde import SerdeLike
from pipeline.suppression import Suppressed
from pipeline.topology import GroupTable, Suppress, TableFilter, TableMapValues, ToStream

if TYPE_CHECKING:
    from pipeline.dsl.grouped_table import KGroupedTable
    from pipeline.dsl.stream import KStream

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
V2 = TypeVar("V2")


class KTable(TableJoinOperators[K, V]):
    """The latest value of each key.

    Its rows are kept in a state store, changelogged, queryable over HTTP by its name; or, where an
    operator was given no name, computed from those of the tables that it is made of.
    """

    def filter(
        self, predicate: Callable[[K, V], bool], *, name: str | None = None, **store: Unpack[StoreOptions]
    ) -> KTable[K, V]:
        """Keep the rows for which `predicate(key, value)` holds; a row that no longer does is deleted.

        Args:
            predicate: whether a row is kept.
            name: keeps the rows in a store of this name; without it, they are computed when asked for.
            store: with a name only, see `StoreOptions`.
        """
        return self._filter("filter", predicate, name, store, negated=False)

    def filter_not(
        self, predicate: Callable[[K, V], bool], *, name: str | None = None, **store: Unpack[StoreOptions]
    ) -> KTable[K, V]:
        """Keep the rows for which `predicate(key, value)` does not hold; else as `filter`."""
        return self._filter("filter_not", predicate, name, store, negated=True)

    def _filter(
        self,
        operator: str,
        predicate: Callable[[K, V], bool],
        name: str | None,
        options: StoreOptions,
        *,
        negated: bool,
    ) -> KTable[K, V]:
        node = self._graph.add(
            TableFilter,
            "table-filter",
            name,
            parents=(self.node,),
            store=named_store(name, self.key_serde, self.value_serde, options, operator),
            predicate=predicate,
            negated=negated,
        )
        return self._derived(node, self.value_serde)

    def map_values(
        self,
        mapper: Callable[[K, V], V2],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, V2]:
        """Replace each row's value by what `mapper(key, value)` returns; None: there is no row.

        Args:
            mapper: returns the new value; it is not asked about deletions.
            name: keeps the rows in a store of this name; without it, they are computed when asked for.
            value: serde of the new value, where a topic or store needs it.
            store: with a name only, see `StoreOptions`.
        """
        values = resolve(value, None, "map_values")
        node = self._graph.add(
            TableMapValues,
            "table-map-values",
            name,
            parents=(self.node,),
            store=named_store(name, self.key_serde, values, store, "map_values"),
            mapper=mapper,
        )
        return self._derived(node, values)

    @overload
    def to_stream(self) -> KStream[K, V]: ...

    @overload
    def to_stream(
        self, mapper: Callable[[K, V | None], K2], *, key: SerdeLike | None = None
    ) -> KStream[K2, V]: ...

    def to_stream(
        self, mapper: Callable[[K, V | None], Any] | None = None, *, key: SerdeLike | None = None
    ) -> KStream[Any, V]:
        """Return the table's updates as a stream; a deletion is a record with value None.

        The key of a windowed table is a `Windowed`.

        Args:
            mapper: `mapper(key, value)` returns another key; operators after it that work by key send
                the records through a repartition topic first.
            key: with a mapper: serde of the new key, where a topic or store needs it.
        """
        from pipeline.dsl.stream import KStream  # noqa: PLC0415 - KStream.join takes a KTable: a cycle within the DSL

        node = self._graph.add(ToStream, "to-stream", parents=(self.node,))
        stream: KStream[Any, V] = KStream(self._graph, node, self.key_serde, self.value_serde)
        return stream if mapper is None else stream.select_key(mapper, key=key)

    def group_by(
        self,
        mapper: Callable[[K, V], tuple[K2 | None, V2 | None]],
        *,
        name: str | None = None,
        key: SerdeLike | None = None,
        value: SerdeLike | None = None,
    ) -> KGroupedTable[K2, V2]:
        """Group the rows by what `mapper(key, value)` returns; always goes through a repartition topic.

        Args:
            mapper: returns the group, and what of the row is folded there; None for either leaves the
                row out.
            name: required: names the topic `<app>-<name>-repartition`.
            key: serde of the group; UTF-8 strings unless told.
            value: serde of what is folded; that of the table unless told.
        """
        from pipeline.dsl.grouped_table import KGroupedTable  # noqa: PLC0415 - what it folds to is a KTable: a cycle within the DSL

        name = required(name, "group_by", "it names the repartition topic")
        keys = key_serde(key, None, "group_by")
        values = known(resolve(value, self.value_serde, "group_by"), "group_by", "value")
        node = self._graph.add(GroupTable, "group-table", parents=(self.node,), mapper=mapper, key=keys)
        return KGroupedTable(self._graph, node, name, keys, values)

    def suppress(self, until: Suppressed, *, name: str | None = None) -> KTable[K, V]:
        """Hold updates back until windows close, or for a time, and let the last of each key go on.

        Stream time is that of the table's updates: nothing goes on without one.

        Args:
            until: what `until_window_closes` or `until_time_limit` returns.
            name: required: names the store of what is held back, and its changelog.

        Raises:
            TopologyError: windows are to close, and the table has none that do; the table is versioned.
        """
        name = required(name, "suppress", "it names the store of what is held back")
        values = known(self.value_serde, "suppress", "value")
        node = self._graph.add(
            Suppress,
            "suppress",
            name,
            parents=(self.node,),
            store=None,
            until=suppression(self.node, self.key_serde, until),
            key=self.key_serde,
            value=values,
            buffer=held_back(name, until),
        )
        return self._derived(node, values)


class WindowedKTable(KTable[Windowed[K], V]):
    """A table by key and window."""
