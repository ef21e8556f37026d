"""Operators that call each other last are one function, which does what they do."""

from __future__ import annotations

import inspect
import linecache
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import FunctionType
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.declaration import describe_frame
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.stream import KStream
from pipeline.plan import fusion
from pipeline.plan.fusion import fuse
from pipeline.plan.inlining import Where
from pipeline.testing.driver import TopologyTestDriver


def names_in(function: Callable[..., Any]) -> list[str]:
    """Return the names of what was fused; of a function that was not, none."""
    assert isinstance(function, FunctionType)
    found = re.match(r"<fused \w+: (.*)>$", function.__code__.co_filename)
    return [] if found is None else found[1].split(", ")


class Case(NamedTuple):
    text: str
    where: Where = "end"


FUSED: Final = {
    "names that both have": Case(
        """
        def first(seen, forward):
            def process(key, value):
                other = (value, key)
                try:
                    value + 1
                except TypeError as error:
                    seen(str(error))
                    return
                forward(value, key)
            return process

        def then(seen):
            def process(key, value):
                other = [key, value]
                try:
                    value.upper()
                except AttributeError as error:
                    seen((other, str(error)))
                    return
                seen(other)
            return process

        def build(seen):
            return first(seen, then(seen))
        """,
    ),
    "a parameter that is bound anew, and is the same variable as another": Case(
        """
        def first(forward):
            def process(key, value):
                forward(value, value, key)
            return process

        def then(seen):
            def process(one, other, third):
                one = (one, third)
                seen((one, other))
            return process

        def build(seen):
            return first(then(seen))
        """,
    ),
    "arguments that are no variables, or cells": Case(
        """
        def first(forward, held):
            def process(key, value):
                forward(str(key), held, [value, 1])
            return process

        def then(seen):
            def process(one, other, third):
                seen((one, other, third))
            return process

        def build(seen):
            return first(then(seen), "held")
        """,
    ),
    "what is remembered, and what only seems to be None for ever": Case(
        """
        def first(forward, seen):
            last, never = None, None
            def process(key, value):
                nonlocal last
                if last is not None:
                    seen(("after", last))
                if never is not None:
                    seen("never")
                last = value
                forward(key, value)
            return process

        def then(seen):
            count = 0
            def process(key, value):
                nonlocal count
                count += 1
                seen((count, key))
            return process

        def build(seen):
            return first(then(seen), seen)
        """,
    ),
    "flags, however they are asked": Case(
        """
        def first(forward, seen, on=True, off=False, nothing=None):
            def process(key, value):
                if off or (key is None and on) or nothing:
                    seen("left out")
                    return
                if not on:
                    seen("off")
                elif nothing is None and off:
                    seen("never")
                else:
                    seen(("on", off or value, value and on, 1 if off else 2, nothing))
                while off:
                    seen("for ever")
                forward(key, value)
            return process

        def then(seen, off=False):
            def process(key, value):
                if off:
                    seen("nothing else is done")
            return process

        def build(seen):
            return first(then(seen), seen)
        """,
    ),
    "the module's names, within comprehensions, too": Case(
        """
        OFFSET = 10

        def moved(value):
            return (value, OFFSET)

        def first(forward):
            def process(key, value):
                moved_twice = [moved(each) for each in (key, value)]
                forward(moved_twice, OFFSET)
            return process

        def then(seen):
            def process(key, value):
                seen([(each, value) for each in key])
            return process

        def build(seen):
            return first(then(seen))
        """,
    ),
    "within branches of what comes before": Case(
        """
        def first(forward, seen):
            def process(key, value):
                if key:
                    key = str(key)
                else:
                    if value:
                        forward(key, value)
            return process

        def then(seen):
            def process(key, value):
                if value is None:
                    return
                seen((key, value))
            return process

        def build(seen):
            return first(then(seen), seen)
        """,
    ),
    "one that calls itself": Case(
        """
        def first(forward):
            def process(key, value):
                forward(key, value)
            return process

        def then(seen):
            def process(key, value):
                seen((key, value))
                if value:
                    process(key, None)
            return process

        def build(seen):
            return first(then(seen))
        """,
    ),
    "at the end of each turn": Case(
        """
        def first(forward, seen):
            def process(key, value):
                taken = 0
                for each in (key, value, key):
                    if each is None:
                        continue
                    taken += 1
                    forward(each, taken)
                return taken
            return process

        def then(seen):
            def process(key, value):
                if key == 3:
                    return
                for each in range(2):
                    if each:
                        break
                seen((key, value))
            return process

        def build(seen):
            return first(then(seen), seen)
        """,
        "turn",
    ),
}

