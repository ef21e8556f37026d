"""What must be in every result, from the topic of orders alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from tests.integration.crash.topology import (
    CLOSED,
    COPIES,
    DEAD,
    HELD,
    LATE,
    NAMED,
    ORDERS,
    PAID,
    SEQUENCES,
    TOTALS,
    WINDOW,
    Closed,
    Named,
    Numbered,
    Order,
    Payment,
    Total,
)
from tests.integration.crash.traffic import Traffic, city_of, name_of
from tests.integration.flagship.topics import Topics

T = TypeVar("T")


class _Read(NamedTuple):
    """An order as its topic has it, with its event time in ms and its partition."""

    order: Order
    time: int
    partition: int


_MS: Final = timedelta(milliseconds=1)
_WINDOW_MS: Final = WINDOW // _MS
_LATE_MS: Final = LATE // _MS
_NOTHING: Final = Total(0, 0)


class Results:
    """Compares what the application made with what its input says.

    With exactly-once each result is there once. With at-least-once none is missing, and one that is there
    again is the same again; what was counted behind a repartition topic may have been counted again.

    Args:
        topics: the broker.
        traffic: the input.
        exactly_once: what is promised.
    """

    def __init__(self, topics: Topics, traffic: Traffic, *, exactly_once: bool) -> None:
        self._topics, self._traffic, self._exactly_once = topics, traffic, exactly_once
        self._orders: list[_Read] = []
        self._broken: list[bytes] = []
        #: How many results were compared, by topic.
        self.compared: dict[str, int] = {}

    def complete(self) -> bool:
        """Whether every order has come to the ends of the longest ways."""
        self._read_input()
        if len({payment.order for payment in self._read(PAID, Payment)}) < len(self._traffic.orders):
            return False
        last = {message.key: message.value or b"" for message in self._topics.read(TOTALS)}
        return sum(msgspec.json.decode(total, type=Total).orders for total in last.values()) >= len(
            self._orders
        )

    def differences(self) -> list[str]:
        """Return everything in the results that the input does not say, or says and they do not."""
        self._read_input()
        orders = [read.order for read in self._orders]
        ids = [order.id for order in orders]
        named = [(each.id, city_of(each.user), name_of(each.region)) for each in orders]
        lost = {order.id for order in self._traffic.orders}.difference(ids)
        return [
            *(f"{ORDERS}: {order} was acknowledged and is not there" for order in sorted(lost)),
            *self._each(COPIES, ids, (order.id for order in self._read(COPIES, Order))),
            *self._each(PAID, ids, (payment.order for payment in self._read(PAID, Payment))),
            *self._each(NAMED, named, ((n.id, n.city, n.region) for n in self._read(NAMED, Named))),
            *self._each(DEAD, self._broken, (message.value for message in self._topics.read(DEAD))),
            *self._each(CLOSED, self._closed_of_users(), self._windows(CLOSED)),
            *self._held(),
            *self._sequences(),
            *self._totals(),
        ]

    def table_differences(self, counts: Mapping[str, int], totals: Mapping[str, Any]) -> list[str]:
        """Compare the tables `counts` and `region-totals`, as the workers show them."""
        users = Counter(read.order.user for read in self._orders)
        self.compared["tables"] = len(counts) + len(totals)
        found = [
            f"table counts: {user} has {counts.get(user)} instead of {count}"
            for user, count in users.items()
            if counts.get(user) != count
        ]
        for region, total in self._expected_totals().items():
            row = msgspec.convert(totals.get(region, {"orders": 0, "amount": 0}), Total)
            if not self._fits(row, total):
                found.append(f"table region-totals: {region} has {row} instead of {total}")
        return found

    def _each(self, what: str, wanted: Iterable[T], found: Iterable[T]) -> Iterator[str]:
        expected, got = Counter(wanted), Counter(found)
        self.compared[what] = got.total()
        if lost := expected - got:
            yield f"{what}: {lost.total()} missing, such as {next(iter(lost))!r}"
        more = got - expected
        if not self._exactly_once:
            more = Counter({each: count for each, count in more.items() if each not in expected})
        if more:
            yield f"{what}: {more.total()} too many, such as {next(iter(more))!r}"

    def _read_input(self) -> None:
        """Take the orders from their topic: what was not acknowledged in time is there, or is there twice."""
        self._orders, self._broken = [], []
        for message in self._topics.read(ORDERS):
            value = message.value or b""
            if value.startswith(b"not order"):
                self._broken.append(value)
            else:
                order = msgspec.json.decode(value, type=Order)
                self._orders.append(_Read(order, message.timestamp, message.partition))

    def _closed_of_users(self) -> Iterator[tuple[str, Closed]]:
        """Yield the windows that the time of their own partition has passed."""
        now: defaultdict[int, int] = defaultdict(int)
        windows: Counter[tuple[int, str, int]] = Counter()
        for order, time, partition in self._orders:
            now[partition] = max(now[partition], time)
            if _start(time) + _WINDOW_MS > now[partition]:
                windows[partition, order.user, _start(time)] += 1
        for (partition, user, start), count in windows.items():
            if start + _WINDOW_MS <= now[partition]:
                yield user, Closed(start, count)

    def _held(self) -> Iterator[str]:
        """Each region's windows, but for those that its last order leaves open."""
        last: defaultdict[str, int] = defaultdict(int)
        for order, time, _ in self._orders:
            last[order.region] = max(last[order.region], time)
        windows = Counter((order.region, _start(time)) for order, time, _ in self._orders)
        expected = {
            (region, start): count
            for (region, start), count in windows.items()
            if start + _WINDOW_MS + _LATE_MS <= last[region]
        }
        if self._exactly_once:
            wanted = [(region, Closed(start, count)) for (region, start), count in expected.items()]
            yield from self._each(HELD, wanted, self._windows(HELD))
            return
        got = {(region, window.start): window.orders for region, window in self._windows(HELD)}
        self.compared[HELD] = len(got)
        for window, count in expected.items():
            if got.get(window, 0) < count:
                yield f"{HELD}: window {window} has {got.get(window, 0)} orders instead of {count}"

    def _sequences(self) -> Iterator[str]:
        """The orders of a user are numbered in the order of their topic."""
        expected: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for order, _, _ in self._orders:
            expected[order.user].append((len(expected[order.user]) + 1, order.id))
        got: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for message in self._topics.read(SEQUENCES):
            numbered = msgspec.json.decode(message.value or b"", type=Numbered)
            got[(message.key or b"").decode()].append((numbered.number, numbered.id))
        self.compared[SEQUENCES] = sum(map(len, got.values()))
        for user, wanted in expected.items():
            found = got[user] if self._exactly_once else sorted(set(got[user]))
            if found != wanted:
                at = next((n for n, pair in enumerate(wanted) if found[n : n + 1] != [pair]), len(wanted))
                yield f"{SEQUENCES}: {user} has {found[at : at + 3]} instead of {wanted[at : at + 3]}"

    def _totals(self) -> Iterator[str]:
        last: dict[str, Total] = {}
        messages = self._topics.read(TOTALS)
        self.compared[TOTALS] = len(messages)
        for message in messages:
            region = (message.key or b"").decode()
            total = msgspec.json.decode(message.value or b"", type=Total)
            before = last.get(region, _NOTHING)
            if self._exactly_once and total.orders <= before.orders:
                yield f"{TOTALS}: {region} goes from {before} to {total}"
            last[region] = total
        for region, total in self._expected_totals().items():
            if not self._fits(last.get(region, _NOTHING), total):
                yield f"{TOTALS}: {region} has {last.get(region)} instead of {total}"

    def _expected_totals(self) -> dict[str, Total]:
        totals: defaultdict[str, Total] = defaultdict(lambda: _NOTHING)
        for order, _, _ in self._orders:
            total = totals[order.region]
            totals[order.region] = Total(total.orders + 1, total.amount + order.amount)
        return totals

    def _fits(self, got: Total, expected: Total) -> bool:
        if self._exactly_once:
            return got == expected
        return got.orders >= expected.orders and got.amount >= expected.amount

    def _windows(self, topic: str) -> Iterator[tuple[str, Closed]]:
        for message in self._topics.read(topic):
            yield (message.key or b"").decode(), msgspec.json.decode(message.value or b"", type=Closed)

    def _read(self, topic: str, type_: type[T]) -> Iterator[T]:
        for message in self._topics.read(topic):
            yield msgspec.json.decode(message.value or b"", type=type_)


def _start(time: int) -> int:
    return time - time % _WINDOW_MS
