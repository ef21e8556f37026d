"""Declaring a join of two tables by a foreign key: what it needs to know of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.dsl.graph import Graph, required, told
from pipeline.dsl.options import StoreOptions, table_store
from pipeline.dsl.table_base import TableBase
from pipeline.errors import TopologyError
from pipeline.serde import BYTES, Serde, SerdeLike
from pipeline.topology import ForeignKeyJoin, Node, StoreSpec, declaration_site


def declare_foreign_key_join(
    graph: Graph,
    sides: tuple[TableBase[Any, Any], TableBase[Any, Any]],
    joiner: Callable[[Any, Any, Any], Any],
    foreign_key: Callable[[Any, Any], Any],
    name: str | None,
    value: SerdeLike | None,
    options: StoreOptions,
    operator: str,
) -> Node:
    """Declare a join of each row of the left table with the row of the right one that it names.

    The result is always kept: answers come one by one, from other tasks, and no row can be computed when
    it is asked for.

    Raises:
        TopologyError: there is no name, or it is not known how to encode a row; names the operator and
            the line.
    """
    left, right = sides
    name = required(name, operator, "it names two topics and two stores of the foreign-key join")
    return graph.add(
        ForeignKeyJoin,
        f"foreign-key-{operator.replace('_', '-')}",
        name,
        parents=(left.node, right.node),
        store=table_store(name, left.key_serde, told(value, operator), options, operator),
        subscriptions=StoreSpec(
            f"{name}-subscriptions",
            "key-value",
            BYTES,
            BYTES,
            ordered=True,
            queryable=False,
            in_memory=options.get("in_memory", False),
        ),
        foreign_key=foreign_key,
        joiner=joiner,
        left_outer=operator == "left_join",
        left_key=left.key_serde,
        left_value=_row_serde(left, operator),
        right_key=right.key_serde,
        right_value=_row_serde(right, operator),
    )


def _row_serde(table: TableBase[Any, Any], operator: str) -> Serde[Any]:
    if table.value_serde is None:
        raise TopologyError(
            f"{operator} at {declaration_site()} with foreign_key= does not know how to encode the rows of "
            f"{table.node}, and they are sent to other tasks: give value= to the operator that makes them"
        )
    return table.value_serde
