"""KStream: what a user chains operators on.

Every method declares one node, or two, and returns a new stream; nothing runs. Functions take the
key first. A name is required wherever it names state or a topic: from a counter, it would change
when an operator is added, and the state with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Generic, TypeVar, overload

from pipeline.dsl.graph import Graph, common, key_serde, known, required, resolve
from pipeline.dsl.grouped import KGroupedStream
from pipeline.dsl.joins import declare_stream_join, declare_table_join
from pipeline.dsl.stores import Store
from pipeline.dsl.table import KTable
from pipeline.errors import TopologyError
from pipeline.processor import Processor
from pipeline.serde import Serde, SerdeLike
from pipeline.topology import (
    Branch,
    BranchArm,
    Filter,
    FlatMapValues,
    Keyed,
    Map,
    MapValues,
    Merge,
    Node,
    Peek,
    Process,
    Repartition,
    SelectKey,
    Sink,
    check_topic_name,
    declaration_site,
)

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
V2 = TypeVar("V2")
VR = TypeVar("VR")

_REPARTITION_WHY = "it names the repartition topic"


class KStream(Generic[K, V]):
    """An unbounded sequence of records. Made by `App.stream`, never by hand.

    Attributes:
        node: the node in the topology whose output this is.
        key_serde: how its keys are encoded; None if an operator changed them and nobody said.
        value_serde: how its values are encoded, likewise.
    """

    def __init__(self, graph: Graph, node: Node, key: Serde[Any] | None, value: Serde[Any] | None) -> None:
        self._graph = graph
        self.node = node
        self.key_serde = key
        self.value_serde = value

    def _then(self, type_: type[Node], kind: str, **fields: Any) -> Node:
        return self._graph.add(type_, kind, parents=(self.node,), **fields)

    def _stream(self, node: Node, key: Serde[Any] | None, value: Serde[Any] | None) -> KStream[Any, Any]:
        return KStream(self._graph, node, key, value)

    def filter(self, predicate: Callable[[K, V], bool]) -> KStream[K, V]:
        """Keep the records for which `predicate(key, value)` holds."""
        node = self._then(Filter, "filter", predicate=predicate)
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

    def merge(self, *others: KStream[K, V]) -> KStream[K, V]:
        """Return the records of this stream and the others; no order between streams is promised."""
        streams = (self, *others)
        node = self._graph.add(Merge, "merge", parents=tuple(s.node for s in streams))
        key, value = common(s.key_serde for s in streams), common(s.value_serde for s in streams)
        return self._stream(node, key, value)

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
        *stores: Store,
        name: str | None = None,
        key: SerdeLike | None = None,
        value: SerdeLike | None = None,
    ) -> KStream[K2, V2]:
        """Run a `Processor` of your own; a new one is made for each task.

        It sees records as they are partitioned now: `repartition` first if state by key is meant.

        Args:
            supplier: makes a processor, usually its class.
            stores: the stores that it asks its context for.
            name: display name.
            key: serde of the keys that it forwards.
            value: serde of the values that it forwards.
        """
        node = self._graph.add(
            Process,
            "process",
            name,
            parents=(self.node,),
            supplier=supplier,
            declared_stores=tuple(store.spec() for store in stores),
        )
        return self._stream(node, resolve(key, None, "process"), resolve(value, None, "process"))

    def repartition(
        self,
        *,
        name: str | None = None,
        key: SerdeLike | None = None,
        value: SerdeLike | None = None,
        partitions: int | None = None,
    ) -> KStream[K, V]:
        """Send the records through a topic, so that equal keys meet in one partition.

        Records without a key are dropped there, and counted.

        Args:
            name: required: names the topic `<app>-<name>-repartition`.
            key: serde of the key, if it is not known already.
            value: serde of the value, if it is not known already.
            partitions: of the topic; as many as upstream unless told.
        """
        name = required(name, "repartition", _REPARTITION_WHY)
        check_topic_name(name, f"repartition at {declaration_site()}: name")
        if partitions is not None and partitions < 1:
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
        )
        return self._stream(node, keys, values)

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
        return self.select_key(mapper, key=key).group_by_key(name=name, value=value)

    def group_by_key(
        self, *, name: str | None = None, key: SerdeLike | None = None, value: SerdeLike | None = None
    ) -> KGroupedStream[K, V]:
        """Group by the key as it is.

        Args:
            name: names the repartition topic; needed only if an operator before changed the key.
            key: serde of the key, if it is not known already.
            value: serde of the value, if it is not known already.
        """
        keys = key_serde(key, self.key_serde, "group_by_key")
        values = resolve(value, self.value_serde, "group_by_key")
        return KGroupedStream(self._graph, self.node, Keyed(name, keys, values))

    @overload
    def join(
        self,
        other: KStream[K, V2],
        joiner: Callable[[K, V, V2], VR],
        *,
        within: timedelta | tuple[timedelta, timedelta],
        grace: timedelta = ...,
        name: str | None = ...,
        value: SerdeLike | None = ...,
    ) -> KStream[K, VR]: ...

    @overload
    def join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[K, V, V2], VR],
        *,
        name: str | None = ...,
        value: SerdeLike | None = ...,
    ) -> KStream[K, VR]: ...

    def join(
        self,
        other: KStream[K, V2] | KTable[K, V2],
        joiner: Callable[[K, V, V2], VR],
        *,
        within: timedelta | tuple[timedelta, timedelta] | None = None,
        grace: timedelta = timedelta(0),
        name: str | None = None,
        value: SerdeLike | None = None,
    ) -> KStream[K, VR]:
        """Pair records by key: with another stream within a window of time, or with a table.

        With a stream, each pair whose times lie within the window comes out once, at the later of
        both times. With a table, each stream record meets the table's value at that moment, and
        comes out at its own time.

        Args:
            other: a stream or a table, partitioned alike (checked at start).
            joiner: `joiner(key, left, right)` returns the value of the pair.
            within: streams only, required: how far apart, or (before, after) for the right side.
            grace: streams only: how late a record may come and still be joined.
            name: required with streams (names both stores); with a table, needed only if an
                operator before changed the key.
            value: serde of the result, where a topic or store needs it.
        """
        return self._join(other, joiner, within, grace, name, value, left_outer=False)

    @overload
    def left_join(
        self,
        other: KStream[K, V2],
        joiner: Callable[[K, V, V2 | None], VR],
        *,
        within: timedelta | tuple[timedelta, timedelta],
        grace: timedelta = ...,
        name: str | None = ...,
        value: SerdeLike | None = ...,
    ) -> KStream[K, VR]: ...

    @overload
    def left_join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[K, V, V2 | None], VR],
        *,
        name: str | None = ...,
        value: SerdeLike | None = ...,
    ) -> KStream[K, VR]: ...

    def left_join(
        self,
        other: KStream[K, V2] | KTable[K, V2],
        joiner: Callable[[K, V, V2 | None], VR],
        *,
        within: timedelta | tuple[timedelta, timedelta] | None = None,
        grace: timedelta = timedelta(0),
        name: str | None = None,
        value: SerdeLike | None = None,
    ) -> KStream[K, VR]:
        """Like `join`, but a left record without a partner comes out too, with None for the right.

        With a stream, it comes out when its window has closed: when stream time passes the end of
        the window plus grace, at its own time.
        """
        return self._join(other, joiner, within, grace, name, value, left_outer=True)

    def _join(
        self,
        other: KStream[K, Any] | KTable[K, Any],
        joiner: Callable[[K, V, Any], VR],
        within: timedelta | tuple[timedelta, timedelta] | None,
        grace: timedelta,
        name: str | None,
        value: SerdeLike | None,
        *,
        left_outer: bool,
    ) -> KStream[K, VR]:
        operator = "left_join" if left_outer else "join"
        result = resolve(value, None, operator)
        keys = key_serde(None, self.key_serde, operator)
        if isinstance(other, KTable):
            if within is not None or grace:
                raise TopologyError(f"{operator} at {declaration_site()}: a table takes no within= or grace=")
            side = (self.node, keys, self.value_serde)
            node = declare_table_join(self._graph, side, other, joiner, name, left_outer=left_outer)
        elif not isinstance(other, KStream):
            raise TopologyError(f"{operator} at {declaration_site()} takes a stream or table, not {other!r}")
        else:
            right_keys = key_serde(None, other.key_serde, operator)
            node = declare_stream_join(
                self._graph,
                (self.node, keys, self.value_serde),
                (other.node, right_keys, other.value_serde),
                joiner,
                (within, grace),
                name,
                left_outer=left_outer,
            )
        return self._stream(node, keys, result)

    def to(
        self,
        topic: str | Callable[[K, V], str],
        *,
        key: SerdeLike | None = None,
        value: SerdeLike | None = None,
    ) -> None:
        """Write the records to a topic, at their timestamps and with their headers.

        Args:
            topic: a name, or `topic(key, value)` to choose one for each record.
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
        self._then(Sink, "sink", topic=topic, key=keys, value=values)
