"""How a key within a window or session is laid out in a store, and in its changelog.

Store: segment (8) ‖ key, escaped ‖ slot. A slot is two numbers, of which the first is the time that
decides how long it can be read:

* windows: start (8) ‖ sequence (4)
* sessions: end (8) ‖ start (8)

A segment is a span of these times that is dropped whole when it has expired: one range delete. Within
it the slots of one key lie together, and keys keep their order: a zero byte becomes `00 FF` and the end
of the key is `00 00`, so no key is mistaken for the beginning of another. Times are never negative.

Changelog: key ‖ slot, as Kafka Streams' `WindowKeySchema` and `SessionKeySchema`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple, TypeAlias

_SEGMENT = struct.Struct(">q")
#: What a key in the store ends with.
KEY_END = b"\0\0"

#: Set between keys. It does not end as it begins, so it is found only where it was set, or within a key.
_BETWEEN = b"\xff\x01\xfe\x02"

pack_segment = _SEGMENT.pack

#: A window's start and its sequence number where duplicates are kept; or a session's end and start.
Slot: TypeAlias = tuple[int, int]


class SlotKey(NamedTuple):
    """A key, and which of its windows or sessions."""

    key: bytes
    slot: Slot


class SlotLayout:
    """The bytes of a slot, in the order of its numbers.

    Args:
        suffix: the two numbers.
    """

    def __init__(self, suffix: struct.Struct) -> None:
        self.size = suffix.size
        self.pack = suffix.pack
        self._suffix = suffix

    def store_key(self, segment: int, escaped_key: bytes, slot: Slot) -> bytes:
        """Return the key in the store."""
        return pack_segment(segment) + escaped_key + self.pack(*slot)

    def parse_store_key(self, data: bytes) -> SlotKey:
        """Return what `store_key` packed."""
        key = unescaped(data[_SEGMENT.size : -self.size])
        return SlotKey(key, self._suffix.unpack(data[-self.size :]))

    def changelog_key(self, key: bytes, slot: Slot) -> bytes:
        """Return the key in the changelog."""
        return key + self.pack(*slot)

    def parse_changelog_key(self, data: bytes) -> SlotKey:
        """Return what `changelog_key` packed."""
        slot = self._suffix.unpack(data[-self.size :])
        return SlotKey(data[: -self.size], slot)

    def time_of(self, data: bytes) -> int:
        """Return the first number of either key's slot."""
        time: int = self._suffix.unpack_from(data, len(data) - self.size)[0]
        return time


WINDOWS = SlotLayout(struct.Struct(">qI"))
SESSIONS = SlotLayout(struct.Struct(">qq"))


def escaped(key: bytes) -> bytes:
    """Return the key so that it ends where it ends, in the same order."""
    return (escape_zeros(key) if 0 in key else key) + KEY_END


def unescaped(data: bytes) -> bytes:
    """Return the key that `escaped` was given."""
    return data[: -len(KEY_END)].replace(b"\0\xff", b"\0")


def escape_zeros(key: bytes) -> bytes:
    """Return the key so that it does not hold what ends it."""
    return key.replace(b"\0", b"\0\xff")


def place_together(keys: Sequence[bytes], suffix: bytes, segment: bytes) -> list[bytes] | None:
    """Return changelog keys as keys in the store, made all at once, which is faster than one by one.

    Args:
        keys: none is shorter than the suffix.
        suffix: the slot that they are to have in common.
        segment: before each of them.

    Returns:
        None if they have not this slot in common, or a key has to be escaped, or holds `_BETWEEN`.
    """
    bare = list(map(bytes.removesuffix, keys, repeat(suffix)))
    text = b"".join(bare)
    if 0 in text or len(text) + len(keys) * len(suffix) != len(b"".join(keys)):
        return None
    end = KEY_END + suffix
    found = (segment + (end + _BETWEEN + segment).join(bare) + end).split(_BETWEEN)
    return found if len(found) == len(keys) else None
