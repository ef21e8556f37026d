"""What the two sides of a foreign-key join write to each other, through topics of their own.

The left side says which of its rows belongs to which row of the right table (a subscription); the right
side answers with that row, now and whenever it changes. Both formats are this library's: nobody else
reads these topics.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

_VERSION: Final = 0
#: Version, instruction, partition, length of the hash.
_SUBSCRIPTION: Final = struct.Struct(">BBIB")
#: Version, length of the hash, whether there is a value.
_RESPONSE: Final = struct.Struct(">BB?")


class Instruction(IntEnum):
    """What the right side is to do with a subscription (Kafka Streams: `SubscriptionWrapper`)."""

    #: Forget it; no answer.
    DELETE_KEY_NO_PROPAGATE = 0
    #: Forget it, and answer that there is no row.
    DELETE_KEY_AND_PROPAGATE = 1
    #: Keep it, and answer in any case.
    PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE = 2
    #: Keep it, and answer if there is a row.
    PROPAGATE_ONLY_IF_FK_VAL_AVAILABLE = 3


class Subscription(NamedTuple):
    """What the left side says of one of its rows.

    Attributes:
        instruction: what to do with it.
        partition: of the left table, where the answer goes.
        hash: of the row's value, to come back with the answer; None: the row is deleted.
        primary_key: the row's key, as bytes.
    """

    instruction: Instruction
    partition: int
    hash: bytes | None
    primary_key: bytes


class Response(NamedTuple):
    """What the right side answers.

    Attributes:
        hash: as it stood in the subscription.
        value: the right row's value, as bytes; None: there is no such row.
        partition: of the left table, where the answer goes; not written.
    """

    hash: bytes | None
    value: bytes | None
    partition: int = -1


class SubscriptionSerde:
    """Version, instruction, partition, length of the hash; the hash, the primary key."""

    name = "subscription"

    def serialize(self, value: Subscription, /) -> bytes:
        """Return the bytes of a subscription."""
        hashed = value.hash or b""
        head = _SUBSCRIPTION.pack(_VERSION, value.instruction, value.partition, len(hashed))
        return head + hashed + value.primary_key

    def deserialize(self, data: bytes, /) -> Subscription:
        """Return the subscription; bytes of another version are a ValueError."""
        version, instruction, partition, size = _SUBSCRIPTION.unpack_from(data)
        _check_version(version)
        start = _SUBSCRIPTION.size
        hashed = data[start : start + size] or None
        return Subscription(Instruction(instruction), partition, hashed, data[start + size :])


class ResponseSerde:
    """Version, length of the hash, whether there is a value; the hash, the value."""

    name = "response"

    def serialize(self, value: Response, /) -> bytes:
        """Return the bytes of a response, without its partition."""
        hashed = value.hash or b""
        head = _RESPONSE.pack(_VERSION, len(hashed), value.value is not None)
        return head + hashed + (value.value or b"")

    def deserialize(self, data: bytes, /) -> Response:
        """Return the response; bytes of another version are a ValueError."""
        version, size, has_value = _RESPONSE.unpack_from(data)
        _check_version(version)
        start = _RESPONSE.size
        hashed = data[start : start + size] or None
        return Response(hashed, data[start + size :] if has_value else None)


def _check_version(version: int) -> None:
    if version != _VERSION:
        raise ValueError(
            f"a message of a foreign-key join of version {version}, not {_VERSION}: another release of this "
            "library wrote it"
        )
