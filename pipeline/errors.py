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
    """One record cannot be processed; the others can. Goes to the dead letters if there is a topic."""


class SerdeError(RecordError):
    """A record's bytes could not be decoded, or its time not be read."""


class ProcessingError(RecordError):
    """A user's function raised while a record was processed, or its result could not be encoded."""


class RecordTooLargeError(RecordError):
    """A record exceeds what may be produced."""


class UnhandledRecordError(StreamsError):
    """A record failed and there is no dead-letter topic to put it aside: the worker stops."""


class UnknownTopicError(RecordError):
    """A record was to be written to a topic that does not exist."""


class StateError(StreamsError):
    """A state store cannot be opened, read or written."""


class BrokerError(StreamsError):
    """The broker refused a request, or a record could not be delivered."""


class BrokerUnreachableError(BrokerError):
    """No broker answers at the address; the message names it."""


class DeliveryError(BrokerError):
    """Records handed to the producer were not delivered."""


class TaskMigratedError(BrokerError):
    """A partition belongs to another worker by now, so its offsets cannot be committed."""
