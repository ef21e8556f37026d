"""A soak: steady traffic, a sink that is stalled and released, and what memory does meanwhile."""
