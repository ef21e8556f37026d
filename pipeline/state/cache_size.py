"""About how much memory the cache of a store takes.

To count each entry when it is put would cost every record. Instead,

* of what is not committed yet, the newest entry stands for all: it is looked at once a step;
* what is committed or read was in bytes just now, and is added up. One that takes the place of another is
  counted twice: when the sum passes what is allowed, a sample says what is really there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

_Entry = TypeVar("_Entry")

#: What an entry takes beside its value: its key, the objects that hold both, its place in a dict.
ENTRY_BYTES: Final = 256
#: Of so many entries the mean is made: those looked at last, of the uncommitted; of the others, a sample.
_RECENT: Final = 8
_SAMPLE: Final = 256


def sample_of(entries: Collection[_Entry]) -> Iterator[_Entry]:
    """Iterate some of what there is, evenly; passing by the others takes next to nothing."""
    return islice(entries, 0, None, max(1, len(entries) // _SAMPLE))


class CacheSize:
    """Adds up and estimates, in bytes as they are stored.

    Args:
        length: returns how long a cached entry is when it is stored.
    """

    def __init__(self, length: Callable[[Any], int]) -> None:
        self._length = length
        self._committed = 0
        self._uncommitted = 0.0
        self._looks = 0

    def add(self, stored: Iterable[bytes | None]) -> None:
        """Take note of entries that were committed, or read, and are kept."""
        kept = [each for each in stored if each is not None]
        self._committed += ENTRY_BYTES * len(kept) + sum(map(len, kept))

    def forget(self) -> None:
        """Take note that nothing that is committed is kept any more."""
        self._committed = 0

    def recount(self, count: int, some: Iterable[Any]) -> None:
        """Estimate what is kept of committed entries: there are `count`, and these are some of them."""
        sample = [self._length(entry) for entry in some]
        mean = sum(sample) / len(sample) if sample else 0
        self._committed = int(count * (ENTRY_BYTES + mean))

    def total(self, uncommitted: int, newest: Iterable[Any]) -> int:
        """Return about how many bytes are kept.

        Args:
            uncommitted: number of entries that are not committed.
            newest: the newest of them, if there is one.
        """
        for entry in newest:
            self._looks = min(self._looks + 1, _RECENT)
            self._uncommitted += (self._length(entry) - self._uncommitted) / self._looks
        return self._committed + int(uncommitted * (ENTRY_BYTES + self._uncommitted))
