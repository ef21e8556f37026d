"""Which keys may be stored, in about ten bytes each: a Bloom filter.

```
key     hash, two places of it     any is 0: it was never added     both are 1: it was, most likely
```

It grows by tables, each four times as large as the one before: what was added cannot be taken out again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

#: A table has so many places for each key that it takes: one key in twenty that was not added is taken for
#: one that was.
_PLACES: Final = 8
_LEAST_BITS: Final = 9
_GROWTH: Final = 4


class KeyFilter:
    """Keys that were added, and a few that were not.

    Attributes:
        size: bytes that it takes.
    """

    def __init__(self) -> None:
        self.size = 0
        #: Each with the mask that makes a place of a number.
        self._tables: list[tuple[bytearray, int]] = []
        #: How many keys the last one takes.
        self._room = 0

    def add(self, keys: Collection[bytes]) -> None:
        """Add keys."""
        if len(keys) > self._room:
            self._grow(len(keys))
        self._room -= len(keys)
        table, mask = self._tables[-1]
        for key in keys:
            number = hash(key)
            table[number & mask] = table[number >> 32 & mask] = 1

    def __contains__(self, key: bytes) -> bool:
        number = hash(key)
        for table, mask in self._tables:  # noqa: SIM110 - a generator for every record
            if table[number & mask] and table[number >> 32 & mask]:
                return True
        return False

    def _grow(self, keys: int) -> None:
        places = 1 << max(_LEAST_BITS, (_PLACES * keys - 1).bit_length())
        if self._tables:
            places = max(places, _GROWTH * len(self._tables[-1][0]))
        self._tables.append((bytearray(places), places - 1))
        self._room = places // _PLACES
        self.size += places
