"""Writing from outside of agents: timers, views, tasks, scripts."""

from __future__ import annotations

import asyncio
import threading

from pipeline.errors import DeliveryError
from pipeline.record import Headers
from pipeline.runtime.broker import Broker

#: How long a record may wait for its acknowledgement.
_FLUSH_S = 30.0


class Outbox:
    """Writes records with a producer of its own, thread-safe.

    Args:
        broker: where to.
    """

    def __init__(self, broker: Broker) -> None:
        self._producer = broker.producer("outbox")
        self._lock = threading.Lock()

    async def write(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> None:
        """Write a record, and wait until it is acknowledged.

        Raises:
            BrokerUnreachableError: it was not acknowledged in time.
            DeliveryError: the broker refused it.
        """
        await asyncio.to_thread(self._write, topic, value, key, partition, timestamp, headers)

    def _write(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> None:
        with self._lock:
            self._producer.produce(topic, value, key, partition, timestamp, headers)
            refused = self._producer.flush(_FLUSH_S)
        if refused:
            raise DeliveryError(f"topic {topic!r} refused a record: {refused[0].reason}")

    def close(self) -> None:
        """Free the connection."""
        self._producer.close()
