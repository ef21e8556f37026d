"""Serdes that write by topic, as those of a schema registry do: each is told its topic, once.

| what is written | topic that it is told |
| --- | --- |
| records of a sink | the sink's; if that is chosen for each record, it is told then |
| rows of a store | its changelog, which it has a name for if it has none: `<app>-<store>-changelog` |
| rows that are restored from their table's topic | that topic; of a global table, keys alone are written |
| a key that a store is asked for | as that of the store's: its bytes have to be the same |

(Kafka Streams does so, with the names of its own stores.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pipeline.errors import TopologyError
from pipeline.plan.nodes import Nodes, with_parents
from pipeline.serde import Serde, TopicSerde, for_topic
from pipeline.topology import GlobalTable, Keyed, Node, Sink, StoreSpec, TableSource, Topology, WindowClosing

#: What has serdes in its fields.
_PARTS: Final = (Node, StoreSpec, Keyed, WindowClosing)


def prepare_serdes(nodes: Iterable[Node]) -> None:
    """Have serdes ask a registry for what they need to write, before there are records.

    Raises:
        BrokerError: it does not answer, or refuses.
    """
    for node in nodes:
        for serde in _topic_serdes(node):
            serde.prepare()


def bind_serdes(topology: Topology, nodes: Nodes) -> Nodes:
    """Tell serdes the topics that they write to."""
    if not any(True for node in nodes for _ in _topic_serdes(node)):
        return nodes
    binding = _Binding(topology.application_id)
    for node in nodes:
        binding.tell(node)
    return tuple(map(binding.bind, nodes))


def _topic_serdes(part: Any) -> Iterator[TopicSerde]:
    """Yield the serdes that write by topic, in the fields of a node, of its stores and of its inputs."""
    if isinstance(part, _PARTS):
        for field in dataclasses.fields(part):
            if field.name != "parents":
                yield from _topic_serdes(getattr(part, field.name))
    elif isinstance(part, tuple):
        for item in part:
            yield from _topic_serdes(item)
    elif isinstance(part, TopicSerde):
        yield part


class _Binding:
    """Serdes with their topics, and the nodes that have them.

    Args:
        application_id: prefix of internal topics.
    """

    def __init__(self, application_id: str) -> None:
        self._application_id = application_id
        #: By identity: two that are alike can be those of two nodes.
        self._stores: dict[int, StoreSpec] = {}
        #: By name of a serde: the first that writes to a topic.
        self._writers: dict[str, Serde[Any]] = {}
        self._replaced: dict[Node, Node] = {}

    def tell(self, node: Node) -> None:
        """Note what a node writes, and where.

        Raises:
            TopologyError: a serde knows that it cannot.
        """
        try:
            self._tell(node)
        except TopologyError as error:
            raise TopologyError(f"{node}: {error}") from error

    def _tell(self, node: Node) -> None:
        if isinstance(node, Sink) and isinstance(node.topic, str):
            self._told(node.key, node.topic, is_key=True)
            self._told(node.value, node.topic, is_key=False)
        for store in node.stores:
            self._stores[id(store)] = self._told_store(node, store)

    def _told_store(self, node: Node, store: StoreSpec) -> StoreSpec:
        topic = f"{self._application_id}-{store.name}-changelog"
        if isinstance(node, TableSource) and (store.source_is_log or isinstance(node, GlobalTable)):
            topic = node.topics[0]
        if isinstance(node, GlobalTable) and not node.written:
            # Its rows are stored as they come: values are never written.
            return dataclasses.replace(store, key=self._told(store.key, topic, is_key=True))
        return dataclasses.replace(
            store,
            key=self._told(store.key, topic, is_key=True),
            value=self._told(store.value, topic, is_key=False),
        )

    def _told(self, serde: Serde[Any], topic: str, *, is_key: bool) -> Serde[Any]:
        told = for_topic(serde, topic, is_key=is_key)
        self._writers.setdefault(serde.name, told)
        return told

    def bind(self, declared: Node) -> Node:
        """Return a node whose serdes know their topics."""
        node = with_parents(declared, self._replaced)
        changes: dict[str, Any] = {}
        for field in dataclasses.fields(node):
            part = getattr(node, field.name)
            if field.name != "parents" and (bound := self._bound(part)) is not part:
                changes[field.name] = bound
        if isinstance(node, Sink) and isinstance(node.topic, str):
            changes["key"] = for_topic(node.key, node.topic, is_key=True)
            changes["value"] = for_topic(node.value, node.topic, is_key=False)
        elif isinstance(node, Sink):
            # Each record's topic is told when it is chosen.
            changes.clear()
        bound = self._replaced[declared] = dataclasses.replace(node, **changes) if changes else node
        return bound

    def _bound(self, part: Any) -> Any:
        if isinstance(part, Node):
            return self._replaced.get(part, part)
        if isinstance(part, StoreSpec):
            return self._stores.get(id(part), part)
        if isinstance(part, Keyed | WindowClosing):
            fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
            bound = {name: self._bound(value) for name, value in fields.items()}
            same = all(bound[name] is value for name, value in fields.items())
            return part if same else dataclasses.replace(part, **bound)
        if isinstance(part, tuple):
            items = tuple(map(self._bound, part))
            return part if all(one is other for one, other in zip(part, items, strict=True)) else items
        return self._writers.get(part.name, part) if isinstance(part, TopicSerde) else part
