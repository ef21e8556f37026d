"""From a store's declaration to the store."""

from __future__ import annotations

from typing import Any

from pipeline.config import StreamsConfig
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.store import BytesStore
from pipeline.state.window import WindowStore
from pipeline.topology import StoreSpec


def open_store(spec: StoreSpec, engine: BytesStore, config: StreamsConfig) -> Any:
    """Return the typed store that `spec` declares, on `engine`."""
    if spec.kind == "key-value":
        return KeyValueStore(
            spec.name, engine, spec.key, spec.value, cache_entries=config.cache_entries, ordered=spec.ordered
        )
    return WindowStore(
        spec.name,
        engine,
        spec.key,
        spec.value,
        retention_ms=spec.retention_ms,
        window_size_ms=spec.window_size_ms,
        retain_duplicates=spec.retain_duplicates,
        cache_entries=config.cache_entries,
    )
