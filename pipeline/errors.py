"""What can go wrong, and who says so.

Every error names the operator, the user's function with file and line, or the topic, partition
and offset it concerns, and what to do about it.
"""

from __future__ import annotations


class StreamsError(Exception):
    """Base of every error that this library raises on purpose."""


class TopologyError(StreamsError):
    """The topology as declared cannot run: raised when it is declared or when the worker starts."""


class ConfigError(StreamsError):
    """A setting has a value that cannot work."""


class RecordError(StreamsError):
    """One record cannot be processed; the others can. A setting for each kind says what becomes of it."""


class SerdeError(RecordError):
    """A record's bytes could not be decoded, or its time not be read: `on_decode_error` decides."""


class NoTimeError(SerdeError):
    """A timestamp extractor says that a record has no time: no error, the record is dropped (rule a1.1)."""


class ProcessingError(RecordError):
    """A user's function raised, or returned what it must not: `on_processing_error` decides."""


class ProduceError(RecordError):
    """A record could not be encoded, or a topic does not take it: `on_produce_error` decides."""


class RecordTooLargeError(ProduceError):
    """A record exceeds what may be produced."""


class UnhandledRecordError(StreamsError):
    """A record failed, and the settings say to stop the worker."""


class BufferFullError(StreamsError):
    """More is held back than was allowed, and the worker is to stop then."""


class UnknownTopicError(ProduceError):
    """A record was to be written to a topic that does not exist."""


class AskError(StreamsError):
    """An agent that was asked did not answer in time, or could not be asked."""


class OutsideAgentError(StreamsError):
    """Something was used outside of an agent that belongs to an agent's task."""


class StateError(StreamsError):
    """A state store cannot be opened, read or written."""


class CorruptStoreError(StateError):
    """A state store's files are damaged: it cannot be used any more, and has to be restored."""


class NoOffsetError(StreamsError):
    """A partition has no offset to begin at, and its source does not say where else: the worker stops."""


class BrokerError(StreamsError):
    """The broker refused a request, or a record could not be delivered."""


class BrokerUnreachableError(BrokerError):
    """No broker answers at the address; the message names it."""


class BrokerRefusedError(BrokerError):
    """The broker does not accept who the application says it is, or does not allow what it does."""


class RegistryUnreachableError(BrokerUnreachableError):
    """No schema registry answers at the address; it is asked again, as a broker is."""


class RegistryRefusedError(BrokerRefusedError):
    """The schema registry does not take a schema, or does not allow what is asked of it."""


class UnsupportedRequestError(BrokerError):
    """The broker does not know a request; what needs it is left undone."""


class TopicGoneError(BrokerError):
    """A topic that is being read does not exist any more."""


class DeliveryError(BrokerError):
    """Records handed to the producer were not delivered."""


class InstanceIdTakenError(BrokerError):
    """Another member of the group has this worker's `group_instance_id`."""


class RewindError(BrokerError):
    """What is in hand cannot be finished: the worker goes back to its last commit, and tries again."""


class TaskMigratedError(RewindError):
    """A partition belongs to another worker by now, so its offsets cannot be committed."""


class StuckError(StreamsError):
    """The worker went back to its last commit too often without getting past it."""
