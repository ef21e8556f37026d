"""Tables of timed inputs and expected outputs, in the notation of the rule book.

A record is `key:value@time`, in ms; `∅` is null. A windowed key is `key[start,end)`, or `key[start,end]`
where ends are included.

    ("L k:A@3", ""),                  a record into topic L; nothing comes out
    ("L k:A@3 j:B@4", ""),            two, one after the other
    ("R k:a@4", "k:A-a@4"),           a record into topic R; one comes out
    ("L k:B@5", "k:B-a@5 k:B-b@6"),   two come out, in this order
    ("clock +100", "..."),            the wall clock moves on by 100 ms
    ("restart", ""), ("crash", "")    the worker is stopped, or killed, and started again
    ("move", "")                      it is killed, and started on a machine without its state
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

from pipeline import Windowed
from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde import SerdeLike
from pipeline.state.provider import MemoryProvider
from pipeline.testing.driver import OutputRecord, TopologyTestDriver
from pipeline.topology import Topology

Declare: TypeAlias = Callable[[StreamsBuilder], object]
Step: TypeAlias = tuple[str, str]

NULL = "∅"


def ms(milliseconds: int) -> timedelta:
    """Return a duration."""
    return timedelta(milliseconds=milliseconds)


def topology(declare: Declare) -> Topology:
    """Return what `declare` declares, as application `test`."""
    builder = StreamsBuilder("test")
    declare(builder)
    return builder.build()


def joined(_key: object, left: object, right: object) -> str:
    """Join as the rule book's tables do: `left-right`, Java's `null` for null."""
    return "-".join("null" if side is None else str(side) for side in (left, right))


def check(
    declare: Declare,
    steps: Sequence[Step],
    *,
    key: SerdeLike = str,
    value: SerdeLike = str,
    out: str = "out",
    partitions: int | dict[str, int] = 1,
    bracket: str = ")",
    **settings: Any,
) -> None:
    """Run the steps, and compare what comes out of `out` after each with what is expected.

    `bracket`: what the window of a key ends with.

    Outputs of one step are compared in their order, so use one output partition where there are several.
    """
    with TopologyTestDriver(topology(declare), partitions=partitions, **settings) as driver:
        output = driver.output_topic(out, key=key, value=value)
        got = []
        for given, _expected in steps:
            take(driver, given)
            got.append((given, shown(output.read_all(), bracket)))
    assert got == list(steps)


def take(driver: TopologyTestDriver, step: str) -> None:
    """Do what the left side of a step says."""
    what, _, rest = step.partition(" ")
    match what:
        case "clock":
            driver.advance_wall_clock(ms(int(rest)))
        case "restart":
            driver.restart()
        case "crash":
            driver.restart(crash=True)
        case "move":
            driver.restart(crash=True, stores=MemoryProvider())
        case topic:
            for record in rest.split(" "):
                driver.input_topic(topic, value=str).pipe(*parsed(record))


def parsed(record: str) -> tuple[str | None, str | None, int]:
    """Return key, value and time of `key:value@time`."""
    key_value, _, time = record.rpartition("@")
    key, _, value = key_value.partition(":")
    return _or_null(key), _or_null(value), int(time)


def shown(records: Sequence[OutputRecord], bracket: str = ")") -> str:
    """Return records in the notation."""
    return " ".join(f"{_key(r.key, bracket)}:{_text(r.value)}@{r.timestamp}" for r in records)


def _or_null(text: str) -> str | None:
    return None if text == NULL else text


def _key(key: Any, bracket: str) -> str:
    return f"{key.key}[{key.start},{key.end}{bracket}" if isinstance(key, Windowed) else _text(key)


def _text(value: object) -> str:
    return NULL if value is None else str(value)
