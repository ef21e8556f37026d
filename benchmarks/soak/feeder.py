"""Events at a steady rate, made before: what feeds must cost little on a machine that it shares."""

from __future__ import annotations

import json
import random
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

VALUE_BYTES: Final = 1_000
USERS: Final = 10_000
#: So many events are made, and sent over and over.
_PREPARED: Final = 20_000
_SEED: Final = 11
_FLUSH_S: Final = 60.0


class Feeder:
    """Sends prepared events to a topic.

    Args:
        address: bootstrap address.
        topic: where to.

    Attributes:
        sent: number of events so far.
        refused: those that the broker did not take.
    """

    def __init__(self, address: str, topic: str) -> None:
        self.sent = 0
        self.refused: list[KafkaError] = []
        self._topic = topic
        self._events = [prepared_event(number) for number in range(_PREPARED)]
        self._client = Producer(
            {
                "bootstrap.servers": address,
                "partitioner": "murmur2_random",
                "linger.ms": 50,
                "batch.size": 512 * 1024,
                "delivery.report.only.error": True,
                "on_delivery": self._on_delivery,
                "log_level": 3,
            }
        )

    def send_up_to(self, count: int) -> None:
        """Send events until `count` have been sent since the start; waits while the queue is full."""
        produce, events, topic = self._client.produce, self._events, self._topic
        while self.sent < count:
            key, value = events[self.sent % _PREPARED]
            try:
                produce(topic, value, key)
            except BufferError:
                self._client.poll(0.05)
            else:
                self.sent += 1
        self._client.poll(0)

    def flush(self) -> None:
        """Wait until all are there.

        Raises:
            TimeoutError: the broker does not take them.
        """
        left = self._client.flush(_FLUSH_S)
        if left or self.refused:
            raise TimeoutError(f"{left} events not taken, {len(self.refused)} refused: {self.refused[:1]}")

    def close(self) -> None:
        """Free the connection."""
        self._client.close()

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self.refused.append(error)


def prepared_event(number: int) -> tuple[bytes, bytes]:
    """Return key and value of an event, the same in every run."""
    draw = random.Random(_SEED * _PREPARED + number)
    user = f"user-{draw.randrange(USERS):05}"
    event = {
        "id": f"{number:08}",
        "severity": draw.choice(("INFO", "WARN", "ERROR")),
        "service": draw.choice(("checkout", "catalog", "payment", "frontend")),
        "user": user,
        "bytes": draw.randrange(10_000),
        "message": f"GET /cart for mary{number % 97}@example.com",
        "attributes": {f"attribute.{place}": f"{draw.getrandbits(64):016x}" for place in range(20)},
    }
    value = json.dumps(event, separators=(",", ":")).encode()
    padding = VALUE_BYTES - len(value) - len(',"padding":""')
    return user.encode(), value[:-1] + b',"padding":"' + b"." * padding + b'"}'
