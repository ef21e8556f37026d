"""Changes as Kafka's `ChangedSerializer` writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.record import Change
from pipeline.serde import BYTES, ChangeSerde

SERDE = ChangeSerde(BYTES)

#: The sizes around which the length grows by a byte: 64 is the first that takes two.
KNOWN: dict[str, tuple[Change[bytes], bytes]] = {
    "old alone": (Change(None, b"old"), b"old\x00"),
    "new alone": (Change(b"new", None), b"new\x01"),
    "both": (Change(b"new", b"old"), b"\x06newold\x02"),
    "both empty": (Change(b"", b""), b"\x00\x02"),
    "63 bytes": (Change(b"n" * 63, b"o"), b"\x7e" + b"n" * 63 + b"o\x02"),
    "64 bytes": (Change(b"n" * 64, b"o"), b"\x80\x01" + b"n" * 64 + b"o\x02"),
    "300 bytes": (Change(b"n" * 300, b"o"), b"\xd8\x04" + b"n" * 300 + b"o\x02"),
}


@pytest.mark.parametrize(("change", "data"), KNOWN.values(), ids=KNOWN.keys())
def test_known_bytes(change: Change[bytes], data: bytes) -> None:
    assert SERDE.serialize(change) == data
    assert SERDE.deserialize(data) == change


VALUES = st.none() | st.binary(max_size=20_000)


@given(new=VALUES, old=VALUES)
def test_round_trip(new: bytes | None, old: bytes | None) -> None:
    if new is None and old is None:
        with pytest.raises(ValueError, match="nothing to nothing"):
            SERDE.serialize(Change(new, old))
    else:
        assert SERDE.deserialize(SERDE.serialize(Change(new, old))) == Change(new, old)


@pytest.mark.parametrize(
    ("data", "change"),
    [
        (b"old\x00\x03", Change(None, b"old", is_latest=False)),
        (b"new\x01\x04", Change(b"new", None, is_latest=True)),
        (b"\x06newold\x00\x05", Change(b"new", b"old", is_latest=False)),
    ],
)
def test_what_says_whether_it_is_the_latest_is_read(data: bytes, change: Change[bytes]) -> None:
    assert SERDE.deserialize(data) == change


@pytest.mark.parametrize("data", [b"", b"x\x09", b"\x80\x02", b"\x7fnew\x02"])
def test_bytes_that_are_no_change(data: bytes) -> None:
    with pytest.raises(ValueError, match="a change"):
        SERDE.deserialize(data)
