"""The comparison itself: it sees what differs, its corrections correct, and it makes failing cases small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.oracle import headrace
from tests.oracle.cases import Case, Output, Result
from tests.oracle.check import check
from tests.oracle.compare import difference
from tests.oracle.families import FAMILIES, stream_joined
from tests.oracle.generate import case
from tests.oracle.inputs import inputs
from tests.oracle.kafka_streams import KafkaStreams
from tests.oracle.maker import Maker
from tests.oracle.shrink import shrunk

_COUNT = Case(
    "aggregate",
    [
        {"id": "n1", "op": "stream", "topics": ["L"]},
        {"id": "n2", "op": "aggregate", "of": ["n1"], "fold": "count"},
        {"id": "n3", "op": "to_stream", "of": ["n2"]},
        {"id": "n4", "op": "to", "of": ["n3"], "topic": "out"},
    ],
    [["L", "a", "a1", 5], ["L", "b", "b2", 6], ["L", "a", "a3", 4], ["L", "a", None, 9]],
)


def _replaced(result: Result, **fields: Any) -> Result:
    record = result.outputs[2][0]._replace(**fields)
    return Result([*result.outputs[:2], [record], *result.outputs[3:]], result.stores)


ALTERED: dict[str, Callable[[Result], Result]] = {
    "key": lambda result: _replaced(result, key=b"b"),
    "value": lambda result: _replaced(result, value=b"\0" * 8),
    "time": lambda result: _replaced(result, timestamp=4),
    "headers": lambda result: _replaced(result, headers="1"),
    "topic": lambda result: _replaced(result, topic="other"),
    "a record more": lambda result: Result([*result.outputs[:3], result.outputs[2]], result.stores),
    "later": lambda result: Result([*result.outputs[:2], [], result.outputs[2]], result.stores),
    "a row less": lambda result: Result(result.outputs, {"n2": result.stores["n2"][1:]}),
    "another row": lambda result: Result(result.outputs, {"n2": [*result.stores["n2"][1:], ("a", "1", 5)]}),
    "an error": lambda result: Result(result.outputs[:3], error="StreamsError: no"),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED.keys())
def test_whatever_differs_is_a_difference(alter: Callable[[Result], Result]) -> None:
    result = headrace.run(_COUNT)
    assert difference(_COUNT, result, result) is None
    case = Case("", [*_COUNT.nodes, {"id": "n5", "op": "to", "of": ["n1"], "topic": "other"}], _COUNT.inputs)
    assert difference(case, alter(result), result) is not None


def test_the_order_counts_within_a_key_and_not_between_keys() -> None:
    one, two, other = (
        Output("out", key, value, 1) for key, value in [(b"a", b"1"), (b"a", b"2"), (b"b", b"3")]
    )
    plain = Result([[one, two, other]])
    case = Case(
        "", [_COUNT.nodes[0], {"id": "n2", "op": "to", "of": ["n1"], "topic": "out"}], [["L", "a", "", 1]]
    )
    assert difference(case, Result([[other, one, two]]), plain) is None
    assert difference(case, Result([[two, one, other]]), plain) is not None


def test_the_same_seed_gives_the_same_cases() -> None:
    numbers = range(3 * len(tuple(FAMILIES)))
    assert [case(7, n, tuple(FAMILIES)) for n in numbers] == [case(7, n, tuple(FAMILIES)) for n in numbers]
    assert [case(7, n, tuple(FAMILIES)) for n in numbers] != [case(8, n, tuple(FAMILIES)) for n in numbers]


def test_a_failing_case_is_made_small() -> None:
    made = case(3, 0, ["left-join"])

    def fails(smaller: Case) -> bool:
        late = any(len(record) > 1 and record[3] > 20 for record in smaller.inputs)
        return late and any(node["op"] == "stream_join" for node in smaller.nodes)

    smallest = shrunk(made, fails)
    assert len(smallest.inputs) == 1
    assert [node["op"] for node in smallest.nodes] == ["stream", "stream", "stream_join"]


@pytest.mark.kafka
def test_a_wrong_operator_is_found(kafka_streams: KafkaStreams, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not check(kafka_streams, _COUNT).failed
    right = headrace.run
    monkeypatch.setattr(headrace, "run", lambda case: ALTERED["time"](right(case)))
    found = check(kafka_streams, _COUNT)
    assert found.difference is not None
    assert "Headrace:      out a:2@4 (2)\n  Kafka Streams: out a:2@5 (2)" in found.difference


@pytest.mark.kafka
@pytest.mark.parametrize("kind", ["left", "outer"])
def test_rows_by_the_rule_are_kafka_streams_rows_at_other_moments(
    kafka_streams: KafkaStreams, kind: str
) -> None:
    """Where nothing is late and both sides go far ahead at the end, improvement 3 changes moments only."""
    for number in range(60):
        random = Random(number)
        make = Maker(random)
        joined = stream_joined(make, kind, make.source("L"), make.source("R"))
        make.nodes[-1]["fn"] = "both"
        for source in make.nodes[:2]:
            source.pop("timestamp", None)
        make.sink(joined)
        records = sorted(
            (record for record in inputs(random, make.nodes, make.scale)), key=lambda one: one[3]
        )
        last = records[-1][3]
        ends = [[topic, "z", f"{topic}{time}", last + time] for time in (10_000, 20_000) for topic in "LR"]
        case = Case(kind, make.nodes, [*records, *ends])
        plain, ruled = kafka_streams.run(case, [1, 6]), kafka_streams.run(case, [1, 3, 6])
        assert _without_ends(plain) == _without_ends(ruled), case.text()


def _without_ends(result: Result) -> Counter[Output]:
    return Counter(output._replace(headers="") for _, output in result.records() if output.key != b"z")
