"""The table of librdkafka's error codes: none is missing, and each becomes what the table says."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

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
from pipeline.runtime.kafka.codes import CODES, EVENTS, Meaning
from pipeline.runtime.kafka.errors import translated
from pipeline.runtime.kafka.refusals import is_refusal

#: Codes of requests that are never made here, and of what librdkafka does not do for us.
ELSEWHERE = {
    "_UNKNOWN_GROUP _EXISTING_SUBSCRIPTION _INTR _KEY_SERIALIZATION _VALUE_SERIALIZATION",
    "_KEY_DESERIALIZATION _VALUE_DESERIALIZATION _PARTIAL _READ_ONLY _NOENT _UNDERFLOW _APPLICATION",
    "_INVALID_DIFFERENT_RECORD",
    # Deleting, electing, reassigning, describing tokens, features, quorums.
    "NON_EMPTY_GROUP GROUP_ID_NOT_FOUND TOPIC_DELETION_DISABLED ELECTION_NOT_NEEDED",
    "NO_REASSIGNMENT_IN_PROGRESS GROUP_SUBSCRIBED_TO_TOPIC RESOURCE_NOT_FOUND",
    "DUPLICATE_RESOURCE UNACCEPTABLE_CREDENTIAL",
    "DELEGATION_TOKEN_AUTH_DISABLED DELEGATION_TOKEN_NOT_FOUND DELEGATION_TOKEN_OWNER_MISMATCH",
    "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED INVALID_PRINCIPAL_TYPE INCONSISTENT_VOTER_SET",
    "INVALID_UPDATE_VERSION FEATURE_UPDATE_FAILED LISTENER_NOT_FOUND",
    "INVALID_VOTER_KEY DUPLICATE_VOTER VOTER_NOT_FOUND INVALID_REGISTRATION",
    # Between brokers, of telemetry, of share groups, of Kafka Streams' own protocol.
    "MISMATCHED_ENDPOINT_TYPE UNSUPPORTED_ENDPOINT_TYPE UNKNOWN_CONTROLLER_ID UNKNOWN_SUBSCRIPTION_ID",
    "TELEMETRY_TOO_LARGE INVALID_RECORD_STATE SHARE_SESSION_NOT_FOUND INVALID_SHARE_SESSION_EPOCH",
    "FENCED_STATE_EPOCH SHARE_SESSION_LIMIT_REACHED STREAMS_INVALID_TOPOLOGY",
    "STREAMS_INVALID_TOPOLOGY_EPOCH STREAMS_TOPOLOGY_FENCED",
}

BECOMES = {
    Meaning.UNREACHABLE: BrokerUnreachableError,
    Meaning.NOT_READY: BrokerUnreachableError,
    Meaning.BACK: TaskMigratedError,
    Meaning.NO_TOPIC: TopicGoneError,
    Meaning.RECORD: RecordTooLargeError,
    Meaning.TAKEN: InstanceIdTakenError,
    Meaning.REFUSED: BrokerRefusedError,
    Meaning.FATAL: BrokerError,
}

#: What has been seen of brokers, and what it must be: not read from the table.
SEEN: list[tuple[int, type[StreamsError], str]] = [
    (KafkaError._ALL_BROKERS_DOWN, BrokerUnreachableError, "check that it runs"),
    (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, BrokerUnreachableError, "leaders changing"),
    (KafkaError.NOT_ENOUGH_REPLICAS, BrokerUnreachableError, "min.insync.replicas"),
    (KafkaError.KAFKA_STORAGE_ERROR, BrokerUnreachableError, "disk"),
    (KafkaError.NOT_LEADER_FOR_PARTITION, BrokerUnreachableError, "leaders changing"),
    (KafkaError.ILLEGAL_GENERATION, TaskMigratedError, "comes again"),
    (KafkaError.UNKNOWN_MEMBER_ID, TaskMigratedError, "comes again"),
    (KafkaError._FENCED, TaskMigratedError, "comes again"),
    (KafkaError.INVALID_PRODUCER_EPOCH, TaskMigratedError, "comes again"),
    (KafkaError.UNKNOWN_TOPIC_OR_PART, TopicGoneError, "create it"),
    (KafkaError.MSG_SIZE_TOO_LARGE, RecordTooLargeError, "max.message.bytes"),
    (KafkaError.UNRELEASED_INSTANCE_ID, InstanceIdTakenError, "an id of its own"),
    (KafkaError.FENCED_INSTANCE_ID, BrokerError, "an id of its own"),
    (KafkaError.TOPIC_AUTHORIZATION_FAILED, BrokerRefusedError, "faust -A <app> acl"),
    (KafkaError.GROUP_AUTHORIZATION_FAILED, BrokerRefusedError, "faust -A <app> acl"),
    (KafkaError.CLUSTER_AUTHORIZATION_FAILED, BrokerRefusedError, "faust -A <app> acl"),
    (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, BrokerRefusedError, "faust -A <app> acl"),
    (KafkaError.SASL_AUTHENTICATION_FAILED, BrokerRefusedError, "sasl.mechanisms"),
    (KafkaError.UNSUPPORTED_VERSION, BrokerError, "Kafka 3.6"),
    (KafkaError.INVALID_REPLICATION_FACTOR, BrokerError, "replication_factor="),
    (KafkaError.POLICY_VIOLATION, BrokerError, "policy"),
    (KafkaError.INVALID_TRANSACTION_TIMEOUT, BrokerError, "transaction_timeout="),
]


def names() -> dict[str, int]:
    codes = {name: getattr(KafkaError, name) for name in dir(KafkaError) if name.isupper()}
    return {name: code for name, code in codes.items() if isinstance(code, int)}


def test_each_code_that_the_client_knows_is_in_the_table_or_cannot_come() -> None:
    elsewhere = {name for line in ELSEWHERE for name in line.split()}
    assert elsewhere <= names().keys()
    known = {code: name for name, code in names().items()}
    assert {known[code] for code in known if code not in CODES and code not in EVENTS} == elsewhere
    assert not CODES.keys() & EVENTS


@pytest.mark.parametrize("code", CODES, ids=lambda code: KafkaError(code).name())
def test_each_becomes_what_its_row_says_and_tells_what_to_do(code: int) -> None:
    error, row = translated(KafkaError(code), "host:9092", "doing this"), CODES[code]
    assert type(error) is BECOMES[row.meaning]
    assert [
        part
        for part in ("host:9092", "doing this", KafkaError(code).name(), row.advice)
        if part not in str(error)
    ] == []


@pytest.mark.parametrize(
    ("code", "kind", "advice"), SEEN, ids=[KafkaError(code).name() for code, _, _ in SEEN]
)
def test_what_brokers_say(code: int, kind: type[StreamsError], advice: str) -> None:
    error = translated(KafkaError(code), "host:9092", "doing this")
    assert type(error) is kind
    assert advice in str(error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError.UNRELEASED_INSTANCE_ID, InstanceIdTakenError),
        (KafkaError.FENCED_INSTANCE_ID, BrokerError),
        (KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, TaskMigratedError),
    ],
)
def test_what_ended_the_client_counts_as_what_its_text_tells(code: int, kind: type[StreamsError]) -> None:
    text = f"Fatal error: {KafkaError(code).str()}: and more"
    error = translated(KafkaError(KafkaError._FATAL, text), "host:9092", "doing this")
    assert type(error) is kind
    assert CODES[code].advice in str(error)


def test_a_code_that_a_later_broker_has_stops_the_worker_with_its_text() -> None:
    error = translated(KafkaError(9_999, "something new"), "host:9092", "doing this")
    assert type(error) is BrokerError
    assert "something new" in str(error)


def test_what_the_client_would_try_for_ever_is_refused_and_nothing_that_passes() -> None:
    passing = {Meaning.UNREACHABLE, Meaning.NOT_READY, Meaning.BACK, Meaning.NO_TOPIC, Meaning.RECORD}
    refused = {code for code in CODES if is_refusal(KafkaError(code))}
    assert refused > {
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError._SSL,
        KafkaError.GROUP_MAX_SIZE_REACHED,
    }
    assert {code for code in refused if CODES[code].meaning in passing} == set()
