"""HTTP: queries of the stores, health, metrics."""
