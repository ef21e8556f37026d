"""The serdes that are fed with poison, each with values that it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from pipeline import LocalRegistry, avro
from pipeline.record import Change, Windowed
from pipeline.serde import (
    ChangeSerde,
    EitherSerde,
    Headered,
    HeaderedSerde,
    ListSerde,
    Serde,
    SessionWindowedSerde,
    TimeWindowedSerde,
    for_topic,
    serde_for,
)
from pipeline.serde.foreign_key import Instruction, Response, ResponseSerde, Subscription, SubscriptionSerde
from pipeline.serde.held import Held, HeldSerde

_LETTERS: Final = 'aé漢😀\x00\n"\\ z'
_INT64: Final = 2**63


class Log(msgspec.Struct, forbid_unknown_fields=True):
    """A typed event, strict."""

    at: datetime
    level: str
    attempts: int = 0
    tags: list[str] = []


@dataclass
class Order:
    """A typed event whose unknown fields are let through."""

    user: str
    amount: Decimal
    lines: dict[str, float]


class Line(msgspec.Struct):
    """A typed record of Avro."""

    sku: str
    count: int
    price: Decimal


class Fuzzed(NamedTuple):
    """A serde, and what makes values for it."""

    serde: Serde[Any]
    value: Callable[[Random], Any]


def text(random: Random) -> str:
    return "".join(random.choices(_LETTERS, k=random.randrange(12)))


def raw(random: Random) -> bytes:
    return random.randbytes(random.randrange(24))


def integer(random: Random) -> int:
    return random.choice([random.randrange(-_INT64, _INT64), random.randrange(100), -_INT64, _INT64 - 1])


def number(random: Random) -> float:
    return random.choice([random.random(), random.uniform(-1e300, 1e300), 0.0, 5e-324])


def moment(random: Random) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=random.randrange(10**13))


def anything(random: Random, depth: int = 3) -> Any:
    """Return a value of open JSON."""
    kind = random.randrange(9 if depth else 5)
    if kind > 6:
        return {text(random): anything(random, depth - 1) for _ in range(random.randrange(4))}
    if kind > 4:
        return [anything(random, depth - 1) for _ in range(random.randrange(4))]
    return random.choice([text, integer, number, _flag, _none])(random)


def _flag(random: Random) -> bool:
    return random.random() < 0.5


def _none(_random: Random) -> None:
    return None


def log(random: Random) -> Log:
    return Log(moment(random), text(random), integer(random), [text(random) for _ in range(3)])


def order(random: Random) -> Order:
    amount = Decimal(random.randrange(10**6)) / 100
    return Order(text(random), amount, {text(random): number(random) for _ in range(2)})


def headers(random: Random) -> tuple[tuple[str, bytes | None], ...]:
    return tuple((text(random), random.choice([None, raw(random)])) for _ in range(random.randrange(3)))


def time_window(random: Random) -> Windowed[Any]:
    start = random.randrange(10**13)
    return Windowed(text(random), start, start + 60_000)


def session(random: Random) -> Windowed[Any]:
    start = random.randrange(10**13)
    return Windowed(integer(random), start, start + random.randrange(10**6))


def change(random: Random) -> Change[Any]:
    new, old = text(random), text(random)
    return random.choice([Change(new, old), Change(new, None), Change(None, old)])


def held(random: Random) -> Held:
    return Held(random.choice([None, raw(random)]), random.choice([None, raw(random)]), headers(random))


def subscription(random: Random) -> Subscription:
    instruction = random.choice(list(Instruction))
    return Subscription(instruction, random.randrange(2**32), random.choice([None, b"h" * 16]), raw(random))


def response(random: Random) -> Response:
    return Response(random.choice([None, b"h" * 16]), random.choice([None, raw(random)]))


def event(random: Random) -> dict[str, Any]:
    """Return a value of `_EVENT`."""
    return {
        "at": moment(random),
        "level": random.choice(["LOW", "HIGH"]),
        "text": text(random),
        "attempts": random.randrange(-(2**31), 2**31),
        "amount": number(random),
        "trace": random.choice([None, random.randbytes(4)]),
        "tags": {text(random): text(random) for _ in range(random.randrange(3))},
        "sizes": [integer(random) for _ in range(random.randrange(3))],
    }


def line(random: Random) -> Line:
    return Line(text(random), integer(random), Decimal(random.randrange(10**6)) / 100)


def node(random: Random) -> dict[str, Any]:
    """Return a value of `_NODE`."""
    chain: dict[str, Any] = {"value": raw(random), "next": None}
    for _ in range(random.randrange(5)):
        chain = {"value": raw(random), "next": chain}
    return chain


_EVENT: Final = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "level", "type": {"type": "enum", "name": "Level", "symbols": ["LOW", "HIGH"]}},
        {"name": "text", "type": "string"},
        {"name": "attempts", "type": "int"},
        {"name": "amount", "type": "double"},
        {"name": "trace", "type": ["null", {"type": "fixed", "name": "Trace", "size": 4}]},
        {"name": "tags", "type": {"type": "map", "values": "string"}},
        {"name": "sizes", "type": {"type": "array", "items": "long"}},
    ],
}
_PRICE: Final = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
_LINE: Final = {
    "type": "record",
    "name": "Line",
    "fields": [
        {"name": "sku", "type": "string"},
        {"name": "count", "type": "long"},
        {"name": "price", "type": _PRICE},
    ],
}
_NODE: Final = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "value", "type": "bytes"}, {"name": "next", "type": ["null", "Node"]}],
}


def _avro(schema: Any, value: Callable[[Random], Any], type_: Any = None) -> Fuzzed:
    serde = avro(schema, type=type_, registry=LocalRegistry())
    return Fuzzed(for_topic(serde, "poison", is_key=False), value)


def _of(spec: Any, value: Callable[[Random], Any]) -> Fuzzed:
    return Fuzzed(serde_for(spec), value)


#: By name: every kind that a record's key or value can have, and what the library writes for itself.
SERDES: Final[dict[str, Fuzzed]] = {
    "bytes": _of(bytes, raw),
    "string": _of(str, text),
    "int64": _of(int, integer),
    "json-open": _of(dict, anything),
    "json-struct": _of(Log, log),
    "json-dataclass": _of(Order, order),
    "json-tuple": _of(tuple[str, int], lambda random: (text(random), integer(random))),
    "json-float": _of(float, number),
    "json-datetime": _of(datetime, moment),
    "json-union": _of(int | str | list[float] | None, lambda random: random.choice([text, integer])(random)),
    "avro": _avro(_EVENT, event),
    "avro-struct": _avro(_LINE, line, Line),
    "avro-recursive": _avro(_NODE, node),
    "avro-string": _avro("string", text),
    "windowed": Fuzzed(TimeWindowedSerde(serde_for(str), 60_000), time_window),
    "session": Fuzzed(SessionWindowedSerde(serde_for(int)), session),
    "change": Fuzzed(ChangeSerde(serde_for(str)), change),
    "list": Fuzzed(ListSerde(serde_for(str)), lambda random: [text(random) for _ in range(4)]),
    "either": Fuzzed(
        EitherSerde(serde_for(str), serde_for(Log)),
        lambda random: random.choice([(True, text(random)), (False, log(random))]),
    ),
    "headered": Fuzzed(
        HeaderedSerde(serde_for(dict)), lambda random: Headered(anything(random), headers(random))
    ),
    "held": Fuzzed(HeldSerde(), held),
    "subscription": Fuzzed(SubscriptionSerde(), subscription),
    "response": Fuzzed(ResponseSerde(), response),
}
