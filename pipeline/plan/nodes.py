"""Nodes while they are rewritten: frozen, so that children follow their replaced parents."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias

from pipeline.topology import Node

#: Parents before children.
Nodes: TypeAlias = tuple[Node, ...]


def with_parents(node: Node, replaced: Mapping[Node, Node]) -> Node:
    """Return `node` with what its parents were replaced by."""
    parents = tuple(replaced.get(parent, parent) for parent in node.parents)
    return node if parents == node.parents else dataclasses.replace(node, parents=parents)
