"""How long HTTP takes to answer while the engine is busy."""
