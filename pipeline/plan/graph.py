"""A plan as a drawn graph: Graphviz DOT or Mermaid, the same for the same topology.

Sub-topologies are clusters, operators boxes, stores cylinders, topics round; a dashed line goes to a topic
that is chosen for each record, a dotted one to a store, a global one too. Sources and sinks are not drawn
where they are nothing but their topics; changelogs are not drawn at all: `describe` has them.
"""

from __future__ import annotations

import itertools
import json
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from pipeline.plan.description import details
from pipeline.plan.planner import Plan, SubTopology
from pipeline.topology import Agent, Node, Sink, Source, StreamGlobalJoin, describe_function

_Shape: TypeAlias = Literal["operator", "store", "topic"]
_Line: TypeAlias = Literal["records", "chosen", "state"]

#: A longer line of a label is broken, after a hyphen too: boxes side by side are to fit a page.
_WIDTH: Final = 26


@dataclass(frozen=True, slots=True)
class _Box:
    """One thing that is drawn, and the lines of its label."""

    id: str
    shape: _Shape
    label: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """Its label, broken where it is long."""
        return [part for line in self.label for part in textwrap.wrap(line, _WIDTH, break_long_words=False)]


@dataclass(slots=True)
class _Drawing:
    """What both notations draw.

    Attributes:
        clusters: the boxes of each sub-topology, by its title.
        topics: by label, so that each is drawn once, whoever reads and writes it.
        global_stores: the stores of global tables.
        lines: from one box to another, and what kind of line.
    """

    clusters: dict[str, list[_Box]] = field(default_factory=dict)
    topics: dict[tuple[str, ...], _Box] = field(default_factory=dict)
    global_stores: dict[Node, _Box] = field(default_factory=dict)
    lines: list[tuple[_Box, _Box, _Line]] = field(default_factory=list)

    def topic(self, *label: str) -> _Box:
        """Return the topic with this label, or the topics that one is chosen from."""
        return self.topics.setdefault(label, _Box(f"t{len(self.topics)}", "topic", label))

    def connect(self, starts: Iterable[_Box], end: _Box, line: _Line = "records") -> None:
        """Draw a line from each of several boxes to one."""
        self.lines += [(start, end, line) for start in starts]


def to_dot(plan: Plan) -> str:
    """Return a plan in DOT; Graphviz draws it: `dot -Tsvg`."""
    drawing = _draw(plan)
    text = [
        f"digraph {_dot_text(plan.application_id)} {{",
        "  graph [fontname=Helvetica, fontsize=10, color=gray60, labeljust=l, nodesep=0.15, ranksep=0.3];",
        '  node [fontname=Helvetica, fontsize=10, style=filled, height=0.2, margin="0.08,0.04"];',
        "  edge [color=gray30];",
    ]
    text += [f"  {_dot_box(box)}" for box in drawing.topics.values()]
    for number, (title, boxes) in enumerate(drawing.clusters.items()):
        text += [f"  subgraph cluster_{number} {{", f"    label={_dot_text(title)};"]
        text += [*(f"    {_dot_box(box)}" for box in boxes), "  }"]
    text += [f"  {start.id} -> {end.id}{_DOT_LINES[line]};" for start, end, line in drawing.lines]
    return "\n".join([*text, "}"]) + "\n"


def to_mermaid(plan: Plan) -> str:
    """Return a plan as a Mermaid flowchart; GitHub draws it where it stands in a Markdown file."""
    drawing = _draw(plan)
    # The title is YAML, and JSON is YAML.
    text = ["---", f"title: {json.dumps(plan.application_id)}", "---", "flowchart TB"]
    text += [f"  {_mermaid_box(box)}" for box in drawing.topics.values()]
    for number, (title, boxes) in enumerate(drawing.clusters.items()):
        text += [f"  subgraph c{number} [{_mermaid_text(title)}]"]
        text += [*(f"    {_mermaid_box(box)}" for box in boxes), "  end"]
    text += [f"  {start.id} {_MERMAID_LINES[line]} {end.id}" for start, end, line in drawing.lines]
    return "\n".join(text) + "\n"


def _draw(plan: Plan) -> _Drawing:
    drawing = _Drawing()
    if plan.global_tables:
        drawing.clusters["global tables, whole on every worker"] = list(_draw_global_tables(plan, drawing))
    for sub in plan.subtopologies:
        drawing.clusters[f"sub-topology {sub.id}"] = list(_draw_subtopology(sub, drawing))
    return drawing


