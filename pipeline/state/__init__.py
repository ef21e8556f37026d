"""State stores: bytes engines, and typed stores with caches on them."""
