"""From nodes to sub-topologies: what one task runs, and which topics it needs."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.plan.nodes import Nodes
from pipeline.plan.rewrites import rewrite
from pipeline.topology import DeclaredTopic, GlobalTable, Node, Sink, Source, StoreSpec, TableSource, Topology


@dataclass(frozen=True, slots=True)
class SubTopology:
    """Nodes that pass records to one another within a task.

    Attributes:
        id: number, in the order of declaration.
        nodes: parents before children.
    """

    id: int
    nodes: Nodes

    @property
    def sources(self) -> tuple[Source, ...]:
        """Its sources, repartition topics and tables included."""
        return tuple(node for node in self.nodes if isinstance(node, Source))

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that it reads."""
        return tuple(dict.fromkeys(topic for source in self.sources for topic in source.topics))

    @property
    def reads(self) -> tuple[str, ...]:
        """What it reads, for people: topics and patterns."""
        return tuple(dict.fromkeys(name for source in self.sources for name in source.reads))

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """Its sinks, repartition topics included."""
        return tuple(node for node in self.nodes if isinstance(node, Sink))

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The stores of each of its tasks, each once: processors may share one."""
        return tuple({store.name: store for node in self.nodes for store in node.stores}.values())

    @property
    def source_logs(self) -> dict[str, TableSource]:
        """By store: the table whose own topic stands for its changelog."""
        return {
            node.store.name: node
            for node in self.nodes
            if isinstance(node, TableSource) and node.store.source_is_log
        }

    @property
    def copartitioned(self) -> tuple[tuple[Node, frozenset[str]], ...]:
        """Groups of topics that must have equal partition counts, with the node that says so.

        All topics of a sub-topology with stores: partitions of one number are one task, and only
        with equal counts does the group's assignor give them to one member.
        """
        owners = ((node, frozenset(self.topics)) for node in self.nodes if node.stores)
        keyed = ((node, source_topics(node)) for node in self.nodes if node.copartitioned)
        return tuple((node, topics) for node, topics in (*owners, *keyed) if len(topics) > 1)


@dataclass(frozen=True, slots=True)
class Plan:
    """A topology as it will run.

    Attributes:
        application_id: prefix of internal topics.
        subtopologies: by number.
        global_tables: what every worker reads whole, apart from sub-topologies.
        topics: what is made at the start, unless it exists.
    """

    application_id: str
    subtopologies: tuple[SubTopology, ...]
    global_tables: tuple[GlobalTable, ...] = ()
    topics: tuple[DeclaredTopic, ...] = ()

    @property
    def nodes(self) -> Nodes:
        """All that runs, global tables included."""
        return tuple(node for sub in self.subtopologies for node in sub.nodes) + self.global_tables

    @property
    def repartitions(self) -> tuple[tuple[str, SubTopology, Sink], ...]:
        """The internal topics between sub-topologies, with who writes each."""
        return tuple(
            (sink.topic, sub, sink)
            for sub in self.subtopologies
            for sink in sub.sinks
            if sink.internal and isinstance(sink.topic, str)
        )

    @property
    def repartition_topics(self) -> tuple[str, ...]:
        """The internal topics between sub-topologies."""
        return tuple(topic for topic, _sub, _sink in self.repartitions)

    @property
    def has_patterns(self) -> bool:
        """Whether it reads topics by pattern, which come and go."""
        return any(source.pattern is not None for sub in self.subtopologies for source in sub.sources)

    @property
    def source_logs(self) -> tuple[TableSource, ...]:
        """The tables whose own topics stand for their changelogs."""
        return tuple(source for sub in self.subtopologies for source in sub.source_logs.values())

    @property
    def written_tables(self) -> tuple[GlobalTable, ...]:
        """The global tables that agents write to."""
        return tuple(table for table in self.global_tables if table.written)

    @property
    def internal_topics(self) -> frozenset[str]:
        """The topics that the application makes for itself."""
        changelogs = (self.changelog(store.name) for sub in self.subtopologies for store in sub.stores)
        written = (topic for table in self.written_tables for topic in table.topics)
        return frozenset((*changelogs, *self.repartition_topics, *written))

    @property
    def external_sources(self) -> dict[str, Source]:
        """The topics that must be there, with the source that reads each."""
        internal = set(self.repartition_topics)
        sources = (source for sub in self.subtopologies for source in sub.sources)
        read = (table for table in self.global_tables if not table.written)
        return {
            topic: source for source in (*sources, *read) for topic in source.topics if topic not in internal
        }

    @property
    def fixed_sinks(self) -> dict[str, Sink]:
        """The topics that it writes to under a fixed name, with a sink that does."""
        return {
            sink.topic: sink
            for sub in self.subtopologies
            for sink in sub.sinks
            if not sink.internal and isinstance(sink.topic, str)
        }

    def changelog(self, store: str) -> str:
        """Return the name of a store's changelog topic."""
        return f"{self.application_id}-{store}-changelog"


def plan(topology: Topology) -> Plan:
    """Rewrite a topology and cut it into sub-topologies.

    Raises:
        TopologyError: it cannot run as declared; the message names the operator and the line.
    """
    topology.validate()
    nodes = rewrite(topology)
    components = _components(tuple(node for node in nodes if not isinstance(node, GlobalTable)))
    return Plan(
        topology.application_id,
        tuple(SubTopology(number, component) for number, component in enumerate(components)),
        tuple(node for node in nodes if isinstance(node, GlobalTable)),
        topology.topics,
    )


def source_topics(node: Node) -> frozenset[str]:
    """Return the topics that `node`'s records come from, within its sub-topology."""
    seen: set[Node] = set()
    open_nodes = [node]
    while open_nodes:
        upstream = open_nodes.pop()
        if upstream not in seen:
            seen.add(upstream)
            open_nodes += upstream.parents
    return frozenset(topic for upstream in seen if isinstance(upstream, Source) for topic in upstream.topics)


def _components(nodes: Nodes) -> list[Nodes]:
    """Group nodes that are connected by an edge, or by a store that processors share.

    Whoever reads a table has it for a parent.
    """
    group: dict[Node, list[Node]] = {node: [node] for node in nodes}

    def unite(one: Node, other: Node) -> None:
        if group[one] is group[other]:
            return
        merged = group[one] + group[other]
        for member in merged:
            group[member] = merged

    owners: dict[str, Node] = {}
    for node in nodes:
        for other in (*node.parents, *(owners.setdefault(store.name, node) for store in node.stores)):
            unite(other, node)
    order = {node: index for index, node in enumerate(nodes)}
    unique = {id(members): members for members in group.values()}
    components = [tuple(sorted(members, key=order.__getitem__)) for members in unique.values()]
    return sorted(components, key=lambda component: order[component[0]])
