"""The layouts of keys: they sort as what they stand for, and no key runs into another."""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from pipeline.state.segment_keys import (
    SESSIONS,
    WINDOWS,
    SlotKey,
    SlotLayout,
    escaped,
    pack_segment,
    place_together,
    unescaped,
)
from pipeline.state.version_keys import VERSION_SIZE, after_versions, time_of, version_key

Slotted: TypeAlias = tuple[SlotLayout, SlotKey]

# Zero and 0xFF are what the layout gives a meaning to.
KEYS = st.lists(st.sampled_from([b"\0", b"\x01", b"\xfe", b"\xff", b"a"]), max_size=6).map(b"".join)
TIMES = st.integers(0, 2**62)
WINDOW_KEYS = st.builds(SlotKey, KEYS, st.tuples(TIMES, st.integers(0, 2**32 - 1)))
SESSION_KEYS = st.builds(SlotKey, KEYS, st.tuples(TIMES, TIMES))
PAIRS = st.one_of(
    st.tuples(st.just(WINDOWS), WINDOW_KEYS, WINDOW_KEYS),
    st.tuples(st.just(SESSIONS), SESSION_KEYS, SESSION_KEYS),
)


def stored(layout: SlotLayout, of: SlotKey, segment: int = 5) -> bytes:
    return layout.store_key(segment, escaped(of.key), of.slot)


@given(PAIRS)
def test_both_keys_return_what_they_were_made_of(pair: tuple[SlotLayout, SlotKey, SlotKey]) -> None:
    layout, one, _ = pair
    assert layout.parse_store_key(stored(layout, one)) == one
    assert layout.parse_changelog_key(layout.changelog_key(*one)) == one
    assert layout.time_of(stored(layout, one)) == layout.time_of(layout.changelog_key(*one)) == one.slot[0]


@given(PAIRS)
def test_b6_stored_keys_sort_as_their_windows_and_sessions(pair: tuple[SlotLayout, SlotKey, SlotKey]) -> None:
    layout, one, other = pair
    assert (stored(layout, one) < stored(layout, other)) == (one < other)


@given(PAIRS, KEYS)
def test_between_two_times_of_a_key_there_is_no_other_key(
    pair: tuple[SlotLayout, SlotKey, SlotKey], key: bytes
) -> None:
    layout, one, _ = pair
    first = layout.store_key(5, escaped(key), (0, 0))
    last = layout.store_key(5, escaped(key), (2**62 + 1, 0))
    assert (first <= stored(layout, one) < last) == (one.key == key)


@given(PAIRS, st.integers(0, 2**40))
def test_a_segment_is_one_range(pair: tuple[SlotLayout, SlotKey, SlotKey], segment: int) -> None:
    layout, one, _ = pair
    assert pack_segment(segment) <= stored(layout, one, segment) < pack_segment(segment + 1)


def test_a9_b6_the_changelog_keys_are_those_of_kafka_streams() -> None:
    """Key, start (8), sequence (4): `WindowKeySchema`; key, end (8), start (8): `SessionKeySchema`."""
    time = 0x0102030405060708
    assert WINDOWS.changelog_key(b"key", (time, 9)) == b"key\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\x09"
    assert (
        SESSIONS.changelog_key(b"key", (time, 9))
        == b"key\x01\x02\x03\x04\x05\x06\x07\x08" + b"\0" * 7 + b"\x09"
    )


@given(KEYS, KEYS, st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_b6_versions_sort_by_key_then_from_the_latest_to_the_first(
    key: bytes, other_key: bytes, time: int, other_time: int
) -> None:
    one, other = version_key(escaped(key), time), version_key(escaped(other_key), other_time)
    assert (one < other) == ((key, -time) < (other_key, -other_time))
    assert (unescaped(one[:-VERSION_SIZE]), time_of(one)) == (key, time)
    assert (escaped(key) <= other < after_versions(escaped(key))) == (key == other_key)


#: Bytes of what is set between keys that are placed together, cut anywhere, and of segments and times.
PIECES = [b"\xff\x01\xfe\x02", b"\xff\x01", b"\xfe\x02", b"\0\0", b"\0", b"a"]
TOGETHER = st.lists(st.lists(st.sampled_from(PIECES), max_size=4).map(b"".join), min_size=1, max_size=5)
MARKED_TIMES = st.one_of(TIMES, st.sampled_from([0xFF01FE02, 0xFE02, 0xFF01, 0x02FF01FE]))


@given(TOGETHER, MARKED_TIMES, MARKED_TIMES, st.sampled_from([WINDOWS, SESSIONS]), st.data())
def test_keys_placed_together_are_where_each_is_placed_by_itself(
    keys: list[bytes], time: int, segment: int, layout: SlotLayout, data: st.DataObject
) -> None:
    """Whatever the keys, the slots and the segment hold; or it is not known where they are."""
    slot = (time, data.draw(st.sampled_from([0, 7, 0xFF01FE02])))
    others = data.draw(st.lists(st.sampled_from([slot, (time, 1)]), min_size=len(keys), max_size=len(keys)))
    log = [layout.changelog_key(key, other) for key, other in zip(keys, others, strict=True)]
    found = place_together(log, layout.pack(*slot), pack_segment(segment))
    expected = [
        layout.store_key(segment, escaped(key), other) for key, other in zip(keys, others, strict=True)
    ]
    assert found is None or found == expected


def test_keys_of_one_slot_are_placed_together() -> None:
    keys, slot = [b"", b"a", b"user-7"], (1_700_000_000_000, 0)
    log = [WINDOWS.changelog_key(key, slot) for key in keys]
    found = place_together(log, WINDOWS.pack(*slot), pack_segment(5))
    assert found == [WINDOWS.store_key(5, escaped(key), slot) for key in keys]
