"""An application of tables: items that name their suppliers, and sales at prices that every worker knows.

With exactly-once, results are those of the tables as they are at last, and every sale is there once. With
at-least-once what a worker wrote late, after it was given up, may stand between the two sides of a
foreign-key join, as in any repartition topic; sales are not lost, and global tables are whole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from random import Random
from typing import Final, TypeAlias

from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.simulation import Input, Outcome
from pipeline.topology import Topology

#: Tables: item to `<supplier>/<version>`, supplier to its version, item to its price; a stream of sales.
ITEMS: Final = "items"
SUPPLIERS: Final = "suppliers"
PRICES: Final = "prices"
SALES: Final = "sales"
#: Results: items with their supplier, and all items with it or without; sales with the price.
SUPPLIED: Final = "supplied"
LISTED: Final = "listed"
PRICED: Final = "priced"

Rows: TypeAlias = dict[str, str]

_ITEMS: Final = [f"item-{number}" for number in range(6)]
_SUPPLIERS: Final = ["acme", "ac", "byte"]


def supplier_of(_item: str, row: str) -> str | None:
    """Return the supplier that an item names."""
    return row.partition("/")[0] or None


def both(_key: str, left: str, right: str | None) -> str:
    """Return both values."""
    return f"{left} {right or '-'}"


def topology() -> Topology:
    """Two joins by a foreign key, and a join with a global table."""
    builder = StreamsBuilder("catalogue")
    items = builder.table(ITEMS, name="items", value=str)
    suppliers = builder.table(SUPPLIERS, name="suppliers", value=str, caching=False)
    supplied = items.join(suppliers, both, foreign_key=supplier_of, name="supplied", value=str)
    supplied.to_stream().to(SUPPLIED)
    listed = items.left_join(suppliers, both, foreign_key=supplier_of, name="listed", value=str)
    listed.to_stream().to(LISTED)
    prices = builder.global_table(PRICES, name="prices", value=str)
    sales = builder.stream(SALES, key=str, value=str)
    sales.left_join(prices, both, key_mapper=lambda item, _sale: item, value=str).to(PRICED)
    return builder.build()


TOPOLOGY: Final = topology()


class Catalogue:
    """The input, and what is to come of it.

    Args:
        seed: of the input.
        changes: how many records.
    """

    def __init__(self, seed: int, changes: int) -> None:
        random = Random(seed)
        self._changes = [_change(random, number) for number in range(changes)]

    def inputs(self) -> Iterator[Input]:
        """Yield changes of the tables and sales."""
        for number, (topic, key, value) in enumerate(self._changes):
            data = None if value is None else value.encode()
            yield Input(topic, key.encode(), data, 1_000 + number)

    def differences(self, outcome: Outcome) -> list[str]:
        """Return what is not as it would be if nothing had gone wrong."""
        lines = []
        for topic, expected in ((SUPPLIED, self._joined(alone=False)), (LISTED, self._joined(alone=True))):
            if (found := _last(outcome, topic)) != expected:
                lines.append(f"{topic}: {found} instead of {expected}")
        sold = Counter(self._sales())
        if (got := Counter(_priced(outcome))) != sold:
            lines.append(f"{PRICED}: {dict(got)} instead of {dict(sold)}")
        return lines + self.mispriced(outcome)

    def lost(self, outcome: Outcome) -> list[str]:
        """Return the sales that are missing: none is, whatever the guarantee."""
        missing = set(self._sales()) - set(_priced(outcome))
        return [f"{PRICED}: lost {sorted(missing)}"] if missing else []

    def mispriced(self, outcome: Outcome) -> list[str]:
        """Return sales at prices that their item never had; which one it had then, no rule says."""
        prices: defaultdict[str, set[str]] = defaultdict(lambda: {"-"})
        for topic, key, value in self._changes:
            if topic == PRICES and value is not None:
                prices[key].add(value)
        return [
            f"{PRICED}: {message.value!r} of {message.key!r}"
            for message in outcome.records(PRICED)
            if _text(message.value).rpartition(" ")[2] not in prices[_text(message.key)]
        ]

    def _sales(self) -> list[str]:
        return [value or "" for topic, _key, value in self._changes if topic == SALES]

    def _joined(self, *, alone: bool) -> Rows:
        """Return the relational join of what the tables hold at last."""
        tables: defaultdict[str, Rows] = defaultdict(dict)
        for topic, key, value in self._changes:
            if value is None:
                tables[topic].pop(key, None)
            else:
                tables[topic][key] = value
        pairs = {
            item: (row, tables[SUPPLIERS].get(supplier_of(item, row) or ""))
            for item, row in tables[ITEMS].items()
        }
        return {item: both(item, *pair) for item, pair in pairs.items() if alone or pair[1] is not None}


def _change(random: Random, number: int) -> tuple[str, str, str | None]:
    topic = random.choice([ITEMS, ITEMS, SUPPLIERS, PRICES, SALES])
    key = random.choice(_SUPPLIERS if topic == SUPPLIERS else _ITEMS)
    deletes = topic != SALES and random.random() < 0.2
    names = f"{random.choice(['', *_SUPPLIERS])}/" if topic == ITEMS else ""
    return topic, key, None if deletes else f"{names}{number}"


def _last(outcome: Outcome, topic: str) -> Rows:
    return {
        _text(key): _text(value) for key, value in outcome.last_values(topic).items() if value is not None
    }


def _priced(outcome: Outcome) -> list[str]:
    return [_text(message.value).partition(" ")[0] for message in outcome.records(PRICED)]


def _text(data: bytes | None) -> str:
    return (data or b"").decode()
