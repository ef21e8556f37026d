"""Operators for observability pipelines: normalise, redact, route, and reshape events."""
