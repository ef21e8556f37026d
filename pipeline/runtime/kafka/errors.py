"""Kafka's error codes as this library's errors."""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError, KafkaException

from pipeline.errors import (
    BrokerError,
    BrokerUnreachableError,
    RecordTooLargeError,
    StreamsError,
    TaskMigratedError,
    TopicGoneError,
)
from pipeline.runtime.kafka.refusals import is_refusal, lacks_token, refusal

#: Nobody answered, or nobody who could: asking again later is right.
UNREACHABLE: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._WAIT_COORD,  # noqa: SLF001
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
    }
)

#: The partition's leader is changing, or not ready: asking again in a moment is right.
LEADERLESS: Final = frozenset(
    {
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)

#: The group went on without this member, or gave its partitions away.
MIGRATED: Final = frozenset(
    {
        KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001
        KafkaError._FENCED,  # noqa: SLF001
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.UNKNOWN_MEMBER_ID,
    }
)

#: A record was not acknowledged in time: the broker is away, nothing is wrong with the record.
TIMED_OUT: Final = frozenset({KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT})  # noqa: SLF001

#: The client knows that there is no such topic or partition.
UNKNOWN_TOPIC: Final = frozenset({KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})  # noqa: SLF001

OFFSET_LOST: Final = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001
PARTITION_END: Final = KafkaError._PARTITION_EOF  # noqa: SLF001
ALL_BROKERS_DOWN: Final = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
MAX_POLL_EXCEEDED: Final = KafkaError._MAX_POLL_EXCEEDED  # noqa: SLF001


def unreachable(address: str, what: str, reason: str) -> BrokerUnreachableError:
    """Return the error for a cluster that does not answer."""
    return BrokerUnreachableError(
        f"no broker answers at {address} ({what}: {reason}): check that it runs, that the address "
        "is right, and that security.protocol is what is spoken there"
    )


def translated(error: KafkaError, address: str, what: str) -> StreamsError:
    """Return this library's error for one of Kafka's.

    Args:
        error: what the client reported.
        address: of the cluster.
        what: what was being done, to be named in the message.
    """
    if is_refusal(error):
        return refusal(error, address, what)
    code, reason = error.code(), f"{error.name()}: {error.str()}"
    if code in UNREACHABLE or code in LEADERLESS or lacks_token(error):
        return unreachable(address, what, reason)
    if code in MIGRATED:
        return TaskMigratedError(
            f"{what}: the partitions belong to another member of the group by now ({reason})"
        )
    if code == KafkaError.UNKNOWN_TOPIC_OR_PART or code in UNKNOWN_TOPIC:
        return TopicGoneError(f"{what}: there is no such topic ({reason})")
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        return RecordTooLargeError(f"{what}: the record is larger than {address} takes ({reason})")
    return BrokerError(f"{what}: {address} says {reason}")


def translated_exception(error: KafkaException, address: str, what: str) -> StreamsError:
    """Return this library's error for the client's exception, which carries a `KafkaError`."""
    cause = error.args[0]
    if isinstance(cause, KafkaError):
        return translated(cause, address, what)
    return BrokerError(f"{what}: {address} says {cause}")
