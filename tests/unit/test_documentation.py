"""What the documentation shows can be run, and what it names is there."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

import pipeline
import pipeline.serde
from pipeline import App, Record, Windowed
from pipeline.dsl.cogrouped import SessionWindowedCogroupedKStream, TimeWindowedCogroupedKStream
from pipeline.dsl.options import StoreOptions
from pipeline.processor import Cancellable
from pipeline.settings import AppSettings
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.session import SessionStore
from pipeline.state.window import WindowStore
from pipeline.testing.driver import TestInputTopic, TestOutputTopic, TopologyTestDriver
from pipeline.testing.simulation import explore
from tests.semantics.improvements import IMPROVEMENTS

ROOT: Final = Path(__file__).parent.parent.parent
README: Final = ROOT / "README.md"
TABLES: Final = ROOT / "docs" / "from-kafka-streams.md"
PAGES: Final = (
    README,
    TABLES,
    *(ROOT / "docs" / f"{name}.md" for name in ("from-faust", "from-vector", "avro")),
)

#: What the tables call an object of a class.
OBJECTS: Final[dict[str, type]] = {
    "app": App,
    "cancellable": Cancellable,
    "cogrouped": pipeline.CogroupedKStream,
    "context": pipeline.ProcessorContext,
    "driver": TopologyTestDriver,
    "global_table": pipeline.GlobalKTable,
    "grouped": pipeline.KGroupedStream,
    "grouped_table": pipeline.KGroupedTable,
    "input_topic": TestInputTopic,
    "output_topic": TestOutputTopic,
    "processor": pipeline.Processor,
    "record": Record,
    "session_cogrouped": SessionWindowedCogroupedKStream,
    "session_store": SessionStore,
    "sessions": pipeline.SessionWindowedKStream,
    "store": KeyValueStore,
    "stream": pipeline.KStream,
    "table": pipeline.KTable,
    "time_cogrouped": TimeWindowedCogroupedKStream,
    "window_store": WindowStore,
    "windowed": pipeline.TimeWindowedKStream,
    "windowed_key": Windowed,
}
#: What the tables use beside what `pipeline` gives.
OTHERS: Final[dict[str, Any]] = {
    "explore": explore,
    "TopologyTestDriver": TopologyTestDriver,
    "re": re,
    "timedelta": timedelta,
}
#: Made by their `__init__` alone, or set there.
_SET: Final = {("global_table", "name")}


def blocks(page: Path) -> Iterator[str]:
    yield from re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


EXAMPLES: Final = [
    pytest.param(block, id=f"{page.name}-{i}") for page in PAGES for i, block in enumerate(blocks(page))
]


@pytest.mark.parametrize("block", EXAMPLES)
def test_every_example_runs_and_its_topology_can_be_planned(block: str) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(block, "example.py", "exec"), names)  # noqa: S102 - the documentation's own code
    apps = [value for value in names.values() if isinstance(value, App)]
    assert apps, "an example without an application shows nothing"
    for app in apps:
        assert app.plan.subtopologies


def test_the_program_of_from_vector_does_what_the_page_says() -> None:
    names: dict[str, Any] = {"__name__": "example"}
    (block,) = blocks(ROOT / "docs" / "from-vector.md")
    exec(compile(block, "example.py", "exec"), names)  # noqa: S102 - the documentation's own code
    told = '{"timestamp":"2026-11-26T23:00:0%dZ","level":"%s","message":"joe@example.com, token=abc"}'
    with TopologyTestDriver(names["app"], topics=["splunk.logs", "archive.logs"]) as driver:
        raw = driver.input_topic("raw.logs", value=bytes)
        for number in range(100):
            raw.pipe("k", (told % (number % 10, "info")).encode(), number)
        for line in (told % (1, "error"), told % (1, "error"), told % (2, "warn"), "{", '{"timestamp":"?"}'):
            raw.pipe("k", line.encode(), 0)
        splunk, archive = (
            [str(value) for value in driver.output_topic(topic).read_values()]
            for topic in ("splunk.logs", "archive.logs")
        )
        assert len(driver.output_topic("dead.letters", value=bytes).read_all()) == 2
    assert len(splunk) == 1
    # Of ten different lines, each ten times: those whose hash says so.
    assert 2 <= len(archive) < 12
    assert all("[REDACTED:email], [REDACTED:token]" in line for line in splunk + archive)


def test_the_readme_and_the_oracle_number_the_differences_alike() -> None:
    listed = re.findall(r"^  (\d+\. .*(?:\n     .*)*)", README.read_text(), re.MULTILINE)
    assert [re.sub(r"\n +", " ", item) for item in listed] == [
        f"{number}. {text}" for number, text in IMPROVEMENTS.items()
    ]


def rows() -> Iterator[tuple[str, str]]:
    """Yield each form of the tables' second column, with what it is called in Java."""
    for line in TABLES.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) >= 2:
            for form in re.findall(r"`([^`]+)`", cells[1]):
                if not form.startswith(("GET ", "faust ")):
                    yield cells[0], form


FORMS: Final = [pytest.param(form, id=form) for _, form in rows()]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_in_the_tables_can_be_written(form: str) -> None:
    tree = ast.parse(form, mode="eval").body
    if isinstance(tree, ast.Name):
        assert tree.id in pipeline.__all__
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            check_call(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert found(node) is not None


def test_the_tables_are_read() -> None:
    assert len(FORMS) > 150


def found(node: ast.expr) -> Any:
    """Return what an expression names: a class for an object of it."""
    if isinstance(node, ast.Name):
        name = node.id
        return OBJECTS.get(name) or OTHERS.get(name) or getattr(pipeline, name, None) or serde(name)
    assert isinstance(node, ast.Attribute), ast.unparse(node)
    if not isinstance(node.value, ast.Name):
        # A chain: what a method returns is for the type checker to say.
        return None
    owner = found(node.value)
    if isinstance(node.value, ast.Name) and (node.value.id, node.attr) in _SET:
        return property()
    assert hasattr(owner, node.attr), f"{ast.unparse(node)}: there is no {node.attr}"
    return getattr(owner, node.attr)


def serde(name: str) -> Any:
    return getattr(pipeline.serde, name, None)


def check_call(call: ast.Call) -> None:
    """Bind the arguments to the parameters, with store options by their names."""
    function = found(call.func)
    if function is None:
        assert isinstance(call.func, ast.Attribute)
        return
    keywords = {word.arg for word in call.keywords}
    try:
        signature = inspect.signature(function)
    except ValueError:
        return
    method = isinstance(call.func, ast.Attribute) and call.func.value.id in OBJECTS  # type: ignore[attr-defined]
    parameters = signature.parameters
    options = next((p for p in parameters.values() if p.kind is p.VAR_KEYWORD), None)
    if options is not None:
        known = keywords & parameters.keys()
        named = (AppSettings if function is App else StoreOptions).__optional_keys__
        assert keywords - known <= named, f"{ast.unparse(call)}: no such option"
        keywords = known
    signature.bind(*([None] if method else []), *call.args, **dict.fromkeys(filter(None, keywords)))
