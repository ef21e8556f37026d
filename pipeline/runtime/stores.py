"""From a store's declaration to the store."""

from __future__ import annotations

from typing import Any

from pipeline.config import StreamsConfig
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.session import SessionStore
from pipeline.state.store import BytesStore
from pipeline.state.versioned import VersionedStore
from pipeline.state.window import WindowStore
from pipeline.topology import StoreSpec


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
