"""Kafka's error codes as this library's errors."""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError, KafkaException

from pipeline.errors import (
    BrokerError,
    BrokerRefusedError,
    BrokerUnreachableError,
    InstanceIdTakenError,
    RecordTooLargeError,
    StreamsError,
    TaskMigratedError,
    TopicGoneError,
)
from pipeline.runtime.kafka.codes import CODES, RUNS, Meaning, Row, having
from pipeline.runtime.kafka.refusals import lacks_token

#: Nobody answered, or nobody who could: asking again later is right.
UNREACHABLE: Final = having(Meaning.UNREACHABLE)

#: The partition's leader is changing, or not ready: asking again in a moment is right.
LEADERLESS: Final = having(Meaning.NOT_READY)

#: A record was not acknowledged in time: the broker is away, nothing is wrong with the record.
TIMED_OUT: Final = UNREACHABLE | LEADERLESS

#: The client knows that there is no such topic or partition.
UNKNOWN_TOPIC: Final = frozenset({KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})  # noqa: SLF001 (librdkafka's own codes begin with an underscore)

OFFSET_LOST: Final = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001
PARTITION_END: Final = KafkaError._PARTITION_EOF  # noqa: SLF001
ALL_BROKERS_DOWN: Final = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
MAX_POLL_EXCEEDED: Final = KafkaError._MAX_POLL_EXCEEDED  # noqa: SLF001

_UNKNOWN: Final = Row(Meaning.FATAL, "no more is known of this error: look at the broker's log")
_ERRORS: Final[dict[Meaning, type[StreamsError]]] = {
    Meaning.NOT_READY: BrokerUnreachableError,
    Meaning.BACK: TaskMigratedError,
    Meaning.NO_TOPIC: TopicGoneError,
    Meaning.RECORD: RecordTooLargeError,
    Meaning.TAKEN: InstanceIdTakenError,
    Meaning.REFUSED: BrokerRefusedError,
    Meaning.FATAL: BrokerError,
}


def unreachable(address: str, what: str, reason: str, advice: str = RUNS) -> BrokerUnreachableError:
    """Return the error for a cluster that does not answer."""
    return BrokerUnreachableError(f"no broker answers at {address} ({what}: {reason}): {advice}")


def translated(error: KafkaError, address: str, what: str) -> StreamsError:
    """Return this library's error for one of Kafka's; `codes.CODES` says which.

    Args:
        error: what the client reported.
        address: of the cluster.
        what: what was being done, to be named in the message.
    """
    reason, row = f"{error.name()}: {error.str()}", CODES.get(_cause(error), _UNKNOWN)
    if row.meaning is Meaning.UNREACHABLE or lacks_token(error):
        return unreachable(address, what, reason, row.advice)
    return _ERRORS[row.meaning](f"{what}: {address} says {reason}; {row.advice}")


def _cause(error: KafkaError) -> int:
    """Return the code of an error; of one that ended the client, the one that its text tells."""
    if error.code() == KafkaError._FATAL:  # noqa: SLF001 (see above)
        text = error.str()
        return next((code for code in CODES if KafkaError(code).str() in text), error.code())
    return error.code()


def translated_exception(error: KafkaException, address: str, what: str) -> StreamsError:
    """Return this library's error for the client's exception, which carries a `KafkaError`."""
    cause = error.args[0]
    if isinstance(cause, KafkaError):
        return translated(cause, address, what)
    return BrokerError(f"{what}: {address} says {cause}; {_UNKNOWN.advice}")
