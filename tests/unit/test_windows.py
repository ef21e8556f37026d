from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.windows import JoinWindows, TimeWindows, milliseconds, tumbling

times = st.integers(min_value=0, max_value=10**13)
sizes = st.integers(min_value=1, max_value=10**10)


@pytest.mark.parametrize(
    ("size", "timestamp", "start"),
    [
        pytest.param(12, 21, 12, id="b4-TimeWindowsTest-tumbling"),
        pytest.param(10, 0, 0, id="first"),
        pytest.param(10, 9, 0, id="last-millisecond"),
        pytest.param(10, 10, 10, id="end-is-exclusive"),
        pytest.param(60_000, 1_700_000_000_123, 1_699_999_980_000, id="a-minute-of-today"),
        pytest.param(1, 7, 7, id="one-millisecond"),
    ],
)
def test_starts(size: int, timestamp: int, start: int) -> None:
    assert TimeWindows(size, 0).starts(timestamp) == (start,)


@given(sizes, times)
def test_a_time_lies_in_exactly_one_tumbling_window_aligned_to_the_epoch(size: int, time: int) -> None:
    (start,) = TimeWindows(size, 0).starts(time)
    assert start <= time < start + size
    assert start >= 0
    assert start % size == 0


@given(sizes, sizes)
def test_retention_is_size_plus_grace(size: int, grace: int) -> None:
    assert TimeWindows(size, grace).retention_ms == size + grace


@given(times, st.integers(-1000, 1000), st.integers(-1000, 1000), st.integers(-3000, 3000))
def test_join_bounds_are_the_same_seen_from_either_side(
    left: int, before: int, after: int, apart: int
) -> None:
    if before + after < 0:
        before, after = -before, -after
    windows = JoinWindows(before, after, 0)
    right = left + apart
    first, last = windows.bounds(left, of_left=True)
    assert (first <= right <= last) == (left - before <= right <= left + after)
    first, last = windows.bounds(right, of_left=False)
    assert (first <= left <= last) == (left - before <= right <= left + after)


@pytest.mark.parametrize(
    ("windows", "retention"),
    [
        (JoinWindows(10, 20, 5), 35),
        pytest.param(JoinWindows(0, 0, 0), 1, id="deviation1-zero-width-matches-equal-times"),
        pytest.param(JoinWindows(0, 0, 5), 6, id="deviation1-zero-width-with-grace"),
        pytest.param(JoinWindows(0, 20, 5), 26, id="deviation1-all-after"),
        pytest.param(JoinWindows(20, 0, 0), 21, id="deviation1-all-before"),
        pytest.param(JoinWindows(10, -5, 5), 16, id="deviation6-negative-after"),
    ],
)
def test_join_retention(windows: JoinWindows, retention: int) -> None:
    assert windows.retention_ms == retention


@pytest.mark.parametrize(
    ("size", "grace", "message"),
    [
        (timedelta(0), timedelta(0), "window size must be positive, not 0 ms"),
        (timedelta(seconds=-1), timedelta(0), "window size must be positive"),
        (timedelta(seconds=1), timedelta(seconds=-1), "grace must not be negative, not -1000 ms"),
        (60, timedelta(0), "window size must be a timedelta, not 60"),
        (timedelta(seconds=1), None, "grace must be a timedelta, not None"),
        (timedelta(microseconds=1500), timedelta(0), "window size is finer than a millisecond"),
    ],
)
def test_windows_that_cannot_be(size: Any, grace: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tumbling(size, grace=grace)


def test_grace_has_no_default() -> None:
    """KIP-633."""
    with pytest.raises(TypeError, match="grace"):
        tumbling(timedelta(minutes=1))  # type: ignore[call-arg] # what is tested


@pytest.mark.parametrize(
    ("before", "after", "grace", "message"),
    [(5, -6, 0, "join window is empty"), (-1, 0, 0, "join window is empty"), (1, 1, -1, "grace must not be")],
)
def test_join_windows_that_cannot_be(before: int, after: int, grace: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JoinWindows(before, after, grace)


@given(st.integers(min_value=-(10**12), max_value=10**12))
def test_whole_milliseconds(ms: int) -> None:
    assert milliseconds(timedelta(milliseconds=ms), "it") == ms
