"""A case on both sides: equal, explained by improvements, or different."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple

from tests.oracle import headrace
from tests.oracle.cases import Case, Result
from tests.oracle.compare import difference
from tests.oracle.improvements import relevant
from tests.oracle.kafka_streams import KafkaStreams

#: How many cases Kafka Streams may be ahead of us.
_AHEAD: Final = 32


class Verdict(NamedTuple):
    """What came of a case.

    Attributes:
        case: the case.
        difference: what Headrace does otherwise than it must; None if nothing.
        improvements: the improvements without which Kafka Streams does otherwise.
    """

    case: Case
    difference: str | None
    improvements: tuple[int, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether there is a difference that no improvement explains."""
        return self.difference is not None


class _Asked(NamedTuple):
    """What Kafka Streams answers: corrected by all improvements that concern the case, and as it is."""

    demanded: Result
    improvements: tuple[int, ...]


def check(kafka: KafkaStreams, case: Case) -> Verdict:
    """Run a case on both sides and compare."""
    return _verdict(case, _ask(kafka, case))


def check_all(kafka: KafkaStreams, cases: Iterable[Case]) -> Iterator[Verdict]:
    """Run cases on both sides at the same time, and compare each."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked: deque[tuple[Case, Future[_Asked]]] = deque()
        for case in cases:
            asked.append((case, pool.submit(_ask, kafka, case)))
            if len(asked) > _AHEAD:
                first, answer = asked.popleft()
                yield _verdict(first, answer.result())
        for last, answer in asked:
            yield _verdict(last, answer.result())


def _verdict(case: Case, asked: _Asked) -> Verdict:
    try:
        ours = headrace.run(case)
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding, with its case
        return Verdict(case, f"Headrace fails:\n{traceback.format_exc()}")
    return Verdict(case, difference(case, ours, asked.demanded), asked.improvements)


def _ask(kafka: KafkaStreams, case: Case) -> _Asked:
    concerned = relevant(case)
    demanded = kafka.run(case, concerned)
    if not concerned or difference(case, kafka.run(case), demanded) is None:
        return _Asked(demanded, ())
    needed = [
        number
        for number in concerned
        if difference(case, kafka.run(case, [n for n in concerned if n != number]), demanded) is not None
    ]
    return _Asked(demanded, tuple(needed or concerned))
