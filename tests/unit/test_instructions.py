"""What a record costs, counted: a regression check that no noise moves.

If it fails: what became more expensive is named by `python -m benchmarks.instructions --show <work>`; is it
worth it: `python -m benchmarks.instructions --update`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.instructions.__main__ import parse
from benchmarks.instructions.callgrind import available, instructions_by_record
from benchmarks.instructions.calls import calls, calls_by_record
from benchmarks.instructions.expected import (
    CALLS_TOLERANCE,
    INSTRUCTIONS_TOLERANCE,
    PATH,
    UPDATE,
    Expected,
    python_version,
    too_many,
)
from benchmarks.instructions.records import COUNTED, WORKS, forward
from pipeline.dsl.builder import StreamsBuilder


@pytest.mark.parametrize("work", list(WORKS))
def test_a_record_takes_no_more_python_calls_than_expected(work: str) -> None:
    found = {work: calls_by_record(WORKS[work])}
    assert work in Expected.load().calls
    assert too_many("Python calls", found, Expected.load().calls, 0.0, CALLS_TOLERANCE) == []


@pytest.mark.skipif(not available(), reason="instructions are not counted: valgrind is not installed")
def test_a_record_takes_no_more_instructions_than_expected() -> None:
    expected = Expected.load().instructions.get(python_version())
    if expected is None:
        pytest.skip(f"instructions are not counted: none are expected of Python {python_version()}: {UPDATE}")
    found = instructions_by_record(list(WORKS))
    assert too_many("instructions", found, expected, INSTRUCTIONS_TOLERANCE) == []


def to_two(builder: StreamsBuilder) -> None:
    """Of what two follow, each is called: neither is what is done last."""
    source = builder.stream("source", value=bytes).filter(lambda _key, value: value is not None)
    source.to("target")
    source.to("target")


def test_one_python_call_more_is_noticed() -> None:
    usual, more = calls_by_record(forward), calls_by_record(to_two)
    assert more >= usual + 1
    (line,) = too_many("Python calls", {"forward": more}, {"forward": usual}, 0.0, CALLS_TOLERANCE)
    assert UPDATE in line


def test_calls_of_the_broker_in_memory_do_not_count() -> None:
    found = calls(to_two)
    assert not [name for name in found if "memory" in name or "partitioner" in name]
    assert found["operators/sink.py: process"] == 2 * COUNTED


@pytest.mark.parametrize(
    ("found", "expected", "lines"),
    [
        ({"a": 103}, {"a": 100}, 0),
        ({"a": 104}, {"a": 100}, 1),
        ({"a": 50}, {"a": 100}, 0),
        ({"b": 104}, {"a": 100}, 0),
        ({}, {"a": 100}, 0),
        ({"a": 104, "b": 104}, {"a": 100, "b": 100}, 2),
    ],
)
def test_what_is_too_many(found: dict[str, float], expected: dict[str, float], lines: int) -> None:
    assert len(too_many("instructions", found, expected, INSTRUCTIONS_TOLERANCE)) == lines


def test_what_is_expected_is_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / "expected.json"
    monkeypatch.setattr("benchmarks.instructions.expected.PATH", written)
    expected = Expected(calls={"a": 1.5}, instructions={"3.11": {"a": 7}})
    expected.save()
    assert Expected.load() == expected
    assert written != PATH


def test_options() -> None:
    assert parse(["--update"]).update
    assert parse(["--show", "count"]).show == "count"
    with pytest.raises(SystemExit):
        parse(["--show", "nothing"])
