"""The bounds of the client's queues, which are memory of the process beside Python's objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pipeline.plan.limits import Limit
from pipeline.runtime.kafka.settings import (
    Setting,
    Settings,
    consumer_settings,
    number,
    producer_settings,
    reader_settings,
)

#: Defaults of librdkafka 2.16, where `settings` leaves them.
_DEFAULTS: Final[Mapping[str, int]] = {
    "fetch.max.bytes": 52_428_800,
    "fetch.message.max.bytes": 1_048_576,
    "max.poll.interval.ms": 300_000,
    "queued.min.messages": 100_000,
    "receive.message.max.bytes": 100_000_000,
}

_FETCHING: Final = {
    "queued.max.messages.kbytes": ("KiB", "nothing more is fetched until what is there was taken"),
    "queued.min.messages": ("records a partition", "nothing more is fetched of the partition, likewise"),
    "fetch.max.bytes": ("bytes", "the broker answers with so much; a single larger record comes alone"),
    "fetch.message.max.bytes": ("bytes a partition", "likewise, of each partition"),
    "receive.message.max.bytes": ("bytes", "a larger answer is an error: the connection is made anew"),
}
_POLLING: Final = {
    "max.poll.interval.ms": ("ms", "a worker that is stuck for so long loses its partitions to others"),
}
_PRODUCING: Final = {
    "queue.buffering.max.messages": ("records", "half of them: the worker commits; all: it waits for room"),
    "queue.buffering.max.kbytes": ("KiB", "the worker waits for room; partitions are paused meanwhile"),
    "batch.size": ("bytes", "the batch is sent"),
    "linger.ms": ("ms", "the batch is sent"),
    "message.max.bytes": ("bytes", "an error of that record, as max_record_bytes"),
}


def client_limits(given: Mapping[str, Setting]) -> Iterator[Limit]:
    """Yield the bounds of the clients that a worker has.

    Args:
        given: librdkafka's settings, as the application gives them.
    """
    yield from _limits("consumer", _FETCHING | _POLLING, _consumer(given), _consumer({}))
    yield from _limits(
        "restore, global tables", _FETCHING, reader_settings("", given), reader_settings("", {})
    )
    yield from _limits(
        "producer", _PRODUCING, producer_settings("", "", given), producer_settings("", "", {})
    )


def _consumer(given: Mapping[str, Setting]) -> Settings:
    return consumer_settings("", "", "", "consumer", given)


def _limits(
    who: str, bounds: Mapping[str, tuple[str, str]], settings: Settings, defaults: Settings
) -> Iterator[Limit]:
    for name, (unit, action) in bounds.items():
        value, default = (number(each, name, _DEFAULTS.get(name, 0)) for each in (settings, defaults))
        yield Limit(f"{who}: {name}", value, default, unit, "App(broker_settings=)", action)
