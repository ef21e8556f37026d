"""The order in which contenders are measured: in turns, so that noise hits all alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Name = TypeVar("Name")


def turns(names: Sequence[Name], runs: int) -> Iterator[tuple[int, Name]]:
    """Yield each name in each run, backwards in every second one; runs count from 1.

    >>> list(turns(["a", "b"], 2))
    [(1, 'a'), (1, 'b'), (2, 'b'), (2, 'a')]
    """
    for number in range(1, runs + 1):
        for name in names if number % 2 else reversed(names):
            yield number, name
