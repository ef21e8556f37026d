"""How a version is laid out in a store and in its changelog: key, escaped ‖ timestamp, inverted (8).

A key's versions lie together, the latest first; the first version at or before a moment is found by
one seek.
"""

from __future__ import annotations

import struct

_INVERTED = struct.Struct(">Q")
_LAST_TIME = 2**63 - 1
VERSION_SIZE = _INVERTED.size


def version_key(escaped_key: bytes, timestamp: int) -> bytes:
    """Return the key of a version at a time in ms; any 64-bit number, also a negative one."""
    return escaped_key + _INVERTED.pack(_LAST_TIME - timestamp)


def time_of(data: bytes) -> int:
    """Return the timestamp that `version_key` packed."""
    inverted: int = _INVERTED.unpack_from(data, len(data) - VERSION_SIZE)[0]
    return _LAST_TIME - inverted


def after_versions(escaped_key: bytes) -> bytes:
    """Return what comes after all versions of a key, and before those of the next key."""
    # An escaped key ends with a zero byte, after which another key has 0xFF or nothing less.
    return escaped_key[:-1] + b"\x01"
