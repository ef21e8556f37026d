"""When punctuations fire: rule a1.8, as a pure schedule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.processor import Processor, PunctuationSchedule
from pipeline.record import Record


@pytest.mark.parametrize(
    ("interval", "first", "times", "fired"),
    [
        pytest.param(100, 0, [-100, -1, 0, 99, 100], [0, 100], id="b6-not-before-then-every-interval"),
        pytest.param(100, 0, [0, 901, 999, 1000], [0, 901, 1000], id="b6-missed-times-fire-once, next 1000"),
        pytest.param(
            100, 0, [0, 150, 199, 200], [0, 150, 200], id="next-is-a-multiple-not-now-plus-interval"
        ),
        pytest.param(100, 0, [0, 100, 100, 100], [0, 100], id="once-a-time"),
        pytest.param(100, 0, [1000, 1099, 1100], [1000, 1100], id="first-time-known-is-late"),
        pytest.param(100, 107, [106, 107, 206, 207], [107, 207], id="wall-clock-is-not-aligned"),
        pytest.param(100, 107, [107, 407, 506, 507], [107, 407, 507], id="wall-clock-missed"),
        pytest.param(1, 0, [0, 1, 2, 9], [0, 1, 2, 9], id="every-millisecond"),
    ],
)
def test_schedule(interval: int, first: int, times: list[int], fired: list[int]) -> None:
    seen: list[int] = []
    schedule = PunctuationSchedule(interval, first, seen.append)
    assert [time for time in times if schedule.maybe_fire(time)] == fired
    assert seen == fired


def test_cancelled_from_inside() -> None:
    seen: list[int] = []

    def fire(time: int) -> None:
        seen.append(time)
        schedule.cancel()

    schedule = PunctuationSchedule(10, 0, fire)
    assert schedule.maybe_fire(0)
    assert schedule.cancelled
    assert not schedule.maybe_fire(10)
    assert seen == [0]


@pytest.mark.parametrize("interval", [0, -1])
def test_an_interval_is_positive(interval: int) -> None:
    with pytest.raises(ValueError, match="punctuation interval must be positive"):
        PunctuationSchedule(interval, 0, print)


@given(
    st.integers(1, 50),
    st.integers(0, 100),
    st.lists(st.integers(0, 60), max_size=50),
)
def test_it_fires_exactly_when_a_multiple_was_passed(interval: int, first: int, steps: list[int]) -> None:
    schedule = PunctuationSchedule(interval, first, lambda _now: None)
    now, last = -1, -1
    for step in steps:
        now += step
        due = now >= first and (now - first) // interval > (last - first) // interval
        due = due if last >= first else now >= first
        assert schedule.maybe_fire(now) == due
        assert schedule.next > now or now < first
        assert (schedule.next - first) % interval == 0
        last = max(last, now)


def test_a_processor_must_say_what_it_does_with_a_record() -> None:
    class Forgetful(Processor[str, str, str, str]):
        pass

    with pytest.raises(NotImplementedError, match=r"Forgetful\.process"):
        Forgetful().process(Record("k", "v", 0))
