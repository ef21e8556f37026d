"""What a stream can be joined with: another stream within a window of time, a table, a global table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload

from pipeline.dsl.base import StreamBase
from pipeline.dsl.global_table import GlobalKTable, declare_global_join
from pipeline.dsl.graph import key_serde, resolve
from pipeline.dsl.joins import declare_stream_join, declare_table_join
from pipeline.dsl.table import KTable
from pipeline.errors import TopologyError
from pipeline.serde import SerdeLike
from pipeline.topology import declaration_site

if TYPE_CHECKING:
    from pipeline.dsl.stream import KStream

K = TypeVar("K")
V = TypeVar("V")
V2 = TypeVar("V2")
VR = TypeVar("VR")
GK = TypeVar("GK")


class JoinOperators(StreamBase[K, V]):
    """Operators of `KStream` that pair its records with others."""

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
        grace: timedelta | None = ...,
        name: str | None = ...,
        value: SerdeLike | None = ...,
    ) -> KStream[K, VR]: ...

    @overload
    def join(
        self,
        other: GlobalKTable[GK, V2],
        joiner: Callable[[K, V, V2], VR],
        *,
        key_mapper: Callable[[K, V], GK | None],
        name: str | None = ...,
        value: SerdeLike | None = ...,
    ) -> KStream[K, VR]: ...

    def join(
        self,
        other: KStream[K, V2] | KTable[K, V2] | GlobalKTable[Any, V2],
        joiner: Callable[[K, V, V2], VR],
        *,
        within: timedelta | tuple[timedelta, timedelta] | None = None,
        grace: timedelta | None = None,
        key_mapper: Callable[[K, V], Any] | None = None,
        name: str | None = None,
        value: SerdeLike | None = None,
    ) -> KStream[K, VR]:
        """Pair records by key: with another stream within a window of time, or with a table.

        With a stream, each pair whose times lie within the window comes out once, at the later of
        both times. With a table, each stream record meets the table's value at that moment, or, if the
        table has `history=`, the value that was valid at the record's time; it comes out at its own time.
        With a global table likewise, under the key that `key_mapper` returns.

        Args:
            other: a stream or a table, partitioned alike (checked at start); or a global table.
            joiner: `joiner(key, left, right)` returns the value of the pair.
            within: streams only, required: how far apart, or (before, after) for the right side.
            grace: with a stream, how late a record may come and still be joined; 0 unless told. With a
                table, which must have at least that much `history=`: how long, in stream time, a record
                waits for rows of the table that come late; it does not wait unless told.
            key_mapper: global tables only, required: `key_mapper(key, value)` returns the key of the row,
                None for no row.
            name: required with streams (names both stores) and with a table and grace (names the store
                in which records wait); else needed only if an operator before changed the key.
            value: serde of the result, where a topic or store needs it.
        """
        return self._join(other, joiner, within, grace, key_mapper, name, value, "join")

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
        grace: timedelta | None = ...,
        name: str | None = ...,
        value: SerdeLike | None = ...,
    ) -> KStream[K, VR]: ...

    @overload
    def left_join(
        self,
        other: GlobalKTable[GK, V2],
        joiner: Callable[[K, V, V2 | None], VR],
        *,
        key_mapper: Callable[[K, V], GK | None],
        name: str | None = ...,
        value: SerdeLike | None = ...,
    ) -> KStream[K, VR]: ...

    def left_join(
        self,
        other: KStream[K, V2] | KTable[K, V2] | GlobalKTable[Any, V2],
        joiner: Callable[[K, V, V2 | None], VR],
        *,
        within: timedelta | tuple[timedelta, timedelta] | None = None,
        grace: timedelta | None = None,
        key_mapper: Callable[[K, V], Any] | None = None,
        name: str | None = None,
        value: SerdeLike | None = None,
    ) -> KStream[K, VR]:
        """Like `join`, but a left record without a partner comes out too, with None for the right.

        With a stream, it comes out when its window has closed: when stream time passes the end of
        the window plus grace, at its own time. With a global table, that holds for a record without
        a table key, too.
        """
        return self._join(other, joiner, within, grace, key_mapper, name, value, "left_join")

    def outer_join(
        self,
        other: KStream[K, V2],
        joiner: Callable[[K, V | None, V2 | None], VR],
        *,
        within: timedelta | tuple[timedelta, timedelta] | None = None,
        grace: timedelta | None = None,
        name: str | None = None,
        value: SerdeLike | None = None,
    ) -> KStream[K, VR]:
        """Like `left_join` with a stream, but a right record without a partner comes out too.

        `joiner` gets None for the side that is missing. A record comes out alone when its window has
        closed, and at once if it has no key.
        """
        return self._join(other, joiner, within, grace, None, name, value, "outer_join")

    def _join(
        self,
        other: KStream[K, Any] | KTable[K, Any] | GlobalKTable[Any, Any],
        joiner: Callable[[K, Any, Any], VR],
        within: timedelta | tuple[timedelta, timedelta] | None,
        grace: timedelta | None,
        key_mapper: Callable[[K, V], Any] | None,
        name: str | None,
        value: SerdeLike | None,
        operator: str,
    ) -> KStream[K, VR]:
        result = resolve(value, None, operator)
        if isinstance(other, GlobalKTable):
            if within is not None or grace is not None:
                raise TopologyError(
                    f"{operator} at {declaration_site()}: a global table takes no within= or grace="
                )
            node = declare_global_join(self._graph, self.node, other, key_mapper, joiner, name, operator)
            return self._stream(node, self.key_serde, result)
        if key_mapper is not None:
            raise TopologyError(f"{operator} at {declaration_site()}: key_mapper= is for global tables")
        keys = key_serde(None, self.key_serde, operator)
        if isinstance(other, KTable):
            side = (self.node, keys, self.value_serde)
            node = declare_table_join(self._graph, side, other, joiner, (within, grace), name, operator)
        elif not isinstance(other, StreamBase):
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
                operator,
            )
        return self._stream(node, keys, result)
