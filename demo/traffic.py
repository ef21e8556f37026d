"""Logs and spans of a made-up shop, as its services would send them, faults included.

`python -m demo.traffic --broker host:port --rate N` sends them until it is stopped. The same seed
and the same start give the same records, byte for byte.
"""

from __future__ import annotations

import argparse
import heapq
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from demo import faults
from demo.catalogue import ROOTS, SERVICES, Operation, Service, rfc3339_ns
from demo.personal_data import card_number, email, order_number, user_id
from demo.sending import Outgoing, send
from demo.stop import Stop
from demo.topics import RAW_LOGS, RAW_SPANS
from pipeline.clock import SystemClock
from pipeline.errors import StreamsError
from pipeline.runtime.kafka import KafkaBroker

USERS: Final = 100_000
DEFAULT_RATE: Final = 200.0

_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000
_SERVICES: Final = {service.name: service for service in SERVICES}
_OPERATIONS: Final = tuple(operation for operation, _ in ROOTS)
_WEIGHTS: Final = tuple(weight for _, weight in ROOTS)
#: How much of a caller's time lies before its first call.
_BEFORE_CALLS: Final = 0.4
_SLOW_MS: Final = 150
_encode: Final = msgspec.json.encode


class Traffic:
    """An endless stream of records, in the order of the times they are sent at.

    Args:
        seed: of everything random.
        start_ms: time of the first request, in ms since the epoch.
        rate: records a second, faults and duplicates included, on average.
        users: how many there are; the r-th is seen about 1/r as often as the first.
    """

    def __init__(self, seed: int, start_ms: int, rate: float = DEFAULT_RATE, *, users: int = USERS) -> None:
        if rate <= 0:
            raise ValueError(f"rate is {rate}: give a number of records a second above 0")
        self._seed = seed
        self._start_ns = start_ms * _NS_PER_MS
        self._interval_ns = round(_NS_PER_S / rate)
        self._users = users

    def __iter__(self) -> Iterator[Outgoing]:
        """Start from the beginning."""
        source = random.Random(self._seed)
        # By time of sending, then in the order they were made. It holds what has begun and what
        # a fault delays: at most some minutes of traffic.
        waiting: list[tuple[int, int, Outgoing]] = []
        made = 0
        while True:
            begin_ns = self._start_ns + made * self._interval_ns
            while waiting and waiting[0][0] <= begin_ns:
                yield heapq.heappop(waiting)[2]
            rank = int(self._users ** source.random())
            for at_ns, topic, event in _Request(source, rank).run(begin_ns):
                for sent_ns, value in faults.deliveries(source, at_ns, event, is_log=topic == RAW_LOGS):
                    record = Outgoing(topic, value, at_ms=sent_ns // _NS_PER_MS)
                    heapq.heappush(waiting, (sent_ns, made, record))
                    made += 1


class _Request:
    """One request of one user, through every service that it reaches."""

    def __init__(self, source: random.Random, rank: int) -> None:
        self._source = source
        self._user = user_id(rank)
        self._trace_id = f"{source.getrandbits(128) | 1:032x}"
        self._words = {
            "user": self._user,
            "email": email(rank),
            "card": card_number(source),
            "order": order_number(source),
        }
        self._events: list[tuple[int, str, dict[str, Any]]] = []

    def run(self, begin_ns: int) -> list[tuple[int, str, dict[str, Any]]]:
        """Return its events: when each is sent, where to, and the event."""
        self._call(self._source.choices(_OPERATIONS, _WEIGHTS)[0], begin_ns, "")
        return self._events

    def _call(self, operation: Operation, begin_ns: int, parent: str) -> tuple[int, bool]:
        """Make one call and what it calls; return its end and whether it succeeded."""
        source = self._source
        span_id = f"{source.getrandbits(64) | 1:016x}"
        own_ns = round(source.lognormvariate(0, 0.5) * operation.milliseconds * _NS_PER_MS)
        now_ns = begin_ns + round(own_ns * _BEFORE_CALLS)
        succeeded = source.random() >= operation.error_rate
        for called in operation.calls:
            now_ns, reached = self._call(called, now_ns, span_id)
            if not reached:
                # The caller of something that matters fails with it, and calls nothing more.
                succeeded = succeeded and _SERVICES[called.service].tier > 1
                if not succeeded:
                    break
        end_ns = now_ns + round(own_ns * (1 - _BEFORE_CALLS))
        service = _SERVICES[operation.service]
        host = f"{service.name}-{source.randrange(service.hosts)}"
        self._span(operation, span_id, parent, host, begin_ns, end_ns, succeeded=succeeded)
        self._log(operation, service, span_id, host, begin_ns, end_ns, succeeded=succeeded)
        return end_ns, succeeded

    def _span(
        self,
        operation: Operation,
        span_id: str,
        parent: str,
        host: str,
        begin_ns: int,
        end_ns: int,
        *,
        succeeded: bool,
    ) -> None:
        span: dict[str, Any] = {
            "trace_id": self._trace_id,
            "span_id": span_id,
            "parent_span_id": parent or None,
            "name": operation.name,
            "kind": operation.kind,
            "service": operation.service,
            "host": host,
        }
        if operation.service == "gateway":
            span |= {"start_time": rfc3339_ns(begin_ns), "end_time": rfc3339_ns(end_ns)}
        else:
            span |= {"start_time_unix_nano": begin_ns, "end_time_unix_nano": end_ns}
        span |= {"status": "OK" if succeeded else "ERROR", "user_id": self._user}
        if not succeeded:
            span["status_message"] = operation.failed.format(**self._words, ms=_ms(begin_ns, end_ns))
        self._events.append((end_ns, RAW_SPANS, span))

    def _log(
        self,
        operation: Operation,
        service: Service,
        span_id: str,
        host: str,
        begin_ns: int,
        end_ns: int,
        *,
        succeeded: bool,
    ) -> None:
        template = operation.done if succeeded else operation.failed
        if not template:
            return
        milliseconds = _ms(begin_ns, end_ns)
        slow = milliseconds > _SLOW_MS
        informational, warning, error = service.levels
        event: dict[str, Any] = {
            "id": f"{self._source.getrandbits(96):024x}",
            "timestamp": service.write_time(end_ns),
            "level": error if not succeeded else warning if slow else informational,
            "service": service.name,
            "host": host,
            "message": template.format(**self._words, ms=milliseconds),
            "trace_id": self._trace_id,
            "span_id": span_id,
            "user_id": self._user,
            "duration_ms": milliseconds,
        }
        if service.name == "gateway":
            # Events are open: this one is wider and deeper than the others.
            event["http"] = {"route": operation.name, "client": {"ip": _address(self._source)}}
        self._events.append((end_ns, RAW_LOGS, event))


def _ms(begin_ns: int, end_ns: int) -> int:
    return (end_ns - begin_ns) // _NS_PER_MS


def _address(source: random.Random) -> str:
    """Return an address of a block reserved for documentation (RFC 5737)."""
    return f"203.0.113.{source.randrange(256)}"


def arguments() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = argparse.ArgumentParser(prog="python -m demo.traffic", description=__doc__)
    parser.add_argument("--broker", required=True, metavar="HOST:PORT")
    parser.add_argument("--rate", type=float, default=DEFAULT_RATE, metavar="N", help="records a second")
    parser.add_argument("--records", type=int, metavar="N", help="stop after so many; default: never")
    parser.add_argument("--seed", type=int, help="default: the time, so that no id comes a second time")
    return parser


def main(command_line: Sequence[str] | None = None) -> None:
    """Run the command until SIGINT or SIGTERM."""
    options = arguments().parse_args(command_line)
    clock = SystemClock()
    producer = KafkaBroker(options.broker).producer("headrace-demo-traffic")
    with Stop() as stop:
        start_ms = clock.now_ms()
        traffic = Traffic(start_ms if options.seed is None else options.seed, start_ms, options.rate)
        try:
            sent = send(islice(traffic, options.records), producer, clock, stop)
        except StreamsError as error:
            raise SystemExit(f"error: {error}") from error
        finally:
            producer.close()
    print(f"{sent} records sent to {options.broker}")


if __name__ == "__main__":
    main()
