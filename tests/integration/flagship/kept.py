"""The flagship, with everything left in its repartition topics: tests read what passed through them."""

from __future__ import annotations

from topologies.observability import app

app._engine_settings["repartition_purge_interval_ms"] = None

__all__ = ["app"]
