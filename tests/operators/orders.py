"""A topology's input for tests of what goes wrong: orders, one of them bad, and how dead letters are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import OutputRecord, TopologyTestDriver
from pipeline.topology import Topology

#: How the lines of these tests begin in messages.
HERE = "tests/operators/"
BAD = b'{"id":"bad"}'
HEADERS = (("trace", b"7"), ("trace", None))
DEAD = "dead"


class Order(msgspec.Struct):
    """What the topic is declared to hold."""

    id: str
    amount: int = 0


def explode(_key: object, order: Order) -> Any:
    if order.id == "bad":
        raise RuntimeError("a bug of the user's")
    return order


def built(declare: Callable[[StreamsBuilder], object]) -> Topology:
    builder = StreamsBuilder("test")
    declare(builder)
    return builder.build()


def orders(builder: StreamsBuilder, **options: Any) -> Any:
    return builder.stream("in", key=str, value=Order, name="orders", **options)


def pipe_around(driver: TopologyTestDriver, key: bytes | None, value: bytes | None, timestamp: int) -> None:
    """A good record, the bad one, a good one."""
    driver.pipe("in", b"good", b'{"id":"good","amount":1}', 40, ())
    driver.pipe("in", key, value, timestamp, HEADERS)
    driver.pipe("in", b"good", b'{"id":"good","amount":1}', 44, ())


def dead_letters(driver: TopologyTestDriver) -> list[OutputRecord]:
    return driver.output_topic(DEAD, key=bytes, value=bytes).read_all()


def why(record: OutputRecord) -> dict[str, str]:
    prefix = "__streams.errors."
    return {
        name.removeprefix(prefix): value.decode()
        for name, value in record.headers
        if name.startswith(prefix) and value is not None
    }
