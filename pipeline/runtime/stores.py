"""From a store's declaration to the store."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from pipeline.clock import Clock
from pipeline.config import StreamsConfig
from pipeline.errors import CorruptStoreError, StateError
from pipeline.record import GLOBAL, TaskId
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.provider import StoreProvider
from pipeline.state.session import SessionStore
from pipeline.state.store import BytesStore
from pipeline.state.versioned import VersionedStore
from pipeline.state.window import WindowStore
from pipeline.state.write_behind import WriteBehind
from pipeline.topology import StoreSpec

_log: Final = logging.getLogger(__name__)
#: What a store's position means nothing to is another store: it is never taken for one of its changelog.
_LOGGED, _SOURCE_IS_LOG, UNLOGGED = "", "+source", "+unlogged"


class Engines:
    """Opens the `BytesStore`s that stores are on; one that is damaged is set aside, and begins anew.

    Args:
        provider: where they come from.
        config: how many damaged ones are kept.
        clock: says when one was set aside.
    """

    def __init__(self, provider: StoreProvider, config: StreamsConfig, clock: Clock) -> None:
        self._provider, self._config, self._clock = provider, config, clock

    def of_task(self, task: TaskId, spec: StoreSpec) -> BytesStore:
        """Return a task's, with what it held when it was closed.

        Raises:
            StateError: it cannot be opened; or it is damaged, and nothing is there to restore it from.
        """
        suffix = _LOGGED if spec.logged else _SOURCE_IS_LOG if spec.source_is_log else UNLOGGED
        return self._open(task, f"{spec.name}{suffix}", spec, restorable=suffix != UNLOGGED)

    @contextmanager
    def stores_of_task(
        self, task: TaskId, specs: Iterable[StoreSpec], copies: Mapping[str, BytesStore]
    ) -> Iterator[dict[str, Any]]:
        """Yield a task's stores by name; if what follows fails, they are closed: a database opens only once.

        Args:
            task: the task.
            specs: what its stores were declared as.
            copies: by store, what is open already; it is taken over.
        """
        with ExitStack() as opened:
            for copy in copies.values():
                opened.callback(copy.close)
            stores = {}
            for spec in specs:
                engine = copies.get(spec.name)
                if engine is None:
                    engine = self.of_task(task, spec)
                    opened.callback(engine.close)
                if (spec.logged or spec.source_is_log) and not spec.in_memory:
                    engine = WriteBehind(engine)
                stores[spec.name] = open_store(spec, engine, self._config)
            yield stores
            opened.pop_all()

    def of_global_table(self, spec: StoreSpec) -> BytesStore:
        """Return a global table's; it is restored from its topic."""
        return self._open(GLOBAL, spec.name, spec, restorable=True)

    def _open(self, task: TaskId, name: str, spec: StoreSpec, *, restorable: bool) -> BytesStore:
        try:
            return self._provider.open(task, name, in_memory=spec.in_memory)
        except CorruptStoreError as error:
            if not restorable:
                raise StateError(
                    f"{error}; store {spec.name!r} has no changelog to restore it from (logging=False). "
                    "Bring its folder back from a copy, or remove it to go on with an empty store"
                ) from error
            aside = self._provider.set_aside(task, name, self._clock.now_ms(), self._config.corrupt_stores)
            _log.error("%s; set aside as %s, the store is restored from the broker", error, aside)
            return self._provider.open(task, name, in_memory=spec.in_memory)


def open_store(spec: StoreSpec, engine: BytesStore, config: StreamsConfig) -> Any:
    """Return the typed store that `spec` declares, on `engine`."""
    what = (spec.name, engine, spec.key, spec.value)
    bound = config.cache_entries
    if spec.kind == "key-value":
        return KeyValueStore(*what, cache_entries=bound, ordered=spec.ordered, caching=spec.caching)
    if spec.kind == "versioned":
        return VersionedStore(*what, history_ms=spec.retention_ms, cache_entries=bound)
    if spec.kind == "session":
        return SessionStore(*what, retention_ms=spec.retention_ms, cache_entries=bound, caching=spec.caching)
    return WindowStore(
        *what,
        retention_ms=spec.retention_ms,
        window_size_ms=spec.window_size_ms,
        retain_duplicates=spec.retain_duplicates,
        cache_entries=bound,
        caching=spec.caching,
    )
