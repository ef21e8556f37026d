"""Drawn graphs: golden texts, labels that would be markup, and the picture in the README."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pipeline import Processor, Record
from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.graph import to_dot, to_mermaid
from tests.plan import shop
from tests.plan.golden import GOLDEN, check_golden
from tests.plan.shop import TOPOLOGIES, planned
from topologies.observability import app

DOCS = Path(__file__).parent.parent.parent / "docs"
FORMATS = {"dot": to_dot, "mmd": to_mermaid}
NASTY = 'a"b\\c <i>d</i> & #35; `e` &lt;'


class Silent(Processor[Any, Any, Any, Any]):
    def process(self, record: Record[Any, Any]) -> None:
        pass


def nasty(builder: StreamsBuilder) -> None:
    """A name that is markup to whoever does not escape it."""
    builder.stream("in").process(Silent, name=NASTY)


DRAWN = [
    shop.branches,
    shop.windowed_count,
    shop.left_join_repartitioned,
    shop.global_tables,
    shop.foreign_key_join,
    shop.only_passes,
    shop.patterns,
    nasty,
]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("declare", DRAWN, ids=lambda declare: declare.__name__)
def test_golden(declare: Callable[[StreamsBuilder], None], suffix: str) -> None:
    check_golden(f"{declare.__name__}.{suffix}", FORMATS[suffix](planned(declare)))


def test_every_golden_graph_belongs_to_a_topology() -> None:
    files = {file.name for suffix in FORMATS for file in GOLDEN.glob(f"*.{suffix}")}
    assert files == {f"{declare.__name__}.{suffix}" for declare in DRAWN for suffix in FORMATS}


@pytest.mark.parametrize("draw", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("declare", TOPOLOGIES, ids=lambda declare: declare.__name__)
def test_the_same_topology_has_the_same_graph(declare: Callable[[StreamsBuilder], None], draw: Any) -> None:
    assert draw(planned(declare)) == draw(planned(declare))


@pytest.mark.parametrize("declare", TOPOLOGIES, ids=lambda declare: declare.__name__)
def test_whatever_is_not_a_source_or_sink_is_drawn_once_and_so_is_each_topic(
    declare: Callable[[StreamsBuilder], None],
) -> None:
    plan = planned(declare)
    dot = to_dot(plan)
    stores = [store.name for sub in plan.subtopologies for store in sub.stores]
    assert dot.count("shape=cylinder") == len(stores) + len(plan.global_tables)
    topics = re.findall(r"lightblue, label=\"(.*)\"", dot)
    assert len(topics) == len(set(topics))
    drawn = {topic.replace("\\n", "") for topic in topics}
    assert drawn >= plan.external_sources.keys() | set(plan.repartition_topics) | plan.fixed_sinks.keys()


@pytest.mark.parametrize("declare", [*TOPOLOGIES, nasty], ids=lambda declare: declare.__name__)
def test_graphviz_takes_it(declare: Callable[[StreamsBuilder], None]) -> None:
    dot = shutil.which("dot")
    if dot is None:
        pytest.skip("Graphviz is not installed: its own check of the syntax was not made")
    ran = subprocess.run(
        [dot, "-Tsvg"], input=to_dot(planned(declare)), capture_output=True, text=True, check=True
    )
    assert not ran.stderr
    assert (
        declare is not nasty or drawn(ran.stdout)[0]["n0_0"].replace("\\n", " ") == f"Process {NASTY} Silent"
    )


SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg: str) -> tuple[dict[str, str], set[str]]:
    """Return what a picture shows: labels by node, and edges."""
    picture = ET.fromstring(svg)  # noqa: S314 - drawn here, of our own text
    groups = {kind: picture.iterfind(f".//{SVG}g[@class='{kind}']") for kind in ("node", "edge")}
    title = f"{SVG}title"
    nodes = {
        g.findtext(title, ""): "\\n".join(t.text or "" for t in g.iter(f"{SVG}text")) for g in groups["node"]
    }
    return nodes, {g.findtext(title, "") for g in groups["edge"]}


def test_the_picture_in_the_readme_is_of_the_flagship_as_it_is() -> None:
    """After a change: `UPDATE_GOLDEN=1 pytest tests/plan`, then `make picture`, and look at it."""
    dot = to_dot(app.plan)
    check_golden(DOCS / "observability.dot", dot)
    nodes, edges = drawn((DOCS / "observability.svg").read_text())
    assert nodes == dict(re.findall(r'^ +(\w+) \[shape.*label="(.*)"\];$', dot, re.MULTILINE))
    assert edges == {edge.replace(" ", "") for edge in re.findall(r"\w+ -> \w+", dot)}
