"""Windowed tables: for each key a value for each window, as agents read and change them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Literal, TypeAlias

from pipeline.absent import Absent, instead
from pipeline.actors.table import Table
from pipeline.agents.scope import current_event, current_runner, current_scope, in_agent
from pipeline.agents.stream import Event
from pipeline.clock import SystemClock
from pipeline.errors import OutsideAgentError, TopologyError
from pipeline.record import NO_HEADERS
from pipeline.runtime.queries import Queries
from pipeline.serde import BYTES
from pipeline.topology import StoreSpec, WindowClosing, declaration_site
from pipeline.windows import Duration, TimeWindows, as_timedelta, milliseconds

#: Returns the moment, in ms, whose windows are meant; the event is None outside of agents.
RelativeTo: TypeAlias = Callable[[Event[Any] | None], int]

#: How long a window can be changed after its end, unless told: nothing is kept for ever.
EXPIRES: Final = timedelta(days=1)


class WindowedTable(Absent):
    """A table with windows: `table[key]` is a `WindowSet`. Made by `Table.tumbling` and `Table.hopping`.

    ```
    hopping(10, 5)   |0--------10|
                          |5--------15|        table[key] += 1 at 7 changes both windows,
                       ^7                      table[key].current() is that of 5 to 15
    ```

    ```
    tumbling(10, expires=5)   |0--------10|    |       changes up to time 14
                                              15       closed: on_window_close((key, (0.0, 10.0)), value)
    ```

    `on_window_close` is called once for each key and window, whichever record lets time come so far, in the
    scope of the first agent that uses the table; it may send, and change tables (a closed window not any
    more); what it raises goes where `on_processing_error` says. Time is the largest of the events that the
    agents of the task take, in event time; with `relative_to_field` that of changes of the table, with
    `relative_to_now` the clock's when an event comes. Without events it goes on if `source_idle` is set.
    An agent that awaits may find that a window has closed meanwhile: `expires` is to cover that.

    Unless told otherwise the windows are those of the time of the event in hand (`relative_to_stream`).

    Args:
        table: the table.
        windows: their size, step, and how long they can be changed after their end.
        relative_to: whose windows are meant.
    """

    INSTEAD: ClassVar[Mapping[str, str]] = instead(
        relative_to="call relative_to_now(), relative_to_stream() or relative_to_field(...)",
        get_timestamp__get_relative_timestamp="call time(), which is in ms",
        on_set_key__on_del_key="do it where the table is changed",
        as_ansitable="ask GET /stores/<name>",
        clone__contribute_to_stream__remove_from_stream__info="a table is declared once: app.Table(...)",
    )

    def __init__(
        self, table: Table[Any, Any], windows: TimeWindows, relative_to: RelativeTo | None = None
    ) -> None:
        self.table, self.name, self.windows = table, table.name, windows
        self._relative_to = relative_to or _event_time

    def on_recover(self, callback: Callable[[], Any]) -> Callable[[], Any]:
        """Have a function called when a task has its part: a decorator; see `Table.on_recover`."""
        return self.table.on_recover(callback)

    def relative_to_stream(self) -> WindowedTable:
        """Return the same table, read at the time of the event in hand."""
        return WindowedTable(self.table, self.windows, _event_time)

    def relative_to_now(self) -> WindowedTable:
        """Return the same table, read at the worker's clock."""
        return WindowedTable(self.table, self.windows, _now)

    def relative_to_field(self, field: Any) -> WindowedTable:
        """Return the same table, read at a time that the event in hand holds.

        Args:
            field: a model's field, or a function of the value: a datetime, seconds since the epoch, or text
                in ISO 8601.
        """
        read: Callable[[Any], Any] = getattr(field, "getattr", field)

        def field_time(event: Event[Any] | None) -> int:
            return _milliseconds_of(read(_present(event).value))

        return WindowedTable(self.table, self.windows, field_time)

    def time(self, event: Event[Any] | None = None) -> int:
        """Return the moment whose windows are meant, in ms."""
        return self._relative_to(event or current_event())

    @property
    def time_from(self) -> Literal["event", "change", "clock"]:
        """What carries its time."""
        return _TIMES.get(self._relative_to, "change")

    def __getitem__(self, key: Any) -> WindowSet:
        return WindowSet(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        # `table[key] += 1` has changed the windows by now, and assigns what it returned.
        if not isinstance(value, WindowSet):
            self.change(key, _assigned, value)

    def __delitem__(self, key: Any) -> None:
        self.change(key, _assigned, None)

    def __contains__(self, key: Any) -> bool:
        return self.at(key, self.time()) is not None

    def __iter__(self) -> Iterator[Any]:
        return self.keys()

    def keys(self) -> Iterator[Any]:
        """Iterate the keys that have a value in the current window."""
        return (key for key, _value in self.items())

    def values(self, event: Event[Any] | None = None) -> Iterator[Any]:
        """Iterate the values of the current window, of an event's unless it is that of the one in hand."""
        return (value for _key, value in self.items(event))

    def items(self, event: Event[Any] | None = None) -> Iterator[tuple[Any, Any]]:
        """Iterate the keys and values of the current window; see `values`."""
        start = self.start(self.time(event))
        if in_agent():
            for windowed, value in self._store.all(start, start):
                yield windowed.key, value
            return
        for store in self.table.owner.store_registry.open(self.name).values():
            for key, begin, entry in store.committed_scan():
                if begin == start:
                    yield self.table.spec.key.deserialize(key), entry.value

    def start(self, time_ms: int) -> int:
        """Return the start of the last window that holds a moment."""
        return time_ms - time_ms % self.windows.advance_ms

    def at(self, key: Any, time_ms: int) -> Any:
        """Return the value of the last window that holds a moment, None if there is none."""
        start = self.start(time_ms)
        if in_agent():
            return self._store.fetch(key, start)
        found = Queries(self.table.owner.store_registry).windows(self.table.spec, key, start, start, 1)
        return found[0][1].value if found else None

    def change(
        self, key: Any, function: Callable[[Any, Any], Any], operand: Any, *, defaults: bool = False
    ) -> None:
        """Change the value of every window that is meant, unless it expired, to `function(value, operand)`.

        Args:
            key: the key.
            function: is given None for a window without a value.
            operand: its second argument.
            defaults: whether it is given the table's default instead.

        Raises:
            KeyError: there is no value, and the table has no default.
        """
        runner = current_runner()
        scope = current_scope(self.table.label) if runner is None else runner.scope
        event = runner.events[-1] if runner is not None and runner.events else None
        time_ms = self._relative_to(event)
        timestamp = time_ms if event is None else event.timestamp
        store, closing = scope.stores[self.name], scope.closings.get(self.name)
        if closing is not None:
            closing.pass_to(time_ms)
        key_bytes = store.key_serde.serialize(key)
        for start in self.windows.starts(time_ms):
            entry = store.get_entry(key_bytes, start)
            if closing is not None:
                if not closing.takes(start):
                    scope.drop("late: the window has closed")
                    continue
                if entry is None:
                    closing.opened(key_bytes, start, timestamp)
            old = None if entry is None else entry.value
            if old is None and defaults:
                old = self.table.__missing__(key)
            if not store.put_entry(key_bytes, start, function(old, operand), timestamp, NO_HEADERS):
                scope.drop("late: the window has expired")

    @property
    def _store(self) -> Any:
        return current_scope(self.table.label).stores[self.name]


class WindowSet:
    """The windows of one key.

    Args:
        table: whose.
        key: the key.
    """

    __slots__ = ("_table", "key")

    def __init__(self, table: WindowedTable, key: Any) -> None:
        self._table, self.key = table, key

    def value(self, event: Event[Any] | None = None) -> Any:
        """Return the value of the window that the table's time is in.

        Raises:
            KeyError: there is none, and the table has no default.
        """
        return self._at(self._table.time(event))

    def current(self, event: Event[Any] | None = None) -> Any:
        """Return the value of the window that the event in hand is in."""
        return self._at(_event_time(event or current_event()))

    def now(self) -> Any:
        """Return the value of the window that the worker's clock is in."""
        return self._at(_now(None))

    def delta(self, ago: Duration, event: Event[Any] | None = None) -> Any:
        """Return the value of the window so long before the table's time."""
        return self._at(self._table.time(event) - milliseconds(as_timedelta(ago), "delta"))

    def _at(self, time_ms: int) -> Any:
        found = self._table.at(self.key, time_ms)
        return self._table.table.__missing__(self.key) if found is None else found

    def apply(self, function: Callable[[Any, Any], Any], operand: Any) -> WindowSet:
        """Change each window's value to `function(value, operand)`."""
        self._table.change(self.key, function, operand, defaults=True)
        return self

    def __iadd__(self, other: Any) -> WindowSet:  # noqa: PYI034 - what is assigned is the same set
        # What most windows are changed by: `apply`, without its Python call.
        self._table.change(self.key, operator.add, other, defaults=True)
        return self

    def __isub__(self, other: Any) -> WindowSet:  # noqa: PYI034
        return self.apply(operator.sub, other)

    def __imul__(self, other: Any) -> WindowSet:  # noqa: PYI034
        return self.apply(operator.mul, other)

    def __itruediv__(self, other: Any) -> WindowSet:  # noqa: PYI034
        return self.apply(operator.truediv, other)

    def __ifloordiv__(self, other: Any) -> WindowSet:  # noqa: PYI034
        return self.apply(operator.floordiv, other)

    def __imod__(self, other: Any) -> WindowSet:  # noqa: PYI034
        return self.apply(operator.mod, other)

    def __ipow__(self, other: Any) -> WindowSet:  # noqa: PYI034
        return self.apply(operator.pow, other)

    def __ior__(self, other: Any) -> WindowSet:  # noqa: PYI034
        return self.apply(operator.or_, other)

    def __iand__(self, other: Any) -> WindowSet:  # noqa: PYI034
        return self.apply(operator.and_, other)

    def __ixor__(self, other: Any) -> WindowSet:  # noqa: PYI034
        return self.apply(operator.xor, other)


def windowed(
    table: Table[Any, Any], size: Duration, step: Duration, expires: Duration | None
) -> tuple[StoreSpec, TimeWindows]:
    """Return the store of a table with windows, and the windows.

    Raises:
        TopologyError: a duration is not positive, or finer than a millisecond; a step exceeds the size.
    """
    try:
        given = (("size", size), ("step", step), ("expires", EXPIRES if expires is None else expires))
        size_ms, step_ms, expires_ms = (milliseconds(as_timedelta(each), name) for name, each in given)
        windows = TimeWindows(size_ms, expires_ms, step_ms)
    except (TypeError, ValueError) as error:
        raise TopologyError(f"table {table.name!r} at {declaration_site()}: {error}") from error
    spec = StoreSpec(
        table.name,
        "window",
        table.spec.key,
        table.spec.value,
        retention_ms=size_ms + expires_ms,
        window_size_ms=size_ms,
    )
    return spec, windows


def closing_of(table: object) -> WindowClosing | None:
    """Return what is called when windows of a table close; None if nothing is.

    Raises:
        TopologyError: it has no windows.
    """
    if not isinstance(table, WindowedTable):
        if isinstance(table, Table) and table.window_closed is not None:
            raise TopologyError(
                f"table {table.name!r} at {table.site} has no windows for on_window_close= to close: "
                "use what its .tumbling(...) or .hopping(...) returns"
            )
        return None
    if table.table.window_closed is None:
        return None
    waiting = StoreSpec(f"{table.name}-closing", "key-value", BYTES, BYTES, ordered=True, queryable=False)
    return WindowClosing(table.name, waiting, table.windows, table.table.window_closed, table.time_from)


def _assigned(_old: Any, value: Any) -> Any:
    return value


def _event_time(event: Event[Any] | None) -> int:
    return event.timestamp if event is not None else _present(event).timestamp


def _now(_event: Event[Any] | None) -> int:
    return current_scope("the worker's clock").now_ms if in_agent() else SystemClock().now_ms()


_TIMES: Final[dict[RelativeTo, Literal["event", "clock"]]] = {_event_time: "event", _now: "clock"}


def _present(event: Event[Any] | None) -> Event[Any]:
    if event is None:
        raise OutsideAgentError(
            "there is no event in hand whose time could say which window is meant: use .now(), or "
            "relative_to_now()"
        )
    return event


def _milliseconds_of(time: Any) -> int:
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    if isinstance(time, datetime):
        time = time.timestamp()
    return round(float(time) * 1_000)
