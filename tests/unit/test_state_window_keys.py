"""The layout of window keys: order is that of (key, start, sequence), and no key runs into another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.state.window_keys import (
    WindowKey,
    changelog_key,
    escaped,
    pack_segment,
    parse_changelog_key,
    parse_store_key,
    store_key,
)

# Zero and 0xFF are what the layout gives a meaning to.
KEYS = st.lists(st.sampled_from([b"\0", b"\x01", b"\xfe", b"\xff", b"a"]), max_size=6).map(b"".join)
STARTS = st.integers(0, 2**62)
SEQUENCES = st.integers(0, 2**32 - 1)
WINDOWS = st.builds(WindowKey, KEYS, STARTS, SEQUENCES)


def stored(window: WindowKey, segment: int = 5) -> bytes:
    return store_key(segment, escaped(window.key), window.start, window.sequence)


@given(WINDOWS)
def test_both_keys_return_what_they_were_made_of(window: WindowKey) -> None:
    assert parse_store_key(stored(window)) == window
    assert parse_changelog_key(changelog_key(*window)) == window


@given(WINDOWS, WINDOWS)
def test_stored_keys_sort_as_their_windows(one: WindowKey, other: WindowKey) -> None:
    assert (stored(one) < stored(other)) == (one < other)


@given(WINDOWS, KEYS)
def test_between_two_starts_of_a_key_there_is_no_other_key(window: WindowKey, key: bytes) -> None:
    first, last = store_key(5, escaped(key), 0), store_key(5, escaped(key), 2**62 + 1)
    assert (first <= stored(window) < last) == (window.key == key)


@given(WINDOWS, st.integers(0, 2**40))
def test_a_segment_is_one_range(window: WindowKey, segment: int) -> None:
    assert pack_segment(segment) <= stored(window, segment) < pack_segment(segment + 1)


def test_the_changelog_key_is_that_of_kafka_streams() -> None:
    """Key, start (8 bytes), sequence (4 bytes), big-endian: `WindowKeySchema.toStoreKeyBinary`."""
    assert changelog_key(b"key", 0x0102030405060708, 9) == b"key\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\x09"
