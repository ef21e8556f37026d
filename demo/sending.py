"""Sending records to the broker at the times they ask for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from pipeline.clock import Clock
from pipeline.errors import DeliveryError
from pipeline.record import NO_HEADERS
from pipeline.runtime.producer import Producer

#: The shortest wait for the next record's time: what is due by then goes together.
_TICK_MS: Final = 20
#: How many records are sent before the broker's acknowledgements are waited for.
_UNACKNOWLEDGED: Final = 5_000
#: How long, in ms of the records' own times, acknowledgements may be outstanding.
_UNACKNOWLEDGED_MS: Final = 1_000
_FLUSH_TIMEOUT_S: Final = 30.0
_ANY_PARTITION: Final = -1
_TIME_OF_WRITING: Final = -1


class Outgoing(NamedTuple):
    """A record to send.

    Attributes:
        topic: where to.
        value: value bytes.
        key: key bytes or None.
        at_ms: when, in ms since the epoch, which is the record's timestamp too; None: at once.
    """

    topic: str
    value: bytes
    key: bytes | None = None
    at_ms: int | None = None


class StopRequest(Protocol):
    """Something that can be asked, and waited for: see `demo.stop.Stop`."""

    def requested(self) -> bool:
        """Whether it is time to stop."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Wait at most `timeout_s`, and return whether it is time to stop."""
        ...


def send(records: Iterable[Outgoing], producer: Producer, clock: Clock, stop: StopRequest) -> int:
    """Send records, each not before its time, until there are no more or it is time to stop.

    Returns:
        How many were sent and acknowledged.

    Raises:
        DeliveryError: the broker refused one.
        BrokerUnreachableError: it does not acknowledge.
    """
    sent, acknowledged, acknowledged_ms = 0, 0, clock.now_ms()
    for record in records:
        if record.at_ms is not None and (ahead := record.at_ms - clock.now_ms()) > 0:
            stop.wait(max(ahead, _TICK_MS) / 1_000)
        if stop.requested():
            break
        timestamp = _TIME_OF_WRITING if record.at_ms is None else record.at_ms
        producer.produce(record.topic, record.value, record.key, _ANY_PARTITION, timestamp, NO_HEADERS)
        sent += 1
        now_ms = clock.now_ms()
        if sent - acknowledged >= _UNACKNOWLEDGED or now_ms - acknowledged_ms >= _UNACKNOWLEDGED_MS:
            acknowledge(producer)
            acknowledged, acknowledged_ms = sent, now_ms
    acknowledge(producer)
    return sent


def acknowledge(producer: Producer) -> None:
    """Wait until the broker has everything.

    Raises:
        DeliveryError: it refused a record.
        BrokerUnreachableError: it does not answer within 30 s.
    """
    refused = producer.flush(_FLUSH_TIMEOUT_S)
    if refused:
        first = refused[0]
        raise DeliveryError(
            f"{first.topic}: the broker refused {len(refused)} records, the first for {first.reason}"
        )
