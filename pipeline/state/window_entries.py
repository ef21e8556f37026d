"""A window's entries: how they are put, and how bytes are made of them; that in C, or here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Final, TypeAlias

from pipeline.compiled import native
from pipeline.record import Headers
from pipeline.state.caching import pack_time
from pipeline.state.segment_keys import KEY_END, escape_zeros
from pipeline.state.store import Entry


class WindowEntry(Entry, gc=False):
    """An entry that a put changes: another one for each record would cost more than what it holds.

    Attributes:
        key: its key.
        dirty: whether it was put since the last flush, and is among what the next one takes.
    """

    key: bytes
    dirty: bool = False


#: A window's entries by key, and those of them that were put since the last flush.
AtHand: TypeAlias = tuple[dict[bytes, WindowEntry], list[WindowEntry]]

#: Keys as they are logged, and the value of each.
Columns: TypeAlias = tuple[list[bytes], list[bytes | None]]

_by_key = attrgetter("key")


def put_at_hand(window: AtHand, key: bytes, value: Any, timestamp: int, headers: Headers) -> None:
    """Put an entry into a window; operators do the same without a call."""
    entries, dirty = window
    entry = entries.get(key)
    if entry is None:
        entry = entries[key] = WindowEntry(value, timestamp, headers, key)
    else:
        entry.value, entry.timestamp, entry.headers = value, timestamp, headers
    if not entry.dirty:
        entry.dirty = True
        dirty.append(entry)


def encoded_in_python(
    entries: Iterable[WindowEntry],
    serialize: Callable[[Any], bytes],
    segment: bytes,
    slot: bytes,
    changes: dict[bytes, bytes | None],
) -> Columns:
    """Return rows for the log, in the order of their keys, and take the entries as flushed.

    In order, RocksDB takes them in a third of the time; and to sort them costs less now than later.

    Args:
        entries: of one window, each once.
        serialize: encodes a value that is not None.
        segment: what comes before a key in the store; see `segment_keys`.
        slot: what comes last.
        changes: what is to be stored is added here.

    Raises:
        Exception: what `serialize` raises. Some entries may be taken as flushed then.
    """
    ordered = sorted(entries, key=_by_key)
    stored = [
        None if (value := entry.value) is None else pack_time(entry.timestamp) + serialize(value)
        for entry in ordered
    ]
    for entry in ordered:
        entry.dirty = False
    keys, end = list(map(_by_key, ordered)), KEY_END + slot
    places = (segment + (escape_zeros(key) if 0 in key else key) + end for key in keys)
    changes.update(zip(places, stored, strict=True))
    return [key + slot for key in keys], stored


def encoded_in_c(entries: Iterable[WindowEntry], *arguments: Any) -> Columns:
    """Do what `encoded_in_python` does, compiled: it is to be there."""
    columns: Columns = native.encode_entries(WindowEntry, tuple(entries), *arguments)
    return columns


#: Either of both.
encoded: Final = encoded_in_python if native is None else encoded_in_c
