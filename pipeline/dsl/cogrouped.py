"""Several grouped streams folded into one table, each by its own aggregator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack, overload

from pipeline.dsl.aggregation import Grouping, windowed
from pipeline.dsl.functions import check_function
from pipeline.dsl.graph import expect
from pipeline.dsl.options import StoreOptions
from pipeline.dsl.table import KTable, WindowedKTable
from pipeline.errors import TopologyError
from pipeline.serde import SerdeLike
from pipeline.topology import declaration_site
from pipeline.windows import SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows, Windows

if TYPE_CHECKING:
    from pipeline.dsl.grouped import KGroupedStream

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class _Cogrouped(Generic[K, A]):
    def __init__(self, grouping: Grouping, aggregators: tuple[Callable[[Any, Any, Any], Any], ...]) -> None:
        self._grouping, self._aggregators = grouping, aggregators


class CogroupedKStream(_Cogrouped[K, A]):
    """Streams grouped by the same key, which are folded into one table.

    ```
    clicks  k:c@1 ------------ k:c@3
    views   ------- k:v@2 ----------        one aggregate of k: 0+c, 0+c+v, 0+c+v+c
    ```
    """

    def cogroup(self, grouped: KGroupedStream[K, V], aggregator: Callable[[K, V, A], A | None]) -> Self:
        """Add another stream, with what adds one of its values: `aggregator(key, value, so_far)`.

        Streams whose key changed each go through a repartition topic of their own; topics of the others
        must have equal partition counts.

        Raises:
            TopologyError: its keys are encoded otherwise than those of the first: none would be equal; the
                aggregator cannot be called as it will be.
        """
        expect(
            getattr(grouped, "grouping", grouped),
            Grouping,
            "cogroup",
            "a grouped stream, as group_by_key() returns",
        )
        check_function(aggregator, "aggregator", f"cogroup at {declaration_site()}")
        first, other = self._grouping.keyed[0].key, grouped.grouping.keyed[0].key
        if first.name != other.name:
            raise TopologyError(
                f"cogroup at {declaration_site()}: keys of the first stream are {first.name}, those of this "
                f"one are {other.name}: no key would be equal; give both the same key="
            )
        return type(self)(self._grouping.with_input(grouped.grouping), (*self._aggregators, aggregator))

    @overload
    def windowed_by(self, windows: SessionWindows) -> SessionWindowedCogroupedKStream[K, A]: ...

    @overload
    def windowed_by(
        self, windows: TimeWindows | SlidingWindows | UnlimitedWindows
    ) -> TimeWindowedCogroupedKStream[K, A]: ...

    def windowed_by(
        self, windows: Windows
    ) -> SessionWindowedCogroupedKStream[K, A] | TimeWindowedCogroupedKStream[K, A]:
        """Group by key and window; see `KGroupedStream.windowed_by`.

        Whether a record is late is judged by the time of its own stream (Kafka Streams does so, too), as far
        back as the table's retention goes.

        Raises:
            TopologyError: `windows` are no windows.
        """
        grouping = windowed(self._grouping, windows)
        if isinstance(windows, SessionWindows):
            return SessionWindowedCogroupedKStream(grouping, self._aggregators)
        return TimeWindowedCogroupedKStream(grouping, self._aggregators)

    def aggregate(
        self,
        initializer: Callable[[], A],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, A]:
        """Fold the values of each key, of whichever stream; see `KGroupedStream.aggregate`."""
        return KTable(*self._grouping.aggregate(initializer, self._aggregators, None, name, value, store))


class TimeWindowedCogroupedKStream(_Cogrouped[K, A]):
    """Streams grouped by the same key and by tumbling, hopping, sliding or unlimited windows."""

    def aggregate(
        self,
        initializer: Callable[[], A],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> WindowedKTable[K, A]:
        """Fold the values of each key and window; see `KGroupedStream.aggregate`."""
        return WindowedKTable(
            *self._grouping.aggregate(initializer, self._aggregators, None, name, value, store)
        )


class SessionWindowedCogroupedKStream(_Cogrouped[K, A]):
    """Streams grouped by the same key and session: a record of either goes on with a session."""

    def aggregate(
        self,
        initializer: Callable[[], A],
        merger: Callable[[K, A, A], A],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> WindowedKTable[K, A]:
        """Fold the values of each key and session; see `SessionWindowedKStream.aggregate`."""
        return WindowedKTable(
            *self._grouping.aggregate(initializer, self._aggregators, merger, name, value, store)
        )
