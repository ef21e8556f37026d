"""What `describe` prints, as golden texts: a change of a plan, of a name or of a topic shows here.

Write them anew with `UPDATE_GOLDEN=1 pytest tests/plan`, and read the difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.description import describe
from tests.plan.golden import GOLDEN, check_golden
from tests.plan.node_types import node_types
from tests.plan.shop import TOPOLOGIES, planned
from topologies.observability import app


def described(declare: Callable[[StreamsBuilder], None]) -> str:
    # Where functions stand is not what the golden texts are about.
    return re.sub(r"\.py:\d+", ".py:*", describe(planned(declare)))


@pytest.mark.parametrize("declare", TOPOLOGIES, ids=lambda declare: declare.__name__)
def test_golden(declare: Callable[[StreamsBuilder], None]) -> None:
    check_golden(f"{declare.__name__}.txt", described(declare))


def test_the_flagship() -> None:
    check_golden("observability.txt", describe(app.plan))


def test_every_golden_text_belongs_to_a_topology() -> None:
    described = {declare.__name__ for declare in TOPOLOGIES} | {"observability"}
    assert {file.stem for file in GOLDEN.glob("*.txt")} == described


def test_every_type_of_node_is_in_a_golden_text() -> None:
    """But what is written as sinks and sources, or as several nodes."""
    shown = {line.split()[0] for file in GOLDEN.glob("*.txt") for line in file.read_text().splitlines()}
    types = {kind.__name__ for kind in node_types()} - {"Repartition", "TableNode", "ForeignKeyJoin"}
    assert types - shown == set()


@pytest.mark.parametrize("declare", TOPOLOGIES, ids=lambda declare: declare.__name__)
def test_the_same_topology_has_the_same_description(declare: Callable[[StreamsBuilder], None]) -> None:
    assert described(declare) == described(declare)