LEFT: Final = {
    "a value that is returned": "return key",
    "names of its own": "seen((lambda: key)())",
    "a generator": "yield key",
}

CALLS: Final = {
    "nothing": "forward",
    "it in two places": """
                if key:
                    forward(key, value)
                else:
                    forward(value, key)""",
    "it within try": """
                try:
                    forward(key, value)
                finally:
                    seen(1)""",
    "it by a name of its parameter": "forward(key, value=value)",
    "it with too little": "forward(key)",
    "it with what a list holds": "forward(*[key, value])",
    "it before something else": "forward(key, value); seen(2)",
}

TEMPLATE: Final = """
        def first(forward, seen):
            def process(key, value):
                {call}
            return process

        def then(seen):
            def process(key, value):
                {body}
            return process

        def build(seen):
            return first(then(seen), seen)
        """


def built(folder: Path, text: str) -> Callable[[Callable[[Any], None]], Callable[..., Any]]:
    """Return `build` of a module of operators with this text."""
    path = folder / "operators_of_a_test.py"
    path.write_text(dedent(text), encoding="utf-8")
    linecache.checkcache(str(path))
    names: dict[str, Any] = {"__name__": "pipeline.operators.of_a_test"}
    code = compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
    exec(code, names)  # noqa: S102 - a module, in short
    build: Callable[[Callable[[Any], None]], Callable[..., Any]] = names["build"]
    return build


INPUTS: Final = [(1, 2), (3, "x"), (None, 0), (0, 5), ("y", None), (3, 3)]


def called(function: Callable[..., Any]) -> list[Any]:
    """Return what a function returns and raises for the inputs."""
    answers: list[Any] = []
    for key, value in INPUTS:
        try:
            answers.append(function(key, value))
        except (TypeError, AttributeError) as error:
            answers.append(type(error))
    return answers


@pytest.mark.parametrize("name", FUSED)
def test_what_is_fused_does_the_same(name: str, tmp_path: Path) -> None:
    case = FUSED[name]
    build = built(tmp_path, case.text)
    seen: list[Any] = []
    expected: list[Any] = []
    fused, plain = fuse(build(seen.append), case.where), build(expected.append)
    assert len(names_in(fused)) == 2
    assert called(fused) == called(plain)
    assert seen == expected


@pytest.mark.parametrize(
    ("call", "body"),
    [
        *(pytest.param("forward(key, value)", body, id=f"calls {name}") for name, body in LEFT.items()),
        *(pytest.param(call, "seen((key, value))", id=f"calls {name}") for name, call in CALLS.items()),
    ],
)
def test_what_cannot_be_fused_is_called(call: str, body: str, tmp_path: Path) -> None:
    build = built(tmp_path, TEMPLATE.format(call=call, body=body))
    seen: list[Any] = []
    expected: list[Any] = []
    function = build(seen.append)
    assert fuse(function) is function
    assert called(function) == called(build(expected.append))
    assert seen == expected


def test_a_return_within_a_loop_is_no_end_of_a_turn(tmp_path: Path) -> None:
    body = "\n                for each in (1, 2):\n                    return"
    build = built(
        tmp_path, TEMPLATE.format(call="\n                for each in (1, 2): forward(key, each)", body=body)
    )
    function = build([].append)
    assert fuse(function, "turn") is function


def test_what_others_have_written_is_called(tmp_path: Path) -> None:
    function: Any = built(tmp_path, FUSED["names that both have"].text)([].append)
    names = {**function.__globals__, "__name__": "their.module"}
    theirs = FunctionType(function.__code__, names, None, None, function.__closure__)
    assert names_in(fuse(function))
    assert fuse(theirs) is theirs


