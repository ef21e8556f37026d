"""An application whose every result shows what was lost, repeated or reordered."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

from pipeline import App, Processor, ProcessorContext, Record, Store

ORDERS: Final = "orders"
PAYMENTS: Final = "payments"
COPIES: Final = "copies"
SEQUENCES: Final = "sequences"
TOTALS: Final = "totals"
PAID: Final = "paid"


class Order(msgspec.Struct):
    """Keyed by user."""

    id: int
    user: str
    region: str
    amount: int


class Payment(msgspec.Struct):
    """Keyed by the order's id."""

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


app = App("crash", processing_guarantee="exactly_once", replication_factor=-1)

orders = app.stream(ORDERS, key=str, value=Order)
orders.to(COPIES)
orders.process(Number, Store("counts", key=str, value=int), key=str, value=Numbered).to(SEQUENCES)

(
    orders.group_by(lambda _user, order: order.region, name="by-region")
    .aggregate(
        lambda: Total(0, 0),
        lambda _region, order, total: Total(total.orders + 1, total.amount + order.amount),
        name="totals",
        value=Total,
    )
    .to_stream()
    .to(TOTALS)
)

(
    orders.select_key(lambda _user, order: order.id, key=int)
    .join(
        app.stream(PAYMENTS, key=int, value=Payment),
        lambda _id, order, payment: Payment(order.id, payment.amount),
        within=timedelta(hours=1),
        grace=timedelta(hours=1),
        name="payment",
        value=Payment,
    )
    .to(PAID)
)
