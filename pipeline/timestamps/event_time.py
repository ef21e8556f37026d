"""Event time as a timestamp extractor, with a declared policy for records that have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from pipeline.errors import ConfigError, StreamsError
from pipeline.record import Record
from pipeline.timestamps.formats import DEFAULT_FORMATS, Format, TimestampParser
from pipeline.timestamps.instant import NS_PER_MS


class TimestampError(StreamsError):
    """A record has no usable event time, and its policy is to reject it."""


class Policy(Enum):
    """What to use as event time where the event gives none, or none that can be read."""

    RECORD_TIME = "record time"
    """The timestamp that the producer or the broker gave the record."""
    PARTITION_TIME = "partition time"
    """The highest event time seen so far on the record's partition."""
    REJECT = "reject"
    """Raise `TimestampError`: the record goes where the error handler sends it."""


class EventTime:
    """Event time from a field of the value: a timestamp extractor for a source topic.

    >>> at = EventTime("timestamp", missing=Policy.RECORD_TIME)
    >>> at(Record(None, {"timestamp": "2023-01-29T08:42:09Z"}, timestamp=0), -1)
    1674981729000

    Args:
        field: the field's name, or several of which the first present counts. `a.b` is the field
            of that name, or else `b` within `a`.
        formats: names, patterns or `Format`s, tried in order.
        missing: what counts where no field is there (or all are null).
        invalid: what counts where the field is there and no format fits.
    """

    __slots__ = ("_fields", "_invalid", "_missing", "_parse")

    def __init__(
        self,
        field: str | Sequence[str],
        formats: Sequence[str | Format] = DEFAULT_FORMATS,
        *,
        missing: Policy = Policy.REJECT,
        invalid: Policy = Policy.REJECT,
    ) -> None:
        self._fields = (field,) if isinstance(field, str) else tuple(field)
        if not self._fields:
            raise ConfigError("an event time needs the name of the field it is read from")
        self._parse = TimestampParser(formats)
        self._missing = missing
        self._invalid = invalid

    def __call__(self, record: Record[Any, Any], partition_time: int) -> int:
        """Extract the event time.

        Args:
            record: the record as consumed, its value decoded (a mapping or a Struct).
            partition_time: highest event time seen on the partition, in ms; -1: none yet.

        Returns:
            Milliseconds since the epoch.

        Raises:
            TimestampError: by policy, or because what the policy falls back to is unknown too.
        """
        for field in self._fields:
            found = _field(record.value, field)
            if found is not None:
                ns = self._parse(found, record.timestamp)
                if ns is not None:
                    return ns // NS_PER_MS
                reason = f"field {field!r}: {_excerpt(found)} is none of {self._parse}"
                return _fall_back(self._invalid, reason, record.timestamp, partition_time)
        reason = f"no field {' or '.join(map(repr, self._fields))} in the value"
        return _fall_back(self._missing, reason, record.timestamp, partition_time)


def _fall_back(policy: Policy, reason: str, record_time: int, partition_time: int) -> int:
    """Apply a policy. A negative fallback is an unknown one, as in Kafka Streams' extractors."""
    if policy is Policy.REJECT:
        raise TimestampError(
            f"no event time: {reason}. Correct the producer, declare the format it uses, "
            "or let EventTime fall back to another time"
        )
    fallback = record_time if policy is Policy.RECORD_TIME else partition_time
    if fallback < 0:
        raise TimestampError(f"no event time: {reason}, and the {policy.value} is not known either")
    return fallback


def _field(value: Any, name: str) -> Any:
    """Return a field of a mapping or of an object, None where there is none."""
    if type(value) is not dict and not isinstance(value, Mapping):
        return getattr(value, name, None)
    found = value.get(name)
    if found is None and "." in name:
        outer, _, inner = name.partition(".")
        nested = value.get(outer)
        return None if nested is None else _field(nested, inner)
    return found


def _excerpt(value: Any) -> str:
    """Show a value in a message, cut to a length that a header can carry."""
    longest = 40
    text = repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
    return text if len(text) <= longest else f"{text[:longest]}..."
