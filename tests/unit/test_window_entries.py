"""A window's entries are made bytes of in C as in Python: the same rows, in the order of their keys."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compiled import native
from pipeline.record import NO_HEADERS
from pipeline.serde import serde_for
from pipeline.state.window_entries import Columns, WindowEntry, encoded_in_c, encoded_in_python

SEGMENT, SLOT = b"segment:", b":slot"

Encode = Callable[..., Columns]


compiled = pytest.mark.skipif(native is None, reason="no C compiler: nothing was built")
WAYS = [
    pytest.param(encoded_in_python, id="python"),
    pytest.param(encoded_in_c, marks=compiled, id="compiled"),
]

serialize = serde_for(tuple[int, str]).serialize

#: Keys that begin alike, are equal in their first eight bytes, end within others, or hold zeros.
KEYS = st.binary(max_size=3) | st.builds(
    bytes.__add__, st.sampled_from([b"user-", b"user-0000000", b"\0\0", b"\0\xff"]), st.binary(max_size=12)
)
VALUES = st.none() | st.tuples(st.integers(-(2**40), 2**40), st.text(max_size=5))
ENTRIES = st.dictionaries(KEYS, st.tuples(VALUES, st.integers(0, 2**63 - 1)), max_size=60)


def made(rows: dict[bytes, tuple[Any, int]]) -> list[WindowEntry]:
    return [WindowEntry(value, time, NO_HEADERS, key, dirty=True) for key, (value, time) in rows.items()]


@compiled
@given(ENTRIES, st.dictionaries(KEYS, st.just(b"before"), max_size=3))
def test_both_make_the_same_rows(rows: dict[bytes, tuple[Any, int]], before: dict[bytes, bytes]) -> None:
    found = []
    for encode in (encoded_in_python, encoded_in_c):
        entries = made(rows)
        changes: dict[bytes, bytes | None] = {**before}
        columns = encode(entries, serialize, SEGMENT, SLOT, changes)
        found.append((columns, list(changes.items())))
        assert not any(entry.dirty for entry in entries)
    assert found[0] == found[1]
    keys, values = found[0][0]
    assert keys == [key + SLOT for key in sorted(rows)]
    assert [value is None for value in values] == [rows[key][0] is None for key in sorted(rows)]


@pytest.mark.parametrize("encode", WAYS)
def test_thousands_are_in_order(encode: Encode) -> None:
    keys = [b"user-%06d" % (number * 7919 % 10_007) for number in range(10_007)]
    entries = [WindowEntry((number, ""), number, NO_HEADERS, key) for number, key in enumerate(keys)]
    changes: dict[bytes, bytes | None] = {}
    logged, stored = encode(entries, serialize, SEGMENT, SLOT, changes)
    assert logged == [key + SLOT for key in sorted(keys)]
    assert list(changes) == [SEGMENT + key + b"\0\0" + SLOT for key in sorted(keys)]
    assert list(changes.values()) == stored
    assert stored[0] == bytes(8) + serialize((0, ""))


@pytest.mark.parametrize("encode", WAYS)
@pytest.mark.parametrize(
    ("value", "time", "how", "error"),
    [
        pytest.param(("not a number", ""), 1, lambda value: value["no"], TypeError, id="a serializer raises"),
        pytest.param((1, ""), 1, repr, TypeError, id="it does not make bytes"),
        pytest.param((1, ""), 2**63, serialize, Exception, id="no time of 64 bits"),
    ],
)
def test_what_cannot_be_encoded_raises(
    encode: Encode, value: object, time: int, how: Callable[[Any], bytes], error: type[Exception]
) -> None:
    entries = [
        WindowEntry(None, 1, NO_HEADERS, b"before"),
        WindowEntry(value, time, NO_HEADERS, b"k"),
        WindowEntry(None, 1, NO_HEADERS, b"z"),
    ]
    with pytest.raises(error):
        encode(entries, how, SEGMENT, SLOT, {})


@pytest.mark.parametrize("encode", WAYS)
def test_a_serializer_may_return_what_is_like_bytes(encode: Encode) -> None:
    entries = [WindowEntry("a", 0, NO_HEADERS, b"k")]
    assert encode(entries, lambda _: bytearray(b"a"), SEGMENT, SLOT, {})[1] == [bytes(8) + b"a"]


class _Value:
    """Something that can be seen to go."""


@pytest.mark.parametrize("encode", WAYS)
def test_a_value_may_be_replaced_while_it_is_encoded(encode: Encode) -> None:
    entries = [WindowEntry(_Value(), time, NO_HEADERS, b"%02d" % time) for time in range(40)]
    first = weakref.ref(entries[0].value)

    def replace(_value: object) -> bytes:
        for entry in entries:
            entry.value, entry.timestamp = b"", 5
        return b"encoded"

    columns = encode(entries, replace, SEGMENT, SLOT, {})
    assert columns[1][0] == bytes(8) + b"encoded"
    gc.collect()
    assert first() is None


@compiled
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param((object(),), id="no entry"),
        pytest.param((WindowEntry(1, 1, NO_HEADERS, "text"),), id="a key that is not bytes"),  # type: ignore[arg-type]
    ],
)
def test_c_says_what_is_not_an_entry(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        native.encode_entries(WindowEntry, wrong, serialize, SEGMENT, SLOT, {})
    with pytest.raises(AttributeError, match="key"):
        native.encode_entries(_Value, wrong, serialize, SEGMENT, SLOT, {})
