"""Two ordered scans as one."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any, TypeVar

_Key = TypeVar("_Key")


def merge_scans(
    stored: Iterable[tuple[_Key, Any]], overlay: Iterable[tuple[_Key, Any]], *, reverse: bool
) -> Iterator[tuple[_Key, Any]]:
    """Merge two ordered scans; where both have a key, the overlay's entry counts."""
    last: _Key | None = None
    # heapq.merge is stable: of equal keys, the overlay's comes first.
    for key, value in heapq.merge(overlay, stored, key=itemgetter(0), reverse=reverse):
        if key != last:
            last = key
            yield key, value
