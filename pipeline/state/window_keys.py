"""How a window's key is laid out in a store, and in its changelog.

Store: segment (8) ‖ key, escaped ‖ start (8) ‖ sequence (4). A segment is a span of starts that is
dropped whole when it has expired: one range delete. Within it the windows of one key lie together,
and keys keep their order: a zero byte becomes `00 FF` and the end of the key is `00 00`, so no key
is mistaken for the beginning of another.

Changelog: key ‖ start (8) ‖ sequence (4), as Kafka Streams' `WindowKeySchema`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_SEGMENT = struct.Struct(">q")
_SUFFIX = struct.Struct(">qI")
#: What a key in the store ends with.
KEY_END = b"\0\0"
SUFFIX_SIZE = _SUFFIX.size

pack_segment = _SEGMENT.pack
#: Start and sequence, as both keys end with.
pack_suffix = _SUFFIX.pack


class WindowKey(NamedTuple):
    """A window, and which of its values if duplicates are kept."""

    key: bytes
    start: int
    sequence: int


def escaped(key: bytes) -> bytes:
    """Return the key so that it ends where it ends, in the same order."""
    return (escape_zeros(key) if 0 in key else key) + KEY_END


def escape_zeros(key: bytes) -> bytes:
    """Return the key so that it does not hold what ends it."""
    return key.replace(b"\0", b"\0\xff")


def store_key(segment: int, escaped_key: bytes, start: int, sequence: int = 0) -> bytes:
    """Return the key in the store."""
    return _SEGMENT.pack(segment) + escaped_key + _SUFFIX.pack(start, sequence)


def parse_store_key(data: bytes) -> WindowKey:
    """Return what `store_key` packed."""
    start, sequence = _SUFFIX.unpack(data[-SUFFIX_SIZE:])
    key = data[_SEGMENT.size : -SUFFIX_SIZE - len(KEY_END)].replace(b"\0\xff", b"\0")
    return WindowKey(key, start, sequence)


def changelog_key(key: bytes, start: int, sequence: int = 0) -> bytes:
    """Return the key in the changelog."""
    return key + _SUFFIX.pack(start, sequence)


def parse_changelog_key(data: bytes) -> WindowKey:
    """Return what `changelog_key` packed."""
    start, sequence = _SUFFIX.unpack(data[-SUFFIX_SIZE:])
    return WindowKey(data[:-SUFFIX_SIZE], start, sequence)


def start_of(data: bytes) -> int:
    """Return the start of either key's window."""
    start: int = _SUFFIX.unpack_from(data, len(data) - SUFFIX_SIZE)[0]
    return start
