"""Records and bytes that came in and went out, by topic."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from itertools import chain
from typing import Final

from pipeline.operators.context import Flow
from pipeline.record import Headers
from pipeline.runtime.broker import Message
from pipeline.runtime.producer import Produce
from pipeline.state.rows import Log

#: What topics beyond the bound are counted as, together: no topic is called so.
OTHER: Final = "(other)"

#: Of a longer run of records, about so many are weighed, evenly spread: all of them cost 100 ns a record.
_WEIGHED: Final = 16


class Traffic:
    """Counts by topic.

    Args:
        bound: so many topics are counted by themselves in each direction; others as one.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self.consumed: dict[str, Flow] = {}
        self.produced: dict[str, Flow] = {}

    def polled(self, topic: str, run: Sequence[Message]) -> None:
        """Count records of one topic that were polled."""
        flow = self.consumed.get(topic) or self._flow(self.consumed, topic)
        weighed = run[_some(run)]
        size = sum([len(message.key or b"") + len(message.value or b"") for message in weighed])
        flow.records += len(run)
        flow.bytes += size * len(run) // len(weighed)

    def metered(self, produce: Produce, *, sizes: bool) -> Produce:
        """Return `Producer.produce` that counts what was taken.

        Args:
            produce: the producer's.
            sizes: whether to count bytes, too.
        """
        flows, flow_to = self.produced, self.flow_to

        def counted(
            topic: str,
            value: bytes | None,
            key: bytes | None,
            partition: int,
            timestamp: int,
            headers: Headers,
        ) -> None:
            produce(topic, value, key, partition, timestamp, headers)
            try:
                flows[topic].records += 1
            except KeyError:
                flow_to(topic).records += 1

        def measured(
            topic: str,
            value: bytes | None,
            key: bytes | None,
            partition: int,
            timestamp: int,
            headers: Headers,
        ) -> None:
            produce(topic, value, key, partition, timestamp, headers)
            try:
                flow = flows[topic]
            except KeyError:
                flow = flow_to(topic)
            flow.records += 1
            flow.bytes += len(value or b"") + len(key or b"")

        return measured if sizes else counted

    def flow_to(self, topic: str) -> Flow:
        """Return where records produced to a topic are counted by who produces many, beside `produce`."""
        return self._flow(self.produced, topic)

    def log(self, topic: str, records: Log) -> None:
        """Count records that were produced in one go, given by key and value."""
        if not records:
            return
        flow, weighed = self.flow_to(topic), list(records[_some(records)])
        size = sum(map(len, filter(None, chain.from_iterable(weighed))))
        flow.records += len(records)
        flow.bytes += size * len(records) // len(weighed)

    @property
    def records_produced(self) -> int:
        """Records handed to the producer, whatever the topic."""
        return sum(flow.records for flow in self.produced.values())

    def _flow(self, flows: dict[str, Flow], topic: str) -> Flow:
        if topic not in flows and len(flows) >= self._bound:
            topic = OTHER
        return flows.setdefault(topic, Flow())


def _some(run: Sized) -> slice:
    """Return which are weighed for a run, which has some."""
    return slice(None, None, max(1, len(run) // _WEIGHED))
