"""The demonstration: an embedded broker, traffic, the flagship topology, and its answers over HTTP."""
