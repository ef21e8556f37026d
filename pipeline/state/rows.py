"""Rows as a log has them, on their way into a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeAlias

#: Key and value as a store has them; None deletes.
Row: TypeAlias = tuple[bytes, bytes | None]


class Log(Protocol):
    """Rows on their way to a log: `Rows`, or a list."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def __iter__(self) -> Iterator[Row]:
        """Iterate them."""
        ...

    def __getitem__(self, part: slice, /) -> Iterable[Row]:
        """Return some of them."""
        ...


class Rows:
    """Rows in their order, the last of a key counts: two columns, so that no thousands of pairs live at once.

    Args:
        all_keys: their keys.
        all_values: the value of each.
    """

    __slots__ = ("all_keys", "all_values")

    def __init__(self, all_keys: Sequence[bytes], all_values: Sequence[bytes | None]) -> None:
        self.all_keys, self.all_values = all_keys, all_values

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Rows:
        """Return rows that are given as pairs."""
        pairs = list(rows)
        return cls([key for key, _ in pairs], [value for _, value in pairs])

    def __len__(self) -> int:
        return len(self.all_keys)

    def __getitem__(self, part: slice, /) -> Rows:
        return Rows(self.all_keys[part], self.all_values[part])

    def __iter__(self) -> Iterator[Row]:
        return zip(self.all_keys, self.all_values, strict=True)
