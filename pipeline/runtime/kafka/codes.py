"""Every error code of librdkafka 2.16 that can reach the worker: what it means, and what to do.

Codes below zero are the client's own, the others the broker's
(https://kafka.apache.org/protocol#protocol_error_codes). A code that is not here, such as one that a later
broker has, stops the worker with its text.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from confluent_kafka import KafkaError


class Meaning(Enum):
    """What the worker makes of an error."""

    #: Nobody answers. It asks again, with pauses that grow to 15 s; `/ready` says why.
    UNREACHABLE = "unreachable"
    #: Somebody answers who cannot do it yet. Likewise.
    NOT_READY = "not ready"
    #: What is in hand cannot be committed. It goes back to its last commit, and joins the group again.
    BACK = "back to the last commit"
    #: The topic is not there. It stops, unless the topic matched a pattern.
    NO_TOPIC = "no topic"
    #: One record is refused: `on_produce_error` decides.
    RECORD = "record"
    #: The broker says no to who the application is, or what it may do. It stops, with exit code 1.
    REFUSED = "refused"
    #: What is asked cannot be done, and could not the next time. Likewise.
    FATAL = "fatal"
    #: Another member has the `group_instance_id`. It asks again for a while, then it stops.
    TAKEN = "instance id taken"


class Row(NamedTuple):
    """What a code means, and what the reader of the message can do about it."""

    meaning: Meaning
    advice: str


#: What to do where nobody answers.
RUNS: Final = (
    "check that it runs, that the address is right, and that security.protocol is what is spoken there"
)
_MOMENT: Final = "brokers are starting, or leaders changing: look at their logs if it lasts"
_REPLICAS: Final = "start the brokers that are missing, or lower min.insync.replicas of the topic"
_AGAIN: Final = "what was in hand comes again"
_RIGHTS: Final = "it does not allow this: `faust -A <app> acl` prints the rights that are needed"
_LOGIN: Final = (
    "it does not accept who the application says it is: check the user, the password and sasl.mechanisms, in "
    "broker_credentials= or broker_settings="
)
_TLS: Final = (
    "no secure connection: check that ssl.ca.location names the certificate of who signed the broker's, and "
    "that the broker speaks TLS at this port"
)
_OLD: Final = "the broker is too old for it: brokers from Kafka 3.6 on are needed"
_CREATE: Final = "create the topic by hand, or change what the broker allows"
_DAMAGED: Final = "what the broker holds is damaged, or a proxy changes it: look at the broker's log"
_PRODUCER: Final = (
    "the broker has forgotten the producer, or taken it for another; what was in hand comes again"
)
_DEFECT: Final = "the client cannot go on: start the worker again, and report it if it comes again"
_INSTANCE: Final = (
    "another worker runs with the same group_instance_id, or one that crashed is not yet given up by the "
    "broker (its session timeout): give each worker an id of its own"
)

#: By code. librdkafka's own names begin with an underscore.
CODES: Final[dict[int, Row]] = {
    # Nobody answers.
    KafkaError._ALL_BROKERS_DOWN: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError._RESOLVE: Row(Meaning.UNREACHABLE, "check the host's name and the resolver"),
    KafkaError._TIMED_OUT: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError._TIMED_OUT_QUEUE: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError._MSG_TIMED_OUT: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError._TRANSPORT: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError._WAIT_COORD: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError._WAIT_CACHE: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError._DESTROY_BROKER: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError._NODE_UPDATE: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError._UNKNOWN_BROKER: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError.BROKER_NOT_AVAILABLE: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError.NETWORK_EXCEPTION: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError.REQUEST_TIMED_OUT: Row(Meaning.UNREACHABLE, RUNS),
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS: Row(Meaning.UNREACHABLE, _MOMENT),
    KafkaError.COORDINATOR_NOT_AVAILABLE: Row(Meaning.UNREACHABLE, _MOMENT),
    KafkaError.NOT_COORDINATOR: Row(Meaning.UNREACHABLE, _MOMENT),
    KafkaError.NOT_CONTROLLER: Row(Meaning.UNREACHABLE, _MOMENT),
    KafkaError.REBOOTSTRAP_REQUIRED: Row(Meaning.UNREACHABLE, _MOMENT),
    # Somebody answers who cannot do it yet.
    KafkaError._ISR_INSUFF: Row(Meaning.NOT_READY, _REPLICAS),
    KafkaError._RETRY: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError._PREV_IN_PROGRESS: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError._IN_PROGRESS: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.CONCURRENT_TRANSACTIONS: Row(Meaning.NOT_READY, "the transaction before is being ended"),
    KafkaError.ELIGIBLE_LEADERS_NOT_AVAILABLE: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.FENCED_LEADER_EPOCH: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.FETCH_SESSION_ID_NOT_FOUND: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.INCONSISTENT_TOPIC_ID: Row(Meaning.NOT_READY, "the topic was made anew"),
    KafkaError.INVALID_FETCH_SESSION_EPOCH: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.KAFKA_STORAGE_ERROR: Row(Meaning.NOT_READY, "a disk of the broker fails: look at its log"),
    KafkaError.LEADER_NOT_AVAILABLE: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.LOG_DIR_NOT_FOUND: Row(Meaning.NOT_READY, "a disk of the broker fails: look at its log"),
    KafkaError.NOT_ENOUGH_REPLICAS: Row(Meaning.NOT_READY, _REPLICAS),
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND: Row(Meaning.NOT_READY, _REPLICAS),
    KafkaError.NOT_LEADER_FOR_PARTITION: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.OFFSET_NOT_AVAILABLE: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.OPERATION_NOT_ATTEMPTED: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.PREFERRED_LEADER_NOT_AVAILABLE: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.REASSIGNMENT_IN_PROGRESS: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.REPLICA_NOT_AVAILABLE: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.STALE_BROKER_EPOCH: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.STALE_CTRL_EPOCH: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.THROTTLING_QUOTA_EXCEEDED: Row(Meaning.NOT_READY, "a quota of the broker is used up"),
    KafkaError.UNKNOWN_LEADER_EPOCH: Row(Meaning.NOT_READY, _MOMENT),
    KafkaError.UNKNOWN_TOPIC_ID: Row(Meaning.NOT_READY, "the topic was made anew"),
    KafkaError.UNSTABLE_OFFSET_COMMIT: Row(Meaning.NOT_READY, "a transaction is open: it ends by itself"),
    # What is in hand cannot be committed.
    KafkaError._ASSIGNMENT_LOST: Row(Meaning.BACK, _AGAIN),
    KafkaError._FENCED: Row(Meaning.BACK, _AGAIN),
    KafkaError._GAPLESS_GUARANTEE: Row(Meaning.BACK, _PRODUCER),
    KafkaError._INCONSISTENT: Row(Meaning.BACK, _PRODUCER),
    KafkaError._PURGE_INFLIGHT: Row(Meaning.BACK, _AGAIN),
    KafkaError._PURGE_QUEUE: Row(Meaning.BACK, _AGAIN),
    KafkaError.DUPLICATE_SEQUENCE_NUMBER: Row(Meaning.BACK, _PRODUCER),
    KafkaError.FENCED_MEMBER_EPOCH: Row(Meaning.BACK, _AGAIN),
    KafkaError.ILLEGAL_GENERATION: Row(Meaning.BACK, _AGAIN),
    KafkaError.INVALID_PRODUCER_EPOCH: Row(Meaning.BACK, _PRODUCER),
    KafkaError.INVALID_PRODUCER_ID_MAPPING: Row(Meaning.BACK, _PRODUCER),
    KafkaError.INVALID_TXN_STATE: Row(Meaning.BACK, _AGAIN),
    KafkaError.MEMBER_ID_REQUIRED: Row(Meaning.BACK, _AGAIN),
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER: Row(Meaning.BACK, _PRODUCER),
    KafkaError.PRODUCER_FENCED: Row(Meaning.BACK, _AGAIN),
    KafkaError.REBALANCE_IN_PROGRESS: Row(Meaning.BACK, _AGAIN),
    KafkaError.STALE_MEMBER_EPOCH: Row(Meaning.BACK, _AGAIN),
    KafkaError.TRANSACTION_ABORTABLE: Row(Meaning.BACK, _AGAIN),
    KafkaError.TRANSACTION_COORDINATOR_FENCED: Row(Meaning.BACK, _AGAIN),
    KafkaError.UNKNOWN_MEMBER_ID: Row(Meaning.BACK, _AGAIN),
    KafkaError.UNKNOWN_PRODUCER_ID: Row(Meaning.BACK, _PRODUCER),
    # The topic is not there.
    KafkaError._UNKNOWN_PARTITION: Row(Meaning.NO_TOPIC, "create it"),
    KafkaError._UNKNOWN_TOPIC: Row(Meaning.NO_TOPIC, "create it"),
    KafkaError.UNKNOWN_TOPIC_OR_PART: Row(Meaning.NO_TOPIC, "create it"),
    # One record is refused.
    KafkaError.INVALID_MSG_SIZE: Row(Meaning.RECORD, "raise max.message.bytes of the topic"),
    KafkaError.INVALID_RECORD: Row(
        Meaning.RECORD, "the topic is compacted and wants a key, or refuses it otherwise"
    ),
    KafkaError.INVALID_TIMESTAMP: Row(
        Meaning.RECORD, "raise message.timestamp.before.max.ms or message.timestamp.after.max.ms of the topic"
    ),
    KafkaError.MSG_SIZE_TOO_LARGE: Row(Meaning.RECORD, "raise max.message.bytes of the topic"),
    KafkaError.RECORD_LIST_TOO_LARGE: Row(
        Meaning.RECORD, "raise max.message.bytes and segment.bytes of the topic"
    ),
    # Another member has the instance id. Who is fenced must not join again: it would fence the other one.
    KafkaError.FENCED_INSTANCE_ID: Row(Meaning.FATAL, _INSTANCE),
    KafkaError.UNRELEASED_INSTANCE_ID: Row(Meaning.TAKEN, _INSTANCE),
    # Who we are.
    KafkaError._AUTHENTICATION: Row(Meaning.REFUSED, _LOGIN),
    KafkaError._SSL: Row(Meaning.REFUSED, _TLS),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: Row(Meaning.REFUSED, _RIGHTS),
    KafkaError.DELEGATION_TOKEN_AUTHORIZATION_FAILED: Row(Meaning.REFUSED, _LOGIN),
    KafkaError.DELEGATION_TOKEN_EXPIRED: Row(Meaning.REFUSED, _LOGIN),
    KafkaError.GROUP_AUTHORIZATION_FAILED: Row(Meaning.REFUSED, _RIGHTS),
    KafkaError.ILLEGAL_SASL_STATE: Row(Meaning.REFUSED, _LOGIN),
    KafkaError.PRINCIPAL_DESERIALIZATION_FAILURE: Row(Meaning.REFUSED, _LOGIN),
    KafkaError.SASL_AUTHENTICATION_FAILED: Row(Meaning.REFUSED, _LOGIN),
    KafkaError.SECURITY_DISABLED: Row(Meaning.REFUSED, _RIGHTS),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: Row(Meaning.REFUSED, _RIGHTS),
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Row(Meaning.REFUSED, _RIGHTS),
    KafkaError.UNSUPPORTED_SASL_MECHANISM: Row(Meaning.REFUSED, _LOGIN),
    # What we ask.
    KafkaError._NOT_IMPLEMENTED: Row(Meaning.FATAL, _OLD),
    KafkaError._UNKNOWN_PROTOCOL: Row(Meaning.FATAL, _OLD),
    KafkaError._UNSUPPORTED_FEATURE: Row(Meaning.FATAL, _OLD),
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT: Row(Meaning.FATAL, _OLD),
    KafkaError.UNSUPPORTED_VERSION: Row(Meaning.FATAL, _OLD),
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE: Row(
        Meaning.FATAL, "choose another compression.type in broker_settings="
    ),
    KafkaError.INVALID_CONFIG: Row(Meaning.FATAL, _CREATE),
    KafkaError.INVALID_PARTITIONS: Row(Meaning.FATAL, _CREATE),
    KafkaError.INVALID_REPLICATION_FACTOR: Row(
        Meaning.FATAL, "there are fewer brokers than replicas: start them, or set replication_factor="
    ),
    KafkaError.INVALID_REPLICA_ASSIGNMENT: Row(Meaning.FATAL, _CREATE),
    KafkaError.POLICY_VIOLATION: Row(
        Meaning.FATAL,
        "the broker's create.topic.policy does not allow the topic: create it by hand, or change the policy",
    ),
    KafkaError.TOPIC_EXCEPTION: Row(Meaning.FATAL, "the broker does not take the topic's name"),
    KafkaError.INVALID_GROUP_ID: Row(Meaning.FATAL, "choose another application id"),
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: Row(
        Meaning.FATAL,
        "members of the group, maybe of another program, use another assignor or protocol: stop them, or "
        "choose another application id",
    ),
    KafkaError.INVALID_SESSION_TIMEOUT: Row(
        Meaning.FATAL,
        "choose a session_timeout= between group.min.session.timeout.ms and group.max.session.timeout.ms of "
        "the broker",
    ),
    KafkaError.UNSUPPORTED_ASSIGNOR: Row(
        Meaning.FATAL, "add range to group.consumer.assignors of the broker, which has it by default"
    ),
    KafkaError.GROUP_MAX_SIZE_REACHED: Row(
        Meaning.FATAL, "raise group.max.size of the broker, or run fewer workers"
    ),
    KafkaError.INVALID_REGULAR_EXPRESSION: Row(Meaning.FATAL, _DEFECT),
    KafkaError.OFFSET_METADATA_TOO_LARGE: Row(
        Meaning.FATAL, "raise offset.metadata.max.bytes of the broker to 4096"
    ),
    KafkaError.INVALID_COMMIT_OFFSET_SIZE: Row(
        Meaning.FATAL, "raise max.message.bytes of __consumer_offsets"
    ),
    KafkaError.INVALID_TRANSACTION_TIMEOUT: Row(
        Meaning.FATAL, "set transaction_timeout= below transaction.max.timeout.ms of the broker"
    ),
    KafkaError.INVALID_REQUIRED_ACKS: Row(
        Meaning.FATAL, "acks must be all: leave it out of broker_settings="
    ),
    KafkaError.INVALID_REQUEST: Row(Meaning.FATAL, _DEFECT),
    # What nobody can mend from here.
    KafkaError._BAD_COMPRESSION: Row(Meaning.FATAL, _DAMAGED),
    KafkaError._BAD_MSG: Row(Meaning.FATAL, _DAMAGED),
    KafkaError._LOG_TRUNCATION: Row(Meaning.FATAL, _DAMAGED),
    KafkaError.INVALID_MSG: Row(Meaning.FATAL, _DAMAGED),
    KafkaError._CONFLICT: Row(Meaning.FATAL, _DEFECT),
    KafkaError._CRIT_SYS_RESOURCE: Row(Meaning.FATAL, "the machine is out of memory, threads or files"),
    KafkaError._DESTROY: Row(Meaning.FATAL, _DEFECT),
    KafkaError._FAIL: Row(Meaning.FATAL, _DEFECT),
    KafkaError._FATAL: Row(Meaning.FATAL, _DEFECT),
    KafkaError._FS: Row(Meaning.FATAL, "look at the machine's disk"),
    KafkaError._INVALID_ARG: Row(Meaning.FATAL, "check broker_settings="),
    KafkaError._INVALID_TYPE: Row(Meaning.FATAL, _DEFECT),
    KafkaError._NOT_CONFIGURED: Row(Meaning.FATAL, "check broker_settings="),
    KafkaError._STATE: Row(Meaning.FATAL, _DEFECT),
    KafkaError.UNKNOWN: Row(Meaning.FATAL, "look at the broker's log"),
}

#: No errors: whoever meets them knows what to do, and they go no further.
EVENTS: Final = frozenset(
    {
        KafkaError.NO_ERROR,
        KafkaError._ASSIGN_PARTITIONS,
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError._NOOP,
        KafkaError._NO_OFFSET,
        KafkaError._OUTDATED,
        KafkaError._PARTITION_EOF,
        KafkaError._QUEUE_FULL,
        KafkaError._REVOKE_PARTITIONS,
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError.TOPIC_ALREADY_EXISTS,
    }
)


def having(*meanings: Meaning) -> frozenset[int]:
    """Return the codes with one of these meanings."""
    return frozenset(code for code, row in CODES.items() if row.meaning in meanings)
