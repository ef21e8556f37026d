"""An application whose every result shows what was lost, repeated or reordered, and what is right."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from random import Random
from typing import Any, Final

import msgspec

from pipeline import Processor, ProcessorContext, Record, Store
from pipeline.dsl.builder import StreamsBuilder
from pipeline.runtime.broker import Message
from pipeline.testing.simulation import Input, Outcome
from pipeline.topology import Topology

ORDERS: Final = "orders"
PAYMENTS: Final = "payments"
COPIES: Final = "copies"
SEQUENCES: Final = "sequences"
TOTALS: Final = "totals"
PAID: Final = "paid"
TOPICS: Final = (ORDERS, PAYMENTS, COPIES, SEQUENCES, TOTALS, PAID)
_USERS: Final = 5
_REGIONS: Final = 3


class Order(msgspec.Struct, frozen=True):
    """Keyed by user."""

    id: int
    user: str
    region: str


class Number(Processor[str, Order, str, list[int]]):
    """Number the orders of each user, from 1."""

    def init(self, context: ProcessorContext[str, list[int]]) -> None:
        """Take the store."""
        self._context = context
        self._counts = context.store("counts")

    def process(self, record: Record[str, Order]) -> None:
        """Count one more."""
        number = (self._counts.get(record.key) or 0) + 1
        self._counts.put(record.key, number, record.timestamp)
        self._context.forward(record.with_value([number, record.value.id]))


def topology() -> Topology:
    """Copies, numbers by user (state), totals by region (behind a repartition), payments (a join)."""
    builder = StreamsBuilder("shop")
    orders = builder.stream(ORDERS, key=str, value=Order)
    orders.to(COPIES)
    orders.process(Number, Store("counts", key=str, value=int), key=str, value=Any).to(SEQUENCES)
    regions = orders.group_by(lambda _user, order: order.region, name="by-region")
    regions.count(name="totals").to_stream().to(TOTALS)
    (
        orders.select_key(lambda _user, order: order.id, key=int)
        .join(
            builder.stream(PAYMENTS, key=int, value=int),
            lambda _id, order, payment: [order.id, payment],
            within=timedelta(hours=1),
            grace=timedelta(hours=1),
            name="payment",
            value=Any,
        )
        .to(PAID)
    )
    return builder.build()


TOPOLOGY: Final = topology()


class Shop:
    """The input, and what is to come of it.

    Args:
        seed: of the input.
        orders: how many.
    """

    def __init__(self, seed: int, orders: int) -> None:
        random = Random(seed)
        self.orders = [
            Order(number, f"user-{random.randrange(_USERS)}", f"region-{random.randrange(_REGIONS)}")
            for number in range(orders)
        ]

    def inputs(self) -> Iterator[Input]:
        """Yield orders and their payments."""
        for order in self.orders:
            time = 1_000 + order.id
            yield Input(ORDERS, order.user.encode(), msgspec.json.encode(order), time)
            yield Input(PAYMENTS, order.id.to_bytes(8, "big"), order.id.to_bytes(8, "big"), time)

    def lost(self, outcome: Outcome) -> list[str]:
        """Return what is missing in the results: holds whatever the guarantee."""
        ids = {order.id for order in self.orders}
        found = [(COPIES, {order.id for order in copies(outcome)}), (PAID, set(paid(outcome)))]
        lines = [f"{topic}: lost {sorted(ids - got)}" for topic, got in found if ids - got]
        got = {id_ for numbers in sequences(outcome).values() for _number, id_ in numbers}
        return lines + ([f"{SEQUENCES}: lost {sorted(ids - got)}"] if ids - got else [])

    def misnumbered(self, outcome: Outcome) -> list[str]:
        """Return users whose orders do not have their numbers: state is exact whatever the guarantee."""
        expected = self._sequences()
        return [
            f"{user}: {sorted(set(got))} instead of {expected[user]}"
            for user, got in sequences(outcome).items()
            if sorted(set(got)) != expected[user]
        ]

    def differences(self, outcome: Outcome) -> list[str]:
        """Return what is not exactly as it would be if nothing had gone wrong."""
        ids = Counter(order.id for order in self.orders)
        lines = [
            f"{topic}: {dict(got - ids)} too many, {dict(ids - got)} missing"
            for topic, got in (
                (COPIES, Counter(order.id for order in copies(outcome))),
                (PAID, Counter(paid(outcome))),
            )
            if got != ids
        ]
        if (found := sequences(outcome)) != self._sequences():
            lines.append(f"{SEQUENCES}: {found} instead of {self._sequences()}")
        totals = {
            (key or b"").decode(): int.from_bytes(value or b"", "big")
            for key, value in outcome.last_values(TOTALS).items()
        }
        expected = Counter(order.region for order in self.orders)
        if totals != expected:
            lines.append(f"{TOTALS}: {totals} instead of {dict(expected)}")
        return lines

    def _sequences(self) -> dict[str, list[tuple[int, int]]]:
        numbers: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for order in self.orders:
            numbers[order.user].append((len(numbers[order.user]) + 1, order.id))
        return dict(numbers)


def copies(outcome: Outcome) -> list[Order]:
    """Return the orders that were copied."""
    return [msgspec.json.decode(message.value or b"", type=Order) for message in outcome.records(COPIES)]


def paid(outcome: Outcome) -> list[int]:
    """Return the ids of the orders that met their payment."""
    return [msgspec.json.decode(message.value or b"")[0] for message in outcome.records(PAID)]


def sequences(outcome: Outcome) -> dict[str, list[tuple[int, int]]]:
    """Return the numbered orders of each user, in the order they were written."""
    return by_key(outcome.records(SEQUENCES))


def by_key(messages: Sequence[Message]) -> dict[str, list[tuple[int, int]]]:
    """Return pairs by key."""
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for message in messages:
        number, id_ = msgspec.json.decode(message.value or b"")
        found[(message.key or b"").decode()].append((number, id_))
    return dict(found)
