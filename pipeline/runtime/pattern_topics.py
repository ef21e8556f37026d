"""The topics that patterns stand for: looked up when a worker connects, and again every so often."""

from __future__ import annotations

from pipeline.config import StreamsConfig
from pipeline.plan.patterns import matching_topics, with_topics
from pipeline.plan.planner import Plan, plan
from pipeline.runtime.broker import Admin
from pipeline.topology import Source, Topology


class PatternTopics:
    """Plans a topology with the topics that exist.

    Attributes:
        any: whether there is any pattern.

    Args:
        topology: what was declared.
        declared: its plan, as far as it is known without a broker.
        config: how often to look, and the dead-letter topic, which no pattern matches.
    """

    def __init__(self, topology: Topology, declared: Plan, config: StreamsConfig) -> None:
        self._topology, self._declared = topology, declared
        self._interval_ms = config.metadata_interval_ms
        self._own = frozenset({*declared.internal_topics, config.dead_letter or ""})
        self.any = any(isinstance(node, Source) and node.pattern for node in topology.nodes)
        self._matching: dict[Source, tuple[str, ...]] = {}
        self._next_look_ms = 0

    def plan(self, admin: Admin, now_ms: int) -> Plan:
        """Return the plan with the topics that match now.

        Raises:
            TopologyError: two sources would read one topic.
            BrokerUnreachableError: no broker answers.
        """
        if not self.any:
            return self._declared
        self._matching = self._look(admin, now_ms)
        return plan(with_topics(self._topology, self._matching))

    def have_changed(self, admin: Admin, now_ms: int) -> bool:
        """Whether other topics match than those planned with; the broker is asked if it is time to.

        Raises:
            BrokerUnreachableError: no broker answers.
        """
        if not self.any or now_ms < self._next_look_ms:
            return False
        return self._look(admin, now_ms) != self._matching

    def _look(self, admin: Admin, now_ms: int) -> dict[Source, tuple[str, ...]]:
        matching = matching_topics(self._topology, admin.topics(), self._own)
        self._next_look_ms = now_ms + self._interval_ms
        return matching
