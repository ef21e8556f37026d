"""What a task counts, and what is learnt of its operators."""

from __future__ import annotations

from pipeline.runtime.metrics.timing import Measured


class NodeMetrics:
    """What is learnt of one operator from records that are timed.

    Attributes:
        records: how many came to it, estimated.
        time_ns: how long they took, operators after it left out; estimated.
        process_ns: the same of each timed record.
        latency_ms: age of records by the wall clock, at sources and at ends.
    """

    __slots__ = ("latency_ms", "process_ns", "records", "time_ns")

    def __init__(self) -> None:
        self.records = self.time_ns = 0
        self.process_ns, self.latency_ms = Measured(), Measured()

    def passed(self, spent_ns: int, weight: int) -> None:
        """Take note of a timed record, which stands for `weight` of them."""
        self.records += weight
        self.time_ns += spent_ns * weight
        self.process_ns.record(spent_ns)


class TaskMetrics:
    """What one task counts.

    Attributes:
        users: how many tasks have this id: several where topics with unequal counts are joined by nothing.
        processed: records taken off their queues.
        process_ns: durations of timed records.
        time_ns: the same, for all records for which they stand.
        lateness_ms: how far timed records were behind the task's stream time.
        nodes: by the operator's name.
        lookups: by store: 1 for a look-up of a timed record that its cache answered, else 0.
    """

    __slots__ = ("lateness_ms", "lookups", "nodes", "process_ns", "processed", "time_ns", "users")

    def __init__(self) -> None:
        self.users = self.processed = 0
        self.process_ns, self.time_ns, self.lateness_ms = Measured(), Measured(), Measured()
        self.nodes: dict[str, NodeMetrics] = {}
        self.lookups: dict[str, Measured] = {}

    def node(self, name: str) -> NodeMetrics:
        """Return what is counted of an operator."""
        return self.nodes.setdefault(name, NodeMetrics())

    def store(self, name: str) -> Measured:
        """Return what is counted of look-ups in a store."""
        return self.lookups.setdefault(name, Measured())

    def turn(self) -> None:
        """Begin a new window of averages and maxima."""
        nodes = self.nodes.values()
        of_nodes = (measured for node in nodes for measured in (node.process_ns, node.latency_ms))
        for measured in (self.process_ns, self.time_ns, self.lateness_ms, *self.lookups.values(), *of_nodes):
            measured.turn()
