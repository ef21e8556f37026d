"""Nodes, and how messages name functions and lines."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import TopologyError
from pipeline.timestamps import EventTime
from pipeline.topology import Topology, check_topic_name, declaration_site, describe_function

HERE = str(Path(__file__).relative_to(Path.cwd()))


def plain(_key: object, _value: object) -> None: ...


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


class Called:
    def __init__(self) -> None: ...

    def __call__(self, _key: object, _value: object) -> None: ...

    def method(self, _key: object, _value: object) -> None: ...


def line_of(function: Callable[..., Any]) -> int:
    return function.__code__.co_firstlineno


@pytest.mark.parametrize(
    ("function", "name", "line"),
    [
        pytest.param(plain, "plain", line_of(plain), id="function"),
        pytest.param(decorated(plain), "plain", line_of(plain), id="decorated"),
        pytest.param(functools.partial(plain, 1), "plain", line_of(plain), id="partial"),
        pytest.param(
            functools.partial(functools.partial(plain), 1), "plain", line_of(plain), id="partial-of-partial"
        ),
        pytest.param(Called().method, "Called.method", line_of(Called.method), id="method"),
        pytest.param(Called(), "Called", line_of(Called.__call__), id="object"),
        pytest.param(Called, "Called", line_of(Called.__init__), id="class"),
    ],
)
def test_describe_function(function: object, name: str, line: int) -> None:
    assert describe_function(function) == f"{name} ({HERE}:{line})"


def test_describe_a_lambda() -> None:
    assert describe_function(lambda: 0).endswith(f"<lambda> ({HERE}:{sys._getframe().f_lineno})")


@pytest.mark.parametrize(
    ("function", "name"), [(len, "len"), (str, "str"), (7, "int"), (EventTime("time"), "EventTime")]
)
def test_describe_what_has_no_line(function: object, name: str) -> None:
    assert describe_function(function) == name


def test_a_node_is_declared_where_the_users_line_stands() -> None:
    builder = StreamsBuilder("test")
    line = sys._getframe().f_lineno + 1
    node = builder.stream("in", key=str, value=str).group_by_key().count(name="t").node
    assert node.site == f"{HERE}:{line}"
    assert str(node) == f"t ({HERE}:{line})"


def test_a_users_module_beside_the_package_is_not_taken_for_part_of_it() -> None:
    """Its path begins with the package's name."""
    package = Path(sys.modules["pipeline"].__file__ or "").parent
    module = ModuleType("pipeline_of_mine")
    source = "def site(find):\n    return find()\n"
    exec(compile(source, f"{package}_of_mine/app.py", "exec"), vars(module))  # noqa: S102 - a module at a path of our choice
    assert module.site(declaration_site).endswith("pipeline_of_mine/app.py:2")


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 200])
def test_names_that_topics_can_have(name: str) -> None:
    check_topic_name(name, "topic")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", ".", "..", "x" * 201, "a\n", "٣"])
def test_names_that_topics_cannot_have(name: str) -> None:
    with pytest.raises(TopologyError, match=r"topic .* cannot be a topic's name"):
        check_topic_name(name, "topic")


def test_a_topology_is_built_again_after_more_was_declared() -> None:
    builder = StreamsBuilder("test")
    stream = builder.stream("in", key=str, value=str)
    first = builder.build()
    stream.to("out")
    assert isinstance(first, Topology)
    assert [len(topology.nodes) for topology in (first, builder.build())] == [1, 2]


def test_nodes_are_frozen_and_equal_only_to_themselves() -> None:
    builder = StreamsBuilder("test")
    one, other = (builder.stream(topic, key=str, value=str).node for topic in ("a", "b"))
    assert one != other
    assert len({one, other, one}) == 2
    with pytest.raises(AttributeError):
        one.name = "other"  # type: ignore[misc] # what is tested
