"""Agents: the tables that their own code was seen to use become part of the plan."""

from __future__ import annotations

import dataclasses

from pipeline.errors import TopologyError
from pipeline.plan.nodes import Nodes, with_parents
from pipeline.topology import Agent, GlobalTable, Node, StoreSpec, Topology


def bind_tables(_topology: Topology, nodes: Nodes) -> Nodes:
    """Give agents the stores of the tables that their code uses."""
    replaced: dict[Node, Node] = {}
    for declared in nodes:
        node = with_parents(declared, replaced)
        if isinstance(node, Agent) and node.uses is not None:
            uses = node.uses()
            stores = {store.name: store for store in (*node.declared_stores, *uses.stores)}
            node = dataclasses.replace(
                node,
                declared_stores=tuple(stores.values()),
                closings=uses.closings,
                recovered=uses.recovered,
                global_tables=uses.global_tables,
                uses=None,
            )
        replaced[declared] = node
    bound = tuple(replaced.values())
    _check_global_tables(bound)
    _check_stores(bound)
    return bound


def _check_global_tables(nodes: Nodes) -> None:
    declared = {node.store.name for node in nodes if isinstance(node, GlobalTable)}
    for node in nodes:
        if isinstance(node, Agent) and (other := sorted({*node.global_tables} - declared)):
            raise TopologyError(f"{node} uses global table {other[0]!r}, which is another application's")


def _check_stores(nodes: Nodes) -> None:
    owners: dict[str, tuple[Node, StoreSpec]] = {}
    for node in nodes:
        for store in node.stores:
            owner, known = owners.setdefault(store.name, (node, store))
            if owner is not node and not owner.shares(known, node, store):
                raise TopologyError(f"store name {store.name!r} is used twice: by {owner} and by {node}")
