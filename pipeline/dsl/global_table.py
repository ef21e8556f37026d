"""GlobalKTable: a topic that every worker holds whole, as a table; and a stream's join with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pipeline.dsl.graph import Graph
from pipeline.errors import TopologyError
from pipeline.serde import Serde
from pipeline.topology import GlobalTable, Node, StreamGlobalJoin, declaration_site

K = TypeVar("K")
V = TypeVar("V")


class GlobalKTable(Generic[K, V]):
    """A table that every worker holds whole: join streams with it, whatever they are partitioned by.

    It is loaded before any record is processed and follows its topic from then on. It can be queried over
    HTTP by its name, on any worker. Made by `App.global_table`.

    Attributes:
        node: the node in the topology that makes it.
        name: name of its store.
        key_serde: how its keys are encoded.
        value_serde: how its values are encoded.
    """

    def __init__(self, node: GlobalTable) -> None:
        self.node = node
        self.name = node.store.name
        self.key_serde: Serde[Any] = node.key
        self.value_serde: Serde[Any] = node.value


def declare_global_join(
    graph: Graph,
    stream: Node,
    table: GlobalKTable[Any, Any],
    key_mapper: Callable[[Any, Any], Any] | None,
    joiner: Callable[[Any, Any, Any], Any],
    name: str | None,
    operator: str,
) -> Node:
    """Declare a lookup of each stream record in a global table: `operator` is `join` or `left_join`.

    Raises:
        TopologyError: nobody said which row a record belongs to, or the table is another application's.
    """
    if operator == "outer_join":
        raise TopologyError(
            f"outer_join at {declaration_site()} is of two streams; of a stream and a global table, only "
            "records of the stream trigger: use left_join"
        )
    if key_mapper is None:
        raise TopologyError(
            f"{operator} at {declaration_site()} with global table {table.name!r} needs key_mapper=: "
            "key_mapper(key, value) returns the key of the row to join a record with"
        )
    graph.check_own(table.node, f"{operator} at {declaration_site()} takes rows of")
    return graph.add(
        StreamGlobalJoin,
        operator.replace("_", "-"),
        name,
        parents=(stream,),
        global_table=table.node,
        key_mapper=key_mapper,
        joiner=joiner,
        left_outer=operator == "left_join",
    )
