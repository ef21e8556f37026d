"""What the sides of a foreign-key join write to each other: bytes that no later release may misread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.serde.foreign_key import Instruction, Response, ResponseSerde, Subscription, SubscriptionSerde

HASH = bytes(range(16))
hashes = st.none() | st.binary(min_size=16, max_size=16)

BYTES: dict[str, tuple[Any, Any, bytes]] = {
    "subscription": (
        SubscriptionSerde(),
        Subscription(Instruction.PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE, 7, HASH, b"key"),
        b"\0\2\0\0\0\7\x10" + HASH + b"key",
    ),
    "subscription of a deleted row": (
        SubscriptionSerde(),
        Subscription(Instruction.DELETE_KEY_AND_PROPAGATE, 0, None, b"key"),
        b"\0\1\0\0\0\0\0key",
    ),
    "response": (ResponseSerde(), Response(HASH, b"row"), b"\0\x10\1" + HASH + b"row"),
    "response, an empty row": (ResponseSerde(), Response(HASH, b""), b"\0\x10\1" + HASH),
    "response, no row": (ResponseSerde(), Response(HASH, None), b"\0\x10\0" + HASH),
    "response for a deleted row": (ResponseSerde(), Response(None, None), b"\0\0\0"),
}


@pytest.mark.parametrize(("serde", "message", "data"), BYTES.values(), ids=BYTES.keys())
def test_bytes(serde: Any, message: Any, data: bytes) -> None:
    assert serde.serialize(message) == data
    assert serde.deserialize(data) == message


@given(
    instruction=st.sampled_from(Instruction),
    partition=st.integers(0, 2**31 - 1),
    row_hash=hashes,
    key=st.binary(),
)
def test_a_subscription_comes_back(
    instruction: Instruction, partition: int, row_hash: bytes | None, key: bytes
) -> None:
    message, serde = Subscription(instruction, partition, row_hash, key), SubscriptionSerde()
    assert serde.deserialize(serde.serialize(message)) == message


@given(row_hash=hashes, value=st.none() | st.binary())
def test_a_response_comes_back_without_its_partition(row_hash: bytes | None, value: bytes | None) -> None:
    serde = ResponseSerde()
    assert serde.deserialize(serde.serialize(Response(row_hash, value, 5))) == Response(row_hash, value)


@pytest.mark.parametrize(
    "decode",
    [SubscriptionSerde().deserialize, ResponseSerde().deserialize],
    ids=["subscription", "response"],
)
def test_another_version_is_refused(decode: Callable[[bytes], object]) -> None:
    with pytest.raises(ValueError, match="version 1, not 0: another release"):
        decode(b"\1" + bytes(30))
