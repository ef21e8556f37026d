"""Produces events at a pace, each with the moment it was produced in it: `python -m benchmarks.live.feed`.

A process of its own, so that it does not wait for whoever reads the results. Events of one tick go to one
partition, partitions take turns: a request a tick, so that the feeder itself burdens the broker little.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Final

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from benchmarks.digest import Digest
from benchmarks.events import make_events, random_users
from benchmarks.topics import PARTITIONS
from benchmarks.works.work import check
from pipeline.clock import SystemClock

#: The value begins with `{"id":"0000000123"`: microseconds take the place of the number.
_DIGITS: Final = slice(7, 17)
_MODULUS: Final = 10**10
#: Values are made beforehand, and come again.
_POOL: Final = 5_000
_TICK_S: Final = 0.002
_FLUSH_TIMEOUT_S: Final = 60.0
_NS: Final = 1_000


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be fed.

    Attributes:
        address: bootstrap servers.
        topic: where to.
        rate: events a second; 0: as fast as it goes.
        events: how many.
    """

    address: str
    topic: str
    rate: float
    events: int


class Fed(msgspec.Struct, frozen=True, kw_only=True):
    """What was fed.

    Attributes:
        seconds: how long it took.
        late_ms: how far behind its pace it was, at most.
        routed: how many events the route must write.
        checksum: of them; see `fingerprint`.
    """

    seconds: float
    late_ms: float
    routed: int
    checksum: int

    def check(self, found: Digest, name: str) -> None:
        """Compare with what a contender has written.

        Raises:
            ResultError: it is wrong.
        """
        check(f"records routed by {name}", found, Digest(self.routed, self.checksum))


def now_us() -> int:
    """Return a moment that every process of the machine agrees on, in microseconds modulo 10**10."""
    return time.perf_counter_ns() // _NS % _MODULUS


def age_us(value: bytes, now: int) -> int:
    """Return how long ago, in microseconds, the event was produced that a value is made of."""
    return (now - int(value[_DIGITS])) % _MODULUS


def stamped(value: bytes, moment: int) -> bytes:
    """Return the value of an event that is produced at this moment."""
    return b"%b%010d%b" % (value[: _DIGITS.start], moment, value[_DIGITS.stop :])


def fingerprint(digest: Digest, key: bytes, value: bytes) -> None:
    """Add what was routed, apart from the moment in it."""
    digest.add(key, value[_DIGITS.stop :])


def feed(order: Feed) -> Fed:
    """Produce events at the pace that is ordered.

    Raises:
        RuntimeError: an event could not be delivered.
    """
    feeder = _Feeder(order)
    feeder.run()
    return feeder.fed()


class _Feeder:
    """Produces one order's events."""

    def __init__(self, order: Feed) -> None:
        self._order = order
        self._pool = list(make_events(_POOL, 0, _POOL, random_users()))
        self._clock, self._failures = SystemClock(), list[KafkaError]()
        self._sent, self._tick, self._late, self._seconds = 0, 0, 0.0, 0.0
        self._producer = Producer(
            {
                "bootstrap.servers": order.address,
                "acks": "all",
                "linger.ms": 0 if order.rate else 5,
                "queue.buffering.max.messages": 200_000,
                "delivery.report.only.error": True,
                "on_delivery": self._failed,
            }
        )
        # The first record would make the client look for the topic.
        self._producer.list_topics(order.topic, timeout=_FLUSH_TIMEOUT_S)

    def _failed(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failures.append(error)

    def run(self) -> None:
        """Produce them all."""
        order, waiting, begun = self._order, threading.Event(), time.perf_counter()
        while self._sent < order.events:
            passed = time.perf_counter() - begun
            if order.rate:
                due = min(order.events, int(passed * order.rate) + 1)
                if due > self._sent:
                    self._late = max(self._late, passed - self._sent / order.rate)
                self._produce_up_to(due)
                waiting.wait(max(0.0, tick_after(passed) - (time.perf_counter() - begun)))
            else:
                self._produce_up_to(min(order.events, self._sent + _POOL))
        self._seconds = time.perf_counter() - begun

    def _produce_up_to(self, due: int) -> None:
        """Produce a tick's events."""
        produce, topic, pool = self._producer.produce, self._order.topic, self._pool
        self._tick += 1
        partition, timestamp = self._tick % PARTITIONS, self._clock.now_ms()
        for number in range(self._sent, due):
            event = pool[number % _POOL]
            value = stamped(event.value, now_us())
            while True:
                try:
                    produce(topic, value, event.key, partition, None, None, timestamp)
                except BufferError:
                    self._producer.poll(_TICK_S)
                else:
                    break
        self._sent = max(self._sent, due)
        self._producer.poll(0)

    def fed(self) -> Fed:
        """Wait for acknowledgements, and return what was fed."""
        left = self._producer.flush(_FLUSH_TIMEOUT_S)
        if left or self._failures:
            raise RuntimeError(f"{left} events unacknowledged, failures: {self._failures[:3]}")
        digest = Digest()
        for number in range(self._order.events):
            event = self._pool[number % _POOL]
            if event.routed is not None:
                fingerprint(digest, event.key, event.routed)
        return Fed(
            seconds=self._seconds,
            late_ms=self._late * 1_000,
            routed=digest.records,
            checksum=digest.checksum,
        )


def tick_after(passed_s: float) -> float:
    """Return when the next tick begins, in seconds since the first one."""
    return (passed_s // _TICK_S + 1) * _TICK_S


def main() -> None:
    """Feed what the command line says; print what was fed."""
    print(msgspec.json.encode(feed(msgspec.json.decode(sys.argv[1], type=Feed))).decode())


if __name__ == "__main__":
    main()
