"""Rows of several partitions in one `BytesStore`, each partition with a position of its own."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from pipeline.state.rows import Rows
from pipeline.state.store import BytesStore

_POSITIONS: Final = b"\x00"
_ROWS: Final = b"\x01"
_AFTER_ROWS: Final = b"\x02"
_NUMBER: Final = struct.Struct(">I")
_PROGRESS: Final = struct.Struct(">qq")


class Progress(NamedTuple):
    """How far a partition is read.

    Attributes:
        position: the offset to go on from.
        time: largest event time met, in ms; -1 if there is none.
    """

    position: int
    time: int


class PartitionedStore:
    """A `BytesStore` on another one, which it fills from several partitions.

    A key's first byte says what it is: a partition's progress, or a row. So both are written in one
    atomic batch, and a restart goes on exactly where the rows end.

    Args:
        engine: where it is kept. Its own position is of no use.
    """

    def __init__(self, engine: BytesStore) -> None:
        self._engine = engine
        self._reached: dict[int, Progress] = {}

    def progress(self) -> dict[int, Progress]:
        """Return how far each partition was read when it was last written; others are left out."""
        stored = self._engine.scan(_POSITIONS, _ROWS)
        return {_NUMBER.unpack(key[1:])[0]: Progress(*_PROGRESS.unpack(value)) for key, value in stored}

    def reached(self, partition: int, progress: Progress) -> None:
        """Say how far a partition is read once the next `write` is done."""
        self._reached[partition] = progress

    def get(self, key: bytes) -> bytes | None:
        """Return the value under `key`, or None."""
        return self._engine.get(_ROWS + key)

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Iterate rows with `start <= key < end` (None: no upper bound) in byte order."""
        last = _AFTER_ROWS if end is None else _ROWS + end
        for key, value in self._engine.scan(_ROWS + start, last, reverse=reverse):
            yield key[1:], value

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int, drop: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Apply changes to rows, drop ranges of them, and note how far partitions are read."""
        written = {_ROWS + key: value for key, value in changes.items()}
        written.update(self._progressed())
        self._engine.write(written, position, [(_ROWS + start, _ROWS + end) for start, end in drop])
        self._reached.clear()

    def load(self, rows: Rows, position: int) -> None:
        """Apply rows in their order, and after them note how far partitions are read."""
        keys, values = [_ROWS + key for key in rows.all_keys], [*rows.all_values]
        for key, value in self._progressed():
            keys.append(key)
            values.append(value)
        self._engine.load(Rows(keys, values), position)
        self._reached.clear()

    def _progressed(self) -> Iterator[tuple[bytes, bytes]]:
        return ((_POSITIONS + _NUMBER.pack(p), _PROGRESS.pack(*r)) for p, r in self._reached.items())

    def expect(self, rows: int) -> None:
        """Have the other store make ready for so many rows."""
        self._engine.expect(rows)

    def approximate_count(self) -> int:
        """Return about how many rows there are, without reading them."""
        return max(0, self._engine.approximate_count() - len(self.progress()))

    def properties(self) -> Mapping[str, int]:
        """Return what there is to know of its size."""
        return self._engine.properties()

    def position(self) -> int:
        """Return the position of the last write, which says nothing of partitions."""
        return self._engine.position()

    def wipe(self) -> None:
        """Remove every row and every partition's progress."""
        self._reached.clear()
        self._engine.wipe()

    def close(self) -> None:
        """Release the store."""
        self._engine.close()