def test_text_that_is_not_what_runs_is_not_taken_for_it(tmp_path: Path) -> None:
    """A worker goes on while its files are replaced, by an update."""
    text = TEMPLATE.format(call="forward(key, value)", body="seen(1)")
    function: Any = built(tmp_path, text)([].append)
    path = Path(function.__code__.co_filename)
    path.write_text(path.read_text(encoding="utf-8").replace("seen(1)", "seen(22)"), encoding="utf-8")
    linecache.checkcache(str(path))
    assert fuse(function) is function
    path.unlink()
    linecache.checkcache(str(path))
    assert fuse(function) is function


def test_a_traceback_shows_the_fused_text(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as failure:
        fuse(built(tmp_path, FUSED["arguments that are no variables, or cells"].text)(explode))(1, 2)
    text = "".join(traceback.format_exception(failure.value))
    assert "<fused " in text
    assert "seen_1((one_1, other_1, third_1))" in text


def test_a_users_function_that_hangs_is_named_within_a_fused_one(tmp_path: Path) -> None:
    named: list[str] = []

    def hangs(_value: object) -> None:
        frame = inspect.currentframe()
        assert frame is not None
        named.append(describe_frame(frame))

    fused = fuse(built(tmp_path, FUSED["arguments that are no variables, or cells"].text)(hangs))
    assert names_in(fused)
    fused(1, 2)
    assert re.fullmatch(r"test_a_users_.*hangs \(.*test_fusion\.py:\d+\)", named[0])


def explode(_value: object) -> None:
    raise RuntimeError("a bug of the user's")


# Whole topologies

STEPS: Final[dict[str, Callable[[KStream[Any, Any]], KStream[Any, Any]]]] = {
    "filter": lambda s: s.filter(lambda k, v: v % 3 != 0),
    "filter_not": lambda s: s.filter_not(lambda k, v: v % 5 == 0),
    "map": lambda s: s.map(lambda k, v: (k and k + "m", 100 // (v - 7)), key=str, value=int),
    "map_values": lambda s: s.map_values(lambda k, v: 100 // (v - 4), value=int),
    "flat_map": lambda s: s.flat_map(lambda k, v: [(k, v), (None, v + 1)], key=str, value=int),
    "flat_map_values": lambda s: s.flat_map_values(lambda k, v: range(v % 3), value=int),
    "select_key": lambda s: s.select_key(lambda k, v: str(10 // (v - 3)), key=str),
    "peek": lambda s: s.peek(lambda k, v: 1 // (v - 6)),
    "merge": lambda s: s.merge(s.map_values(lambda k, v: v + 1, value=int)),
}

RECORDS: Final = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 12)), max_size=12)


def outcome(steps: list[str], records: list[tuple[str | None, int]]) -> tuple[list[Any], list[Any]]:
    """Return what comes out of a topology of these steps, and its dead letters."""
    builder = StreamsBuilder("fused")
    stream: KStream[Any, Any] = builder.stream("in", key=str, value=int)
    for step in steps:
        stream = STEPS[step](stream)
    stream.to("out")
    with TopologyTestDriver(builder.build(), topics=["out"], dead_letter="dead") as driver:
        source = driver.input_topic("in", key=str, value=int)
        for time, (key, value) in enumerate(records):
            source.pipe(key, value, time)
        dead = driver.output_topic("dead", key=bytes, value=bytes).read_all()
        return driver.output_topic("out", key=str, value=int).read_all(), [
            (letter.key, letter.value, dict(letter.headers)) for letter in dead
        ]


@given(st.lists(st.sampled_from(list(STEPS)), max_size=5), RECORDS)
def test_any_operators_do_the_same_fused_and_one_by_one(
    steps: list[str], records: list[tuple[str | None, int]]
) -> None:
    fused = outcome(steps, records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fusion, "part_of", lambda *_: None)
        assert outcome(steps, records) == fused


def test_a_long_chain_is_fused_in_part() -> None:
    """Each filter stands within the one before it: Python reads no more than a hundred levels."""
    fused = outcome(["filter_not"] * 200, [("a", 1), ("b", 5)])
    assert [record.value for record in fused[0]] == [1]
