"""The graph while it is being declared: where the DSL's objects put their nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pipeline.dsl.functions import check_functions
from pipeline.errors import TopologyError
from pipeline.serde import STRING, Serde, SerdeLike, serde_for
from pipeline.topology import (
    Node,
    Source,
    StoreSpec,
    check_topic_name,
    declaration_site,
    same_source,
)


class Graph:
    """The nodes declared so far, in order. Display names are made unique by a number."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: set[Node] = set()
        self._numbers: dict[str, int] = {}
        self._names: dict[str, Node] = {}
        self._stores: dict[str, tuple[Node, StoreSpec]] = {}

    def add(self, type_: Callable[..., Node], kind: str, name: str | None = None, **fields: Any) -> Node:
        """Make a node declared by the user's line, and keep it.

        Raises:
            TopologyError: a function cannot be called as it will be; its name or a store's is taken, or
                cannot be one; a parent belongs to another graph; a topic is read in another way already.
        """
        if name is None:
            number = self._numbers[kind] = self._numbers.get(kind, 0) + 1
            name = f"{kind}-{number}"
        else:
            check_name(name, kind)
        node = type_(name=name, site=declaration_site(), **fields)
        check_functions(node)
        for parent in node.parents:
            self.check_own(parent, f"{node} takes records from")
        if isinstance(node, Source):
            same_source(node, (other for other in self.nodes if isinstance(other, Source)))
        if name in self._names:
            raise _used_twice("node", name, self._names[name], node)
        self._names[name] = node
        for store in node.stores:
            check_topic_name(store.name, f"{node}: store name")
            self._take_store(store, node)
        self.nodes.append(node)
        self._known.add(node)
        return node

    def _take_store(self, store: StoreSpec, node: Node) -> None:
        """Processors and agents that declare a store alike share it; any other belongs to one operator."""
        if store.name in self._stores:
            owner, known = self._stores[store.name]
            if not owner.shares(known, node, store):
                raise _used_twice("store", store.name, owner, node)
        self._stores.setdefault(store.name, (node, store))

    def check_own(self, node: Node, what: str) -> None:
        """Raise a TopologyError that begins with `what`, unless the node is of this graph."""
        if node not in self._known:
            raise TopologyError(f"{what} {node}, which is another application's")


def _used_twice(what: str, name: str, one: Node, other: Node) -> TopologyError:
    advice = "give one of them another name"
    if what == "store" and one.shares_stores and other.shares_stores:
        advice += ", or, to share the store, declare it alike for both"
    return TopologyError(f"{what} name {name!r} is used twice: by {one} and by {other}; {advice}")


def expect(value: object, kind: type[Any] | tuple[type[Any], ...], operator: str, wanted: str) -> None:
    """Raise a TopologyError that names operator and line, unless `value` is of the kind that is `wanted`."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TopologyError(f"{operator} at {declaration_site()} takes {wanted}, not {value!r}")


def required(name: str | None, operator: str, why: str) -> str:
    """Return `name`, or raise a TopologyError that says which operator misses it and where."""
    if name is None:
        raise TopologyError(f"{operator} at {declaration_site()} needs name=: {why}")
    check_name(name, operator)
    return name


def check_name(name: object, operator: str) -> None:
    """Raise a TopologyError that names operator and line, unless `name` can be one."""
    if not isinstance(name, str) or not name:
        raise TopologyError(f"{operator} at {declaration_site()}: name= must be a text, not {name!r}")


def resolve(spec: SerdeLike | None, inherited: Serde[Any] | None, operator: str) -> Serde[Any] | None:
    """Return the serde for `spec`, or the inherited one if none was given.

    Raises:
        TopologyError: `spec` is no serde; names the operator and the line.
    """
    if spec is None:
        return inherited
    try:
        return serde_for(spec)
    except TopologyError as error:
        raise TopologyError(f"{operator} at {declaration_site()}: {error}") from error


def key_serde(spec: SerdeLike | None, inherited: Serde[Any] | None, operator: str) -> Serde[Any]:
    """Return the serde of a key: as given, as inherited, else UTF-8 strings."""
    return resolve(spec, inherited, operator) or STRING


def known(serde: Serde[Any] | None, operator: str, what: str) -> Serde[Any]:
    """Return `serde`, or raise a TopologyError that says to give one."""
    if serde is None:
        raise TopologyError(
            f"{operator} at {declaration_site()} does not know how to encode the {what}, because it "
            f"or an operator before it changed it: give {what}="
        )
    return serde


def told(spec: SerdeLike | None, operator: str) -> Serde[Any]:
    """Return the serde of values that only the user can know, as those of an aggregate.

    Raises:
        TopologyError: none was given, or it is no serde; names the operator and the line.
    """
    serde = resolve(spec, None, operator)
    if serde is None:
        raise TopologyError(
            f"{operator} at {declaration_site()} needs value=: how the results are encoded, such as dict, "
            "int, str or a type of yours"
        )
    return serde


def common(serdes: Iterable[Serde[Any] | None]) -> Serde[Any] | None:
    """Return the serde that all of `serdes` are; None if they differ, or one is not known."""
    first, *others = serdes
    alike = first is not None and all(other is not None and other.name == first.name for other in others)
    return first if alike else None
