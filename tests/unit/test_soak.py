from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.soak.__main__ import parse, plan_of
from benchmarks.soak.feeder import VALUE_BYTES, prepared_event
from benchmarks.soak.observer import Sample
from benchmarks.soak.report import Plan, Result, problems, report
from benchmarks.soak.requests import Requests
from benchmarks.soak.topology import SINK, SOURCE, STORE, app
from pipeline.testing.driver import TopologyTestDriver

PLAN = Plan(60, 10, ((15.0, 25.0), (36.0, 46.0)))
BOUNDS = {"caches": 100 << 20}


def request(kind: int, body: bytes) -> bytes:
    return struct.pack(">ih", len(body) + 2, kind) + body


@given(
    kinds=st.lists(st.integers(0, 3), max_size=6),
    body=st.binary(max_size=40),
    cuts=st.lists(st.integers(1, 30), min_size=1),
)
def test_a_connection_that_brings_records_is_told_however_its_bytes_are_cut(
    kinds: list[int], body: bytes, cuts: list[int]
) -> None:
    data, requests, sizes = b"".join(request(kind, body) for kind in kinds), Requests(), iter(cuts * 400)
    while data:
        size = next(sizes)
        requests.feed(data[:size])
        data = data[size:]
    assert requests.produces == (0 in kinds)


@pytest.mark.parametrize("number", [0, 7, 19_999])
def test_an_event_has_the_size_that_is_promised_and_is_masked_and_counted(number: int) -> None:
    key, value = prepared_event(number)
    assert len(value) == VALUE_BYTES
    with TopologyTestDriver(app.topology) as driver:
        driver.input_topic(SOURCE, key=bytes, value=bytes).pipe(key, value, 1)
        (written,) = driver.output_topic(SINK, key=bytes, value=dict[str, Any]).read_all()
        assert written.value["message"] == "GET /cart for [email]"
        assert len(list(driver.store(STORE).all())) == 1


def sample(
    second: float, *, sent: int, done: int, resident: int = 50 << 20, problem: str | None = None
) -> Sample:
    return Sample(second, sent, done, resident, problem)


def samples(**last: Any) -> list[Sample]:
    """A run as it should be: in each stall nothing is done, and the worker says so."""
    seen, done = [], 0
    for second in range(60):
        stalled = PLAN.is_stalled(second)
        done = done if stalled else second * 10
        seen.append(sample(second, sent=second * 10, done=done, problem="slow" if stalled else None))
    return [*seen, sample(61, **({"sent": 600, "done": 600} | last))]


def result(seen: list[Sample], *, written: int = 600, counted: int = 600) -> Result:
    return Result(seen, 40 << 20, BOUNDS, 600, written, counted)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        pytest.param(result(samples()), None, id="as it should be"),
        pytest.param(result(samples(resident=141 << 20)), "memory came to 141 MiB", id="memory"),
        pytest.param(result(samples(done=599)), "lag is 1 at the end", id="lag"),
        pytest.param(result(samples(), written=599), "599 of 600 events are in the sink", id="sink"),
        pytest.param(result(samples(), counted=599), "599 of 600 events are counted", id="count"),
        pytest.param(
            result([each._replace(problem=None) for each in samples()]), "never said that", id="silence"
        ),
        pytest.param(
            result([each._replace(done=each.sent) for each in samples()]),
            "nothing was in the way",
            id="no stall",
        ),
    ],
)
def test_a_soak_says_what_did_not_hold(seen: Result, said: str | None) -> None:
    found = problems(PLAN, seen)
    assert [said in each for each in found] == [True] if said else found == []
    page = report(PLAN, seen)
    assert ("Everything held." in page) == (said is None)
    assert page.count("| stalled |") >= 2


def test_the_stalls_lie_within_the_time() -> None:
    assert plan_of(parse([])) == Plan(900, 12_000, ((225.0, 285.0), (540.0, 600.0)))
    assert plan_of(parse(["--minutes", "1"])).stalls == ((15.0, 25.0), (36.0, 46.0))
