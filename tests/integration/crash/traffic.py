"""Orders and payments that keep coming while workers and brokers are killed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import msgspec

from pipeline.errors import BrokerUnreachableError
from tests.integration.crash.topology import (
    LATE,
    ORDERS,
    PAYMENTS,
    REGIONS,
    USERS,
    Order,
    Payment,
)
from tests.integration.flagship.topics import Outgoing, Topics

_USERS: Final = 40
_REGIONS: Final = 7
#: Written at once, and the pause after it.
_BATCH: Final = 25
_PAUSE_S: Final = 0.2
#: One order in so many is no order at all; one payment in so many comes twice.
_BROKEN_EVERY: Final = 97
_TWICE_EVERY: Final = 10
#: How long a batch may be unacknowledged before it is written again by a new client: after a broker has died,
#: the client may keep records for a leader that it never finds (librdkafka 2.16; issues 5401, 5430, 5593).
_ACKNOWLEDGED_S: Final = 30.0
#: Event time, ms: of the first order, and from one to the next.
_BEGINNING: Final = 1_767_225_600_000
_STEP: Final = 50


class Traffic:
    """Writes orders and payments, and remembers the orders; each is in its topic at least once.

    Args:
        topics: the broker.
        seed: of what is in them.
    """

    def __init__(self, topics: Topics, seed: int) -> None:
        self._topics = topics
        self._random = random.Random(seed)
        self.orders: list[Order] = []
        self._now = _BEGINNING
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def tables(self) -> None:
        """Write what orders are joined with, before the first of them."""
        users = [Outgoing(USERS, user.encode(), city_of(user).encode(), 1) for user in _names("user", _USERS)]
        regions = [
            Outgoing(REGIONS, region.encode(), name_of(region).encode(), 1)
            for region in _names("region", _REGIONS)
        ]
        self._topics.write([*users, *regions])

    def begin(self) -> None:
        """Keep writing, in a thread."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="traffic")
        self._thread.start()

    def end(self) -> None:
        """Write no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def check(self) -> None:
        """Raise what has stopped it."""
        if self._failure is not None:
            raise self._failure

    def close_windows(self) -> None:
        """Write an order to each region, so much later that all that is open closes."""
        self._now += 2 * LATE // timedelta(milliseconds=1)
        self._write([self._order(region) for region in _names("region", _REGIONS)])

    def _run(self) -> None:
        try:
            while not self._ended.wait(_PAUSE_S):
                self._write([self._order(self._any("region", _REGIONS)) for _ in range(_BATCH)])
        except BaseException as error:  # noqa: BLE001 (raised by `check`, in the test's thread)
            self._failure = error

    def _order(self, region: str) -> Order:
        order = Order(
            len(self.orders), self._any("user", _USERS), region, amount=self._random.randrange(1, 100)
        )
        self.orders.append(order)
        return order

    def _any(self, kind: str, count: int) -> str:
        return f"{kind}-{self._random.randrange(count)}"

    def _write(self, orders: list[Order]) -> None:
        records = [record for order in orders for record in self._records(order)]
        while True:
            try:
                self._topics.write(records, _ACKNOWLEDGED_S)
            except BrokerUnreachableError:
                if self._ended.is_set():
                    raise
                self._topics.renew_producer()
            else:
                return

    def _records(self, order: Order) -> Iterator[Outgoing]:
        self._now += _STEP
        time = self._now
        yield Outgoing(ORDERS, order.user.encode(), msgspec.json.encode(order), time)
        if order.id % _BROKEN_EVERY == 0:
            yield Outgoing(ORDERS, order.user.encode(), b"not order %d" % order.id, time)
        payment = msgspec.json.encode(Payment(order.id, order.amount))
        # Copies are far apart: each has a key of its own, and may be another worker's.
        for number in range(2 if order.id % _TWICE_EVERY == 0 else 1):
            yield Outgoing(PAYMENTS, f"{order.id}/{number}".encode(), payment, time)


def city_of(user: str) -> str:
    """Return what the table of users says."""
    return f"city of {user}"


def name_of(region: str) -> str:
    """Return what the table of regions says."""
    return f"name of {region}"


def _names(kind: str, count: int) -> list[str]:
    return [f"{kind}-{number}" for number in range(count)]
