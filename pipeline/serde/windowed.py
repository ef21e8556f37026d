"""Windowed keys as Kafka Streams writes them: key bytes, then the window's times, 8 bytes each."""

from __future__ import annotations

import struct
from typing import Any, Self

from pipeline.record import Windowed
from pipeline.serde.base import Serde, Wrapper

_TIME = struct.Struct(">q")
_TIMES = struct.Struct(">qq")


class WindowedSerde(Wrapper):
    """What both kinds have in common: a windowed key is partitioned by the key within the window.

    Args:
        inner: serde of the key within the window.
        prefix: of its name.
    """

    def __init__(self, inner: Serde[Any], prefix: str) -> None:
        super().__init__(inner)
        self.name = f"{prefix}:{inner.name}"
        self.inner = inner


class TimeWindowedSerde(WindowedSerde):
    """A key in a window of a known size: key bytes, then start (`TimeWindowedSerializer`).

    The end is not written: whoever reads must know the size.

    Args:
        inner: serde of the key within the window.
        size_ms: window size; of sliding windows, their difference.
    """

    def __init__(self, inner: Serde[Any], size_ms: int) -> None:
        super().__init__(inner, "windowed")
        self.size_ms = size_ms

    def _of(self, *inner: Any) -> Self:
        return type(self)(inner[0], self.size_ms)

    def serialize(self, value: Windowed[Any], /) -> bytes:
        """Return key bytes followed by the window's start."""
        return self.inner.serialize(value.key) + _TIME.pack(value.start)

    def deserialize(self, data: bytes, /) -> Windowed[Any]:
        """Return the key and its window."""
        start: int = _TIME.unpack(data[-_TIME.size :])[0]
        return Windowed(self.inner.deserialize(data[: -_TIME.size]), start, start + self.size_ms)


class SessionWindowedSerde(WindowedSerde):
    """A key in a session: key bytes, then end, then start (`SessionWindowedSerializer`).

    Args:
        inner: serde of the key within the session.
    """

    def __init__(self, inner: Serde[Any]) -> None:
        super().__init__(inner, "session")

    def serialize(self, value: Windowed[Any], /) -> bytes:
        """Return key bytes followed by the session's end and start."""
        return self.inner.serialize(value.key) + _TIMES.pack(value.end, value.start)

    def deserialize(self, data: bytes, /) -> Windowed[Any]:
        """Return the key and its session."""
        end, start = _TIMES.unpack(data[-_TIMES.size :])
        return Windowed(self.inner.deserialize(data[: -_TIMES.size]), start, end)