def _draw_global_tables(plan: Plan, drawing: _Drawing) -> Iterator[_Box]:
    for number, table in enumerate(plan.global_tables):
        box = _Box(f"g{number}", "operator", _label(table))
        drawing.connect([drawing.topic(topic) for topic in table.topics], box)
        kept = drawing.global_stores[table] = _Box(
            f"g{number}_store", "store", (table.store.name, *table.store.details)
        )
        drawing.connect([box], kept, "state")
        yield from (box, kept)


def _draw_subtopology(sub: SubTopology, drawing: _Drawing) -> Iterator[_Box]:
    numbers = itertools.count()
    # Where only topics would be left, sources stand for the sub-topology.
    sources = all(isinstance(node, Source | Sink) for node in sub.nodes)
    outputs: dict[Node, list[_Box]] = {}
    stores: dict[str, _Box] = {}
    for node in sub.nodes:
        inputs = [box for parent in dict.fromkeys(node.parents) for box in outputs[parent]]
        if isinstance(node, Sink):
            line: _Line = "records" if isinstance(node.topic, str) else "chosen"
            drawing.connect(inputs, drawing.topic(*_destination(node)), line)
            continue
        if isinstance(node, Source):
            inputs = [drawing.topic(topic) for topic in node.reads]
            if not (sources or node.stores):
                outputs[node] = inputs
                continue
        box = _Box(f"n{sub.id}_{next(numbers)}", "operator", _label(node))
        drawing.connect(inputs, box)
        outputs[node] = [box]
        yield box
        if isinstance(node, StreamGlobalJoin):
            drawing.connect([drawing.global_stores[node.global_table]], box, "state")
        if isinstance(node, Agent):
            for table, kept in drawing.global_stores.items():
                if table.table is not None and table.table.name in node.global_tables:
                    drawing.connect([box], kept, "state")
        for store in node.stores:
            shared = stores.get(store.name)
            kept = shared or _Box(f"n{sub.id}_{next(numbers)}", "store", (store.name, *store.details))
            drawing.connect([box], kept, "state")
            if shared is None:
                stores[store.name] = kept
                yield kept


def _label(node: Node) -> tuple[str, ...]:
    """What a source reads is drawn, so it need not say that."""
    return (type(node).__name__, node.name, *(() if isinstance(node, Source) else details(node)))


def _destination(node: Sink) -> tuple[str, ...]:
    """Without the line of a function: a picture is not to be drawn anew because a line was put before it."""
    return node.topics or (f"chosen by {describe_function(node.topic).partition(' (')[0]}",)


_DOT_SHAPES: Final[dict[_Shape, str]] = {
    "operator": "shape=box, fillcolor=white",
    "store": "shape=cylinder, fillcolor=lightyellow",
    "topic": 'shape=box, style="rounded,filled", fillcolor=lightblue',
}
_DOT_LINES: Final[dict[_Line, str]] = {
    "records": "",
    "chosen": " [style=dashed]",
    "state": " [style=dotted, dir=none]",
}
#: What a quoted string would end at, and what Graphviz would take for an escape or an entity.
_DOT_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "&": "&amp;"})


def _dot_box(box: _Box) -> str:
    return f"{box.id} [{_DOT_SHAPES[box.shape]}, label={_dot_text(*box.lines)}];"


def _dot_text(*lines: str) -> str:
    text = "\\n".join(line.translate(_DOT_ESCAPES) for line in lines)
    return f'"{text}"'


_MERMAID_SHAPES: Final[dict[_Shape, str]] = {"operator": "[{}]", "store": "[({})]", "topic": "([{}])"}
_MERMAID_LINES: Final[dict[_Line, str]] = {"records": "-->", "chosen": "-.->", "state": "-.-"}
#: What a label would take for markup, as Mermaid wants it written.
_MERMAID_ESCAPES: Final = str.maketrans(
    {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"}
)


def _mermaid_box(box: _Box) -> str:
    return f"{box.id}{_MERMAID_SHAPES[box.shape].format(_mermaid_text(*box.lines))}"


def _mermaid_text(*lines: str) -> str:
    text = "<br/>".join(line.translate(_MERMAID_ESCAPES) for line in lines)
    return f'"{text}"'
