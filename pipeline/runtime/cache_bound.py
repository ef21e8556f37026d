"""How much memory the caches of all of a worker's stores may take together."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Cache(Protocol):
    """What a bound asks of a cache; see `pipeline.state.store.StateStore`."""

    def cached_bytes(self) -> int:
        """Return about how much memory it takes."""
        ...

    def recount(self) -> None:
        """Look at what is cached, so that `cached_bytes` knows better; let go of what nobody will miss."""
        ...

    def shrink(self) -> None:
        """Let go of some of what is cached and committed, and rather of what will not be asked for again."""
        ...

    def forget(self) -> None:
        """Let go of what is cached and committed."""
        ...


class CacheBound:
    """Looks at caches between two steps: none costs a record anything.

    Args:
        max_bytes: of all caches together, as their entries are stored.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    def passed_by(self, stores: Collection[Cache]) -> bool:
        """Return whether the caches hold more than they may: time to commit."""
        if self._total(stores) <= self._max_bytes:
            return False
        for store in stores:
            store.recount()
        return self._total(stores) > self._max_bytes

    def trim(self, stores: Collection[Cache]) -> None:
        """Have the caches forget some of what is committed, if they hold more than they may; else all."""
        if not self.passed_by(stores):
            return
        for store in stores:
            store.shrink()
        if self.passed_by(stores):
            for store in stores:
                store.forget()

    def _total(self, stores: Collection[Cache]) -> int:
        return sum(store.cached_bytes() for store in stores)
