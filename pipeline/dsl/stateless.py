"""What a stream does with one record at a time, and where it sends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from pipeline.dsl.base import StreamBase
from pipeline.dsl.graph import common, expect, key_serde, known, resolve
from pipeline.dsl.stores import DeclaredStore
from pipeline.errors import TopologyError
from pipeline.processor import Processor
from pipeline.serde import SerdeLike
from pipeline.topology import (
    Branch,
    BranchArm,
    Filter,
    FilterNot,
    FlatMap,
    FlatMapValues,
    ForEach,
    Map,
    MapValues,
    Merge,
    Peek,
    Process,
    ProcessValues,
    SelectKey,
    Sink,
    check_topic_name,
    declaration_site,
    describe_function,
)

if TYPE_CHECKING:
    from pipeline.dsl.stream import KStream

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
V2 = TypeVar("V2")


class StatelessOperators(StreamBase[K, V]):
    """Operators of `KStream` without state of their own."""

    def filter(self, predicate: Callable[[K, V], bool]) -> KStream[K, V]:
        """Keep the records for which `predicate(key, value)` holds."""
        node = self._then(Filter, "filter", predicate=predicate)
        return self._stream(node, self.key_serde, self.value_serde)

    def filter_not(self, predicate: Callable[[K, V], bool]) -> KStream[K, V]:
        """Keep the records for which `predicate(key, value)` does not hold."""
        node = self._then(FilterNot, "filter-not", predicate=predicate)
        return self._stream(node, self.key_serde, self.value_serde)

    def map(
        self,
        mapper: Callable[[K, V], tuple[K2, V2]],
        *,
        key: SerdeLike | None = None,
        value: SerdeLike | None = None,
    ) -> KStream[K2, V2]:
        """Replace key and value by what `mapper(key, value)` returns.

        Args:
            mapper: returns the new pair.
            key: serde of the new key, where a topic or store needs it (UTF-8 strings unless told).
            value: serde of the new value, likewise (must be told).
        """
        node = self._then(Map, "map", mapper=mapper)
        return self._stream(node, resolve(key, None, "map"), resolve(value, None, "map"))

    def map_values(self, mapper: Callable[[K, V], V2], *, value: SerdeLike | None = None) -> KStream[K, V2]:
        """Replace the value by what `mapper(key, value)` returns; the key stays.

        Args:
            mapper: returns the new value.
            value: serde of the new value, where a topic or store needs it.
        """
        node = self._then(MapValues, "map-values", mapper=mapper)
        return self._stream(node, self.key_serde, resolve(value, None, "map_values"))

    def flat_map(
        self,
        mapper: Callable[[K, V], Iterable[tuple[K2, V2]]],
        *,
        key: SerdeLike | None = None,
        value: SerdeLike | None = None,
    ) -> KStream[K2, V2]:
        """Replace each record by the pairs that `mapper(key, value)` returns, in their order.

        Args:
            mapper: returns none, one or several pairs of key and value.
            key: serde of the new keys, where a topic or store needs it (UTF-8 strings unless told).
            value: serde of the new values, likewise (must be told).
        """
        node = self._then(FlatMap, "flat-map", mapper=mapper)
        return self._stream(node, resolve(key, None, "flat_map"), resolve(value, None, "flat_map"))

    def flat_map_values(
        self, mapper: Callable[[K, V], Iterable[V2]], *, value: SerdeLike | None = None
    ) -> KStream[K, V2]:
        """Replace each value by those that `mapper(key, value)` returns, in their order."""
        node = self._then(FlatMapValues, "flat-map-values", mapper=mapper)
        return self._stream(node, self.key_serde, resolve(value, None, "flat_map_values"))

    def select_key(self, mapper: Callable[[K, V], K2], *, key: SerdeLike | None = None) -> KStream[K2, V]:
        """Replace the key by what `mapper(key, value)` returns.

        Operators after it that work by key send the records through a repartition topic first.
        """
        node = self._then(SelectKey, "select-key", mapper=mapper)
        return self._stream(node, resolve(key, None, "select_key"), self.value_serde)

    def peek(self, action: Callable[[K, V], object]) -> KStream[K, V]:
        """Call `action(key, value)` for each record, and pass the record on as it was."""
        return self._stream(self._then(Peek, "peek", action=action), self.key_serde, self.value_serde)

    def foreach(self, action: Callable[[K, V], object]) -> None:
        """Call `action(key, value)` for each record, as the last thing that is done with it.

        Under at-least-once it may be called again for a record that was in hand when a worker stopped.
        """
        self._then(ForEach, "foreach", action=action)

    def merge(self, *others: KStream[K, V]) -> KStream[K, V]:
        """Return the records of this stream and the others; no order between streams is promised."""
        for other in others:
            expect(other, StreamBase, "merge", "streams")
        streams = (self, *others)
        node = self._graph.add(Merge, "merge", parents=tuple(s.node for s in streams))
        key, value = common(s.key_serde for s in streams), common(s.value_serde for s in streams)
        return self._stream(node, key, value)

    def __and__(self, other: KStream[K, V]) -> KStream[K, V]:
        """Return the records of both streams: Faust's way to write `merge`."""
        return self.merge(other) if isinstance(other, StreamBase) else NotImplemented

    def branch(
        self, predicates: Mapping[str, Callable[[K, V], bool]], *, default: str | None = None
    ) -> dict[str, KStream[K, V]]:
        """Split into named streams: each record goes to the first whose predicate holds.

        Args:
            predicates: by the branch's name, in the order they are tried.
            default: name of the branch for the rest; without it the rest goes nowhere.

        Returns:
            The branches by name.
        """
        expect(predicates, Mapping, "branch", "a mapping from names to predicates")
        for branch_name in (*predicates, *(() if default is None else (default,))):
            expect(branch_name, str, "branch", "texts as names of branches")
        if default in predicates:
            raise TopologyError(f"branch at {declaration_site()}: {default!r} is there twice")
        branch = self._then(Branch, "branch", predicates=tuple(predicates.values()))
        names = [*predicates, *([default] if default is not None else [])]
        return {
            name: self._stream(
                self._graph.add(
                    BranchArm, "branch-arm", f"{branch.name}-{name}", parents=(branch,), index=index
                ),
                self.key_serde,
                self.value_serde,
            )
            for index, name in enumerate(names)
        }

    def process(
        self,
        supplier: Callable[[], Processor[K, V, K2, V2]],
        *stores: DeclaredStore,
        name: str | None = None,
        key: SerdeLike | None = None,
        value: SerdeLike | None = None,
    ) -> KStream[K2, V2]:
        """Run a `Processor` of your own; a new one is made for each task.

        It sees records as they are partitioned now: `repartition` first if state by key is meant.

        Args:
            supplier: makes a processor, usually its class.
            stores: the stores that it asks its context for. One that another processor declares alike
                is shared with it: both run in one task, so their topics need equal partition counts.
            name: display name.
            key: serde of the keys that it forwards.
            value: serde of the values that it forwards.
        """
        _check_processor(supplier, stores, "process")
        node = self._graph.add(
            Process,
            "process",
            name,
            parents=(self.node,),
            supplier=supplier,
            declared_stores=tuple(store.spec() for store in stores),
        )
        return self._stream(node, resolve(key, None, "process"), resolve(value, None, "process"))

    def process_values(
        self,
        supplier: Callable[[], Processor[K, V, K, V2]],
        *stores: DeclaredStore,
        name: str | None = None,
        value: SerdeLike | None = None,
    ) -> KStream[K, V2]:
        """Run a `Processor` of your own that leaves keys as they are, so that nothing is repartitioned.

        It may forward as many records as it likes for the one in hand, under its key; another key is an
        error of that record. A punctuation has no record in hand, so it cannot forward: use `process`.

        Args:
            supplier: makes a processor, usually its class; a new one for each task.
            stores: the stores that it asks its context for; see `process`.
            name: display name.
            value: serde of the values that it forwards.
        """
        _check_processor(supplier, stores, "process_values")
        node = self._graph.add(
            ProcessValues,
            "process-values",
            name,
            parents=(self.node,),
            supplier=supplier,
            declared_stores=tuple(store.spec() for store in stores),
        )
        return self._stream(node, self.key_serde, resolve(value, None, "process_values"))

    def to(
        self,
        topic: str | Callable[[K, V], str],
        *,
        partitioner: Callable[[str, K, V, int], int] | None = None,
        key: SerdeLike | None = None,
        value: SerdeLike | None = None,
    ) -> None:
        """Write the records to a topic, at their timestamps and with their headers.

        Args:
            topic: a name, or `topic(key, value)` to choose one for each record.
            partitioner: `partitioner(topic, key, value, partitions)` returns a record's partition, of so
                many; by the key's bytes unless told, as Kafka's Java client does (without a key, any).
            key: serde of the key, if it is not known already (UTF-8 strings after a key change).
            value: serde of the value, if it is not known already.
        """
        if isinstance(topic, str):
            check_topic_name(topic, f"to at {declaration_site()}: topic")
        elif not callable(topic):
            raise TopologyError(
                f"to at {declaration_site()} takes a topic's name or a function, not {topic!r}"
            )
        keys = key_serde(key, self.key_serde, "to")
        values = known(resolve(value, self.value_serde, "to"), "to", "value")
        self._then(Sink, "sink", topic=topic, key=keys, value=values, partitioner=partitioner)


def _check_processor(supplier: object, stores: tuple[object, ...], operator: str) -> None:
    for store in stores:
        expect(store, DeclaredStore, operator, "stores such as Store('name') after the supplier")
    if isinstance(supplier, type) and not issubclass(supplier, Processor):
        raise TopologyError(
            f"{operator} at {declaration_site()}: {describe_function(supplier)} is no Processor: derive it "
            "from one"
        )
