"""Tables that agents read and write as dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from pipeline.absent import Absent, instead
from pipeline.actors.models import REVIVED, table_key_serde_of, value_serde_of
from pipeline.agents.scope import current_runner, current_scope, in_agent
from pipeline.errors import OutsideAgentError, TopologyError
from pipeline.runtime.queries import Queries, StoreRegistry
from pipeline.topology import StoreSpec, check_topic_name, declaration_site
from pipeline.windows import Duration

if TYPE_CHECKING:
    from pipeline.actors.window_table import WindowedTable

K = TypeVar("K")
V = TypeVar("V")

_MISSING: Any = object()


class StoreOwner(Protocol):
    """What a table needs of its application."""

    @property
    def store_registry(self) -> StoreRegistry:
        """The stores of this process's worker.

        Raises:
            OutsideAgentError: no worker runs.
        """
        ...


class Table(Absent, MutableMapping[K, V], Generic[K, V]):
    """A dictionary in a state store with a changelog, partitioned as the topics of its agents are.

    In an agent's code it is the part that belongs to the agent's task, uncommitted changes included;
    elsewhere, as in a view, what this worker holds and has committed, for reading. A value that is
    changed in place must be put again: `table[key] = value`.

    Args:
        owner: the application.
        name: names the store, its changelog and its HTTP view.
        default: makes the value of a key that is not there; None: such a key is a KeyError.
        key_type: of the keys; None: any JSON type.
        value_type: of the values; None: any JSON.
        on_recover: called, async or not, in each task that uses the table when the task begins: its part is
            restored by then. It may read and change it, and send; the task takes no record before it returns.
        on_window_close: of a table with windows: `(key, value)`, async or not, called once with each window
            when it closes; see `WindowedTable`.
        help: what it is for, as `faust tables` shows it.

    Raises:
        TopologyError: its name or a type cannot be used.
    """

    INSTEAD: ClassVar[Mapping[str, str]] = instead(
        combine__join__inner_join__left_join__outer_join=("join tables of the DSL: app.table(...).join(...)"),
        changelog_topic__changelog_topic_name__send_changelog="`faust describe` names the changelog",
        apply_changelog_batch__on_changelog_event__raw_update__on_rebalance__on_recovery_completed__call_recover_callbacks=(
            "the engine restores tables; on_recover hears of it"
        ),
        need_active_standby_for__persisted_offset="App(standby_replicas=) keeps copies",
        reset_state="run `faust reset`",
        partition_for_key="@app.table_route finds the worker that has a key",
        on_key_get__on_key_set__on_key_del__on_clear="do it where the table is changed",
        as_ansitable="ask GET /stores/<name>",
        clone__contribute_to_stream__remove_from_stream__info="a table is declared once: app.Table(...)",
        copy__fromkeys="make a dictionary: dict(table.items())",
        data="ask GET /stores/<name>, or iterate over items()",
        WindowWrapper="annotate with pipeline.actors.window_table.WindowedTable",
    )

    #: Whether it is whole on every worker.
    is_global: ClassVar[bool] = False
    #: Why it can have no windows, and what to use instead; None: it can.
    windowless: ClassVar[str | None] = None

    def __init__(
        self,
        owner: StoreOwner,
        name: str,
        *,
        default: Callable[[], V] | None = None,
        key_type: Any = None,
        value_type: Any = None,
        on_recover: Callable[[], Any] | None = None,
        on_window_close: Callable[[Any, Any], Any] | None = None,
        help: str = "",  # noqa: A002 - Faust's name for it
    ) -> None:
        self.site = declaration_site()
        check_topic_name(name, f"table at {self.site}: name")
        if default is not None and not callable(default):
            raise TopologyError(
                f"table {name!r} at {self.site}: default= makes a value, as int does; it is {default!r}"
            )
        self.name, self.help, self.default = name, help, default
        #: What errors call it.
        self.label = f"table {name!r}"
        self.spec = StoreSpec(
            name, "key-value", table_key_serde_of(key_type), value_serde_of(value_type, REVIVED)
        )
        self.recover_callbacks = [] if on_recover is None else [on_recover]
        self.window_closed = on_window_close
        #: It has windows: its view at event time.
        self.windowed: WindowedTable | None = None
        for parameter, function in (("on_recover", on_recover), ("on_window_close", on_window_close)):
            if function is not None and not callable(function):
                raise TopologyError(
                    f"table {name!r} at {self.site}: {parameter}= is called: {function!r} cannot"
                )
        self.owner = owner

    @property
    def callbacks(self) -> tuple[Callable[..., Any], ...]:
        """The user's functions that the table calls."""
        return (*self.recover_callbacks, *filter(None, (self.window_closed,)))

    def tumbling(
        self,
        size: Duration,
        expires: Duration | None = None,
        key_index: bool = False,  # noqa: FBT001, FBT002 - Faust's
    ) -> WindowedTable:
        """Return the table with windows that follow one another.

        Args:
            size: of a window: a timedelta, or seconds.
            expires: how long after its end a window can be changed; a day unless told.
            key_index: Faust's; the keys of a window can be iterated without.

        Raises:
            TopologyError: a duration is not positive, or finer than a millisecond; or the table has other
                windows already, or is of a kind that has none.
        """
        return self.hopping(size, size, expires, key_index)

    def hopping(
        self,
        size: Duration,
        step: Duration,
        expires: Duration | None = None,
        key_index: bool = False,  # noqa: FBT001, FBT002 - Faust's
    ) -> WindowedTable:
        """Return the table with windows that overlap: one begins every `step`; see `tumbling`."""
        from pipeline.actors.window_table import WindowedTable, windowed  # noqa: PLC0415 - made of one another

        del key_index
        if self.windowless is not None:
            raise TopologyError(f"table {self.name!r} at {self.site}: {self.windowless}")
        spec, windows = windowed(self, size, step, expires)
        if self.windowed is not None and self.windowed.windows != windows:
            raise TopologyError(
                f"table {self.name!r} at {declaration_site()} has other windows already: declare another"
            )
        self.spec, self.windowed = spec, WindowedTable(self, windows)
        return self.windowed

    def using_window(self, window: Any, *, key_index: bool = False) -> WindowedTable:
        """Return the table with windows as Faust's `TumblingWindow` or `HoppingWindow` has them.

        Args:
            window: its `size`, `step` and `expires` (None: a day) count, in seconds.
            key_index: as of `tumbling`.

        Raises:
            TopologyError: its windows are of another kind, or a duration cannot be used.
        """
        if not hasattr(window, "step"):
            raise TopologyError(
                f"table {self.name!r} at {self.site} takes tumbling and hopping windows, not {window!r}: "
                "sliding and session windows are the DSL's: stream.group_by(...).windowed_by(sliding(...))"
            )
        # Faust's windows have 0 where they never expire.
        return self.hopping(window.size, window.step, window.expires or None, key_index)

    def on_recover(self, callback: Callable[[], Any]) -> Callable[[], Any]:
        """Have a function called when a task has its part of the table: a decorator; see `on_recover=`."""
        self.recover_callbacks.append(callback)
        return callback

    def __getitem__(self, key: K) -> V:
        value: V | None = self._found(key)
        return self.__missing__(key) if value is None else value

    def __missing__(self, key: K) -> V:
        if self.default is None:
            raise KeyError(key)
        return self.default()

    def __setitem__(self, key: K, value: V) -> None:
        if value is None:
            raise TopologyError(f"table {self.name!r}: None is no value; del removes a key")
        self._put(key, value)

    def __delitem__(self, key: K) -> None:
        if self._store.get(key) is None:
            raise KeyError(key)
        self._put(key, None)

    def __contains__(self, key: object) -> bool:
        return self._found(key) is not None

    def get(self, key: K, default: Any = None) -> Any:
        """Return the value under `key`, else `default`; the table's own default is not asked."""
        found = self._found(key)
        return default if found is None else found

    def pop(self, key: K, default: Any = _MISSING) -> Any:
        """Remove a key and return its value, else `default`.

        Raises:
            KeyError: it is not there, and no default was given.
        """
        found = self._store.get(key)
        if found is None:
            if default is _MISSING:
                raise KeyError(key)
            return default
        self._put(key, None)
        return found

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value under `key`; if there is none, put `default` (or what the table's makes)."""
        found = self._store.get(key)
        if found is None:
            found = self.__missing__(key) if default is None else default
            self._put(key, found)
        return found

    def __iter__(self) -> Iterator[K]:
        return (key for key, _value in self._items())

    def items(self) -> Any:
        """Return the keys and values of the task, or, outside of agents, of this worker; in key order."""
        return _Items(self._items, self.__len__)

    def __len__(self) -> int:
        """The number of keys of the task, or of this worker. It reads them all."""
        return sum(1 for _item in self._items())

    def clear(self) -> None:
        """Remove all keys of the task."""
        for key in list(self):
            self._put(key, None)

    def _items(self) -> Iterator[tuple[K, V]]:
        if in_agent():
            yield from self._store.all()
            return
        for store in self.owner.store_registry.open(self.name).values():
            for key, entry in store.committed_scan():
                yield self.spec.key.deserialize(key), entry.value

    @property
    def _store(self) -> Any:
        return current_scope(self.label).stores[self.name]

    def _put(self, key: K, value: Any) -> None:
        runner = current_runner()
        if runner is None or not runner.events:
            # It is said what is wrong outside of agents.
            current_scope(self.label)
            raise OutsideAgentError(f"{self.label} can be changed only with an event in hand")
        runner.scope.stores[self.name].put(key, value, runner.events[-1].timestamp)

    def _found(self, key: Any) -> Any:
        runner = current_runner()
        if runner is not None:
            return runner.scope.stores[self.name].get(key)
        found = Queries(self.owner.store_registry).get(self.spec, key)
        return None if found is None else found.value

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name} ({self.site})>"

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class _Items:
    """A view of keys and values, read anew each time."""

    def __init__(self, items: Callable[[], Iterable[tuple[Any, Any]]], length: Callable[[], int]) -> None:
        self._items, self._length = items, length

    def __len__(self) -> int:
        return self._length()

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(self._items())
