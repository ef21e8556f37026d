"""What `suppress` holds back, as bytes and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.serde.held import Held, HeldSerde

PART = st.none() | st.binary(max_size=40)
HEADERS = st.lists(st.tuples(st.text(max_size=5), PART), max_size=3).map(tuple)


@given(st.builds(Held, PART, PART, HEADERS))
def test_round_trip(held: Held) -> None:
    assert HeldSerde().deserialize(HeldSerde().serialize(held)) == held


def test_size_is_that_of_values_and_headers() -> None:
    assert Held(b"new", b"old!", (("key", b"value"), ("none", None))).size == 3 + 4 + 3 + 5 + 4
    assert Held(None, None).size == 0
