"""An application whose every result shows what was lost, repeated or reordered.

`CRASH_GUARANTEE` in the environment is its guarantee, exactly-once unless it is set.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Final

import msgspec

from pipeline import (
    App,
    EmitStrategy,
    Processor,
    ProcessorContext,
    Record,
    Store,
    Windowed,
    tumbling,
    until_window_closes,
)
from pipeline.observability import dedup

GUARANTEE_VARIABLE: Final = "CRASH_GUARANTEE"

#: Read.
ORDERS: Final = "orders"
PAYMENTS: Final = "payments"
USERS: Final = "users"
REGIONS: Final = "regions"
#: Written.
COPIES: Final = "copies"
SEQUENCES: Final = "sequences"
TOTALS: Final = "totals"
PAID: Final = "paid"
NAMED: Final = "named"
CLOSED: Final = "closed"
HELD: Final = "held"
DEAD: Final = "dead"

WINDOW: Final = timedelta(seconds=10)
#: Of what was repartitioned: partitions that wait for a killed worker fall behind the others.
LATE: Final = timedelta(hours=1)


class Order(msgspec.Struct):
    """Keyed by user."""

    id: int
    user: str
    region: str
    amount: int


class Payment(msgspec.Struct):
    """Keyed by the order's id, and written twice now and then."""

    order: int
    amount: int


class Numbered(msgspec.Struct):
    """The n-th order of a user."""

    number: int
    id: int


class Total(msgspec.Struct):
    """What was ordered in a region."""

    orders: int
    amount: int


class Named(msgspec.Struct):
    """An order with what two tables say of its user and its region."""

    id: int
    city: str
    region: str


class Closed(msgspec.Struct, frozen=True):
    """How many orders a window had when it closed."""

    start: int
    orders: int


class Number(Processor[str, Order, str, Numbered]):
    """Number the orders of each user, from 1."""

    def init(self, context: ProcessorContext[str, Numbered]) -> None:
        """Take the store."""
        self._context = context
        self._counts = context.store("counts")

    def process(self, record: Record[str, Order]) -> None:
        """Count one more."""
        number = (self._counts.get(record.key) or 0) + 1
        self._counts.put(record.key, number, record.timestamp)
        self._context.forward(record.with_value(Numbered(number, record.value.id)))


def closed(window: Windowed[str], count: int) -> tuple[str, Closed]:
    """Return a window that has closed, under its key."""
    return window.key, Closed(window.start, count)


app = App(
    "crash",
    processing_guarantee=(
        "at_least_once" if os.environ.get(GUARANTEE_VARIABLE) == "at_least_once" else "exactly_once"
    ),
    dead_letter=DEAD,
)

orders = app.stream(ORDERS, key=str, value=Order)
orders.to(COPIES)
orders.process(Number, Store("counts", key=str, value=int), key=str, value=Numbered).to(SEQUENCES)

(
    orders.join(
        app.table(USERS, name="user-city", value=str),
        lambda _user, order, city: Named(order.id, city, order.region),
        name="with-city",
        value=Named,
    )
    .join(
        app.global_table(REGIONS, name="region-name", value=str),
        lambda _user, named, region: Named(named.id, named.city, region),
        key_mapper=lambda _user, named: named.region,
        name="with-region",
        value=Named,
    )
    .to(NAMED)
)

(
    orders.group_by_key()
    .windowed_by(tumbling(WINDOW, grace=timedelta(0)))
    .emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
    .count(name="user-windows")
    .to_stream()
    .map(closed, key=str, value=Closed)
    .to(CLOSED)
)

by_region = orders.group_by(lambda _user, order: order.region, name="by-region")
(
    by_region.aggregate(
        lambda: Total(0, 0),
        lambda _region, order, total: Total(total.orders + 1, total.amount + order.amount),
        name="region-totals",
        value=Total,
    )
    .to_stream()
    .to(TOTALS)
)
(
    by_region.windowed_by(tumbling(WINDOW, grace=LATE))
    .count(name="region-windows")
    .suppress(until_window_closes(), name="region-held")
    .to_stream()
    .map(closed, key=str, value=Closed)
    .to(HELD)
)

payments = dedup(
    app.stream(PAYMENTS, key=str, value=Payment),
    lambda _key, payment: str(payment.order),
    within=LATE,
    grace=LATE,
    name="payments-once",
)
(
    orders.select_key(lambda _user, order: str(order.id), key=str)
    .join(
        payments,
        lambda _id, order, payment: Payment(order.id, payment.amount),
        within=LATE,
        grace=LATE,
        name="payment",
        value=Payment,
    )
    .to(PAID)
)
