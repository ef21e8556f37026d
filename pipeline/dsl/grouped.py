"""Grouped streams: what comes between grouping and the aggregate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Generic, TypeVar, Unpack, overload

from pipeline.dsl.aggregation import Grouping, windowed
from pipeline.dsl.cogrouped import CogroupedKStream
from pipeline.dsl.elsewhere import OF_A_GROUP, Elsewhere
from pipeline.dsl.functions import check_function
from pipeline.dsl.options import StoreOptions
from pipeline.dsl.table import KTable
from pipeline.dsl.windowed import SessionWindowedKStream, TimeWindowedKStream
from pipeline.serde import SerdeLike
from pipeline.topology import declaration_site
from pipeline.windows import SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows, Windows

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class KGroupedStream(Elsewhere, Generic[K, V]):
    """A stream grouped by key: aggregate it into a table, or window it first.

    Attributes:
        grouping: what is declared so far.
    """

    ELSEWHERE: ClassVar[Mapping[str, str]] = OF_A_GROUP

    def __init__(self, grouping: Grouping) -> None:
        self.grouping = grouping

    @overload
    def windowed_by(self, windows: SessionWindows) -> SessionWindowedKStream[K, V]: ...

    @overload
    def windowed_by(
        self, windows: TimeWindows | SlidingWindows | UnlimitedWindows
    ) -> TimeWindowedKStream[K, V]: ...

    def windowed_by(self, windows: Windows) -> SessionWindowedKStream[K, V] | TimeWindowedKStream[K, V]:
        """Group by key and window, such as `tumbling(timedelta(minutes=1), grace=...)`.

        Raises:
            TopologyError: `windows` is not what `tumbling`, `hopping`, `sliding`, `session` or
                `unlimited` returns.
        """
        grouping = windowed(self.grouping, windows)
        if isinstance(windows, SessionWindows):
            return SessionWindowedKStream(grouping)
        return TimeWindowedKStream(grouping)

    def count(self, *, name: str | None = None, **store: Unpack[StoreOptions]) -> KTable[K, int]:
        """Count the records of each key. Null keys and null values don't count.

        Args:
            name: required: names the store and its changelog.
            store: see `StoreOptions`.
        """
        return KTable(*self.grouping.count(name, store))

    def reduce(
        self,
        reducer: Callable[[V, V], V | None],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, V]:
        """Combine the values of each key; the first value is the start.

        Args:
            reducer: `reducer(so_far, new)` returns the new result; None deletes it.
            name: required: names the store and its changelog.
            value: serde of the result, if it is not that of the values.
            store: see `StoreOptions`.
        """
        return KTable(*self.grouping.reduce(reducer, name, value, store))

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A | None],
        *,
        name: str | None = None,
        value: SerdeLike | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, A]:
        """Fold the values of each key: `aggregator(key, value, so_far)` returns the new aggregate.

        An aggregate that becomes None is deleted. The aggregator may change the aggregate it is
        given and return it, as its last act: if it raises after a change, the change stays.

        Args:
            initializer: makes the aggregate of a key not seen before.
            aggregator: adds one value.
            name: required: names the store and its changelog.
            value: required: serde of the aggregate.
            store: see `StoreOptions`.
        """
        return KTable(*self.grouping.aggregate(initializer, (aggregator,), None, name, value, store))

    def cogroup(self, aggregator: Callable[[K, V, A], A | None]) -> CogroupedKStream[K, A]:
        """Fold this stream and others into one table, each by its own aggregator.

        `clicks.cogroup(add_click).cogroup(views, add_view).aggregate(dict, name="activity", value=dict)`.
        """
        check_function(aggregator, "aggregator", f"cogroup at {declaration_site()}")
        return CogroupedKStream(self.grouping, (aggregator,))
