"""What brings equal keys of a stream together: repartitioning, grouping, making a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, Unpack

from pipeline.dsl.aggregation import Grouping
from pipeline.dsl.base import StreamBase
from pipeline.dsl.graph import check_name, expect, key_serde, known, required, resolve
from pipeline.dsl.grouped import KGroupedStream
from pipeline.dsl.options import StoreOptions, table_store
from pipeline.dsl.table import KTable
from pipeline.errors import TopologyError
from pipeline.serde import SerdeLike
from pipeline.topology import Keyed, Repartition, SelectKey, ToTable, check_topic_name, declaration_site

if TYPE_CHECKING:
    from pipeline.dsl.stream import KStream

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")

_REPARTITION_WHY = "it names the repartition topic"


class KeyedOperators(StreamBase[K, V]):
    """Operators of `KStream` that work by key."""

    def repartition(
        self,
        *,
        name: str | None = None,
        key: SerdeLike | None = None,
        value: SerdeLike | None = None,
        partitions: int | None = None,
        partitioner: Callable[[str, K, V, int], int] | None = None,
    ) -> KStream[K, V]:
        """Send the records through a topic, so that equal keys meet in one partition.

        Records without a key are dropped there, and counted, unless a left or outer join follows (KIP-962).

        Args:
            name: required: names the topic `<app>-<name>-repartition`.
            key: serde of the key, if it is not known already.
            value: serde of the value, if it is not known already.
            partitions: of the topic; as many as upstream unless told.
            partitioner: `partitioner(topic, key, value, partitions)` returns a record's partition; by the
                key's bytes unless told. What is joined with it must be partitioned alike.
        """
        name = required(name, "repartition", _REPARTITION_WHY)
        check_topic_name(name, f"repartition at {declaration_site()}: name")
        if partitions is not None:
            expect(partitions, int, "repartition", "a whole number of partitions=")
            if partitions < 1:
                raise TopologyError(f"repartition at {declaration_site()} needs at least one of partitions=")
        keys = key_serde(key, self.key_serde, "repartition")
        values = known(resolve(value, self.value_serde, "repartition"), "repartition", "value")
        node = self._graph.add(
            Repartition,
            "repartition",
            f"{name}-repartition",
            parents=(self.node,),
            keyed=Keyed(name, keys, values),
            partitions=partitions,
            partitioner=partitioner,
        )
        return self._stream(node, keys, values)

    def to_table(
        self,
        *,
        name: str | None = None,
        key: SerdeLike | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, V]:
        """Read the stream as a table: the last value by key, None deletes.

        Records without a key are rejected. If an operator before changed the key, they go through a
        repartition topic first.

        Args:
            name: required: names the store and its changelog, and the repartition topic if there is one.
            key: serde of the key, if it is not known already.
            value: serde of the value, if it is not known already.
            store: see `StoreOptions`.
        """
        name = required(name, "to_table", "it names the store and its changelog")
        keys = key_serde(key, self.key_serde, "to_table")
        values = known(resolve(value, self.value_serde, "to_table"), "to_table", "value")
        node = self._graph.add(
            ToTable,
            "to-table",
            name,
            parents=(self.node,),
            keyed=Keyed(name, keys, values),
            store=table_store(name, keys, values, store, "to_table"),
        )
        return KTable(self._graph, node, keys, values)

    def group_by(
        self,
        mapper: Callable[[K, V], K2],
        *,
        name: str | None = None,
        key: SerdeLike | None = None,
        value: SerdeLike | None = None,
    ) -> KGroupedStream[K2, V]:
        """Group by what `mapper(key, value)` returns; always goes through a repartition topic.

        Args:
            mapper: returns the new key.
            name: required: names the topic `<app>-<name>-repartition`.
            key: serde of the new key; UTF-8 strings unless told.
            value: serde of the value, if it is not known already.
        """
        name = required(name, "group_by", _REPARTITION_WHY)
        node = self._then(SelectKey, "select-key", mapper=mapper)
        keys = key_serde(key, None, "group_by")
        values = resolve(value, self.value_serde, "group_by")
        return KGroupedStream(Grouping(self._graph, (node,), (Keyed(name, keys, values),)))

    def group_by_key(
        self, *, name: str | None = None, key: SerdeLike | None = None, value: SerdeLike | None = None
    ) -> KGroupedStream[K, V]:
        """Group by the key as it is.

        Args:
            name: names the repartition topic; needed only if an operator before changed the key.
            key: serde of the key, if it is not known already.
            value: serde of the value, if it is not known already.
        """
        if name is not None:
            check_name(name, "group_by_key")
        keys = key_serde(key, self.key_serde, "group_by_key")
        values = resolve(value, self.value_serde, "group_by_key")
        return KGroupedStream(Grouping(self._graph, (self.node,), (Keyed(name, keys, values),)))
