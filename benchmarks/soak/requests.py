"""What a client sends to a broker, as far as it takes to see whether it brings records."""

from __future__ import annotations

import struct
from typing import Final

#: Size of what follows, and which request it is.
_HEAD: Final = struct.Struct(">ih")
#: Bytes of the size itself.
_SIZE: Final = 4
_PRODUCE: Final = 0


class Requests:
    """Reads the heads of requests out of a stream of bytes, however it is cut."""

    def __init__(self) -> None:
        self.produces = False
        self._head = b""
        self._rest = 0

    def feed(self, data: bytes) -> None:
        """Take what comes next; `produces` is set once there was a Produce request."""
        place = 0
        while place < len(data) and not self.produces:
            if self._rest:
                passed = min(self._rest, len(data) - place)
                self._rest -= passed
                place += passed
                continue
            taken = data[place : place + _HEAD.size - len(self._head)]
            self._head += taken
            place += len(taken)
            if len(self._head) == _HEAD.size:
                size, kind = _HEAD.unpack(self._head)
                self.produces = kind == _PRODUCE
                self._rest, self._head = size + _SIZE - _HEAD.size, b""
