from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import TopologyError
from pipeline.windows import (
    FOREVER_MS,
    JoinWindows,
    Session,
    SessionWindows,
    SlidingWindows,
    TimeWindows,
    UnlimitedWindows,
    Windows,
    hopping,
    milliseconds,
    session,
    sliding,
    tumbling,
    unlimited,
)

times = st.integers(min_value=0, max_value=10**13)
sizes = st.integers(min_value=1, max_value=10**10)
graces = st.integers(min_value=0, max_value=10**10)
SECOND = timedelta(seconds=1)


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


@pytest.mark.parametrize(
    ("size", "advance", "timestamp", "starts"),
    [
        pytest.param(12, 5, 21, [10, 15, 20], id="b4-TimeWindowsTest-hopping"),
        pytest.param(6, 5, 7, [5], id="b4-TimeWindowsTest-barely-overlapping"),
        pytest.param(10, 5, 0, [0], id="no-window-starts-before-0"),
        pytest.param(10, 5, 4, [0], id="near-0"),
        pytest.param(10, 3, 10, [3, 6, 9], id="end-is-exclusive"),
        pytest.param(10, 10, 25, [20], id="an-advance-of-the-size-is-tumbling"),
        pytest.param(3, 1, 9, [7, 8, 9], id="every-millisecond"),
    ],
)
def test_starts_of_hopping_windows(size: int, advance: int, timestamp: int, starts: list[int]) -> None:
    assert list(TimeWindows(size, 0, advance).starts(timestamp)) == starts


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 2000))
def test_a_time_lies_in_every_hopping_window_that_spans_it_and_in_no_other(
    size: int, advance: int, time: int
) -> None:
    size, advance = max(size, advance), min(size, advance)
    spanning = [start for start in range(0, time + 1, advance) if start <= time < start + size]
    assert list(TimeWindows(size, 0, advance).starts(time)) == spanning
    assert spanning


@given(times, times)
def test_there_is_one_unlimited_window(start: int, time: int) -> None:
    windows = UnlimitedWindows(start)
    assert windows.starts(time) == ((start,) if time >= start else ())
    assert start + windows.size_ms == FOREVER_MS
    assert windows.closed_until(time) < start


@given(sizes, graces)
def test_retention_is_size_plus_grace(size: int, grace: int) -> None:
    assert TimeWindows(size, grace).retention_ms == size + grace


@given(times, st.lists(st.tuples(times, st.integers(0, 1000))), st.integers(1, 10**10))
def test_a_record_and_the_sessions_that_it_joins_are_one(
    time: int, sessions: list[tuple[int, int]], gap: int
) -> None:
    windows = SessionWindows(gap, 0)
    bounds = [Session(start, start + length) for start, length in sessions]
    merged = windows.merged(time, bounds)
    assert merged == windows.merged(time, reversed(bounds))
    assert all(merged.start <= start and end <= merged.end for start, end in [(time, time), *bounds])
    assert {merged.start, merged.end} <= {time, *(bound for session in bounds for bound in session)}
    # What it joins is no further from it than the gap, which counts.
    earliest_end, latest_start = windows.near(time)
    assert (time - earliest_end, latest_start - time) == (gap, gap)


@pytest.mark.parametrize(
    ("windows", "last_open", "first_closed"),
    [
        pytest.param(TimeWindows(10, 5), 24, 25, id="a2.2-time-windows-close-at-end-plus-grace"),
        pytest.param(SlidingWindows(10, 5), 25, 26, id="a2.4-sliding-windows-close-after-end-plus-grace"),
        pytest.param(SessionWindows(10, 5), 35, 36, id="a2.5-sessions-close-after-end-plus-gap-plus-grace"),
    ],
)
def test_when_a_window_that_ends_at_20_closes(windows: Windows, last_open: int, first_closed: int) -> None:
    assert windows.closed_until(last_open) < 20
    assert windows.closed_until(first_closed) == 20


@given(sizes, graces, times)
def test_whatever_is_open_is_still_visible(size: int, grace: int, stream_time: int) -> None:
    """Deviation 1. A store hides starts (of sessions: ends) up to its largest one minus retention."""
    hopping_windows, sliding_windows = TimeWindows(size, grace), SlidingWindows(size, grace)
    sessions = SessionWindows(size, grace)
    first_open_start = hopping_windows.closed_until(stream_time) + 1 - size
    assert first_open_start > stream_time - hopping_windows.retention_ms
    # The record before an open right window is known by its own left window.
    left_of_previous = sliding_windows.closed_until(stream_time) + 1 - size - 1 - size
    assert left_of_previous > stream_time - sliding_windows.retention_ms
    # A record that no window is closed for joins sessions that ended a gap before.
    earliest_end, _ = sessions.near(sessions.closed_until(stream_time) + 1)
    assert earliest_end > stream_time - sessions.retention_ms


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
    ("make", "message"),
    [
        (lambda: tumbling(timedelta(0), grace=SECOND), "window size must be positive, not 0 ms"),
        (lambda: tumbling(-SECOND, grace=SECOND), "window size must be positive, not -1000 ms"),
        (lambda: tumbling(SECOND, grace=-SECOND), "grace must not be negative, not -1000 ms"),
        (lambda: tumbling(60, grace=SECOND), "window size must be a timedelta, not 60"),  # type: ignore[arg-type]
        (lambda: tumbling(SECOND, grace=None), "grace must be a timedelta, not None"),  # type: ignore[arg-type]
        (lambda: tumbling(timedelta(microseconds=1500), grace=SECOND), "window size is finer than a milli"),
        (lambda: hopping(SECOND, advance=timedelta(0), grace=SECOND), "advance must be positive, not 0 ms"),
        (lambda: hopping(SECOND, advance=-SECOND, grace=SECOND), "advance must be positive, not -1000 ms"),
        (lambda: hopping(SECOND, advance=2 * SECOND, grace=SECOND), "advance of 2000 ms is longer than the"),
        (lambda: hopping(SECOND, advance=1, grace=SECOND), "advance must be a timedelta"),  # type: ignore[arg-type]
        (lambda: sliding(-SECOND, grace=SECOND), "time difference must not be negative, not -1000 ms"),
        (lambda: sliding(SECOND, grace=-SECOND), "grace must not be negative, not -1000 ms"),
        (lambda: session(timedelta(0), grace=SECOND), "session gap must be positive, not 0 ms"),
        (lambda: session(SECOND, grace=-SECOND), "grace must not be negative, not -1000 ms"),
        (lambda: unlimited(start=datetime(1969, 12, 31, tzinfo=UTC)), "start must not be negative"),
        (lambda: unlimited(start=datetime(2020, 1, 1)), "start must be a datetime with a time zone"),  # noqa: DTZ001 - what is tested
        (lambda: unlimited(start=5), "start must be a datetime with a time zone, not 5"),  # type: ignore[arg-type]
    ],
)
def test_windows_that_cannot_be(make: Callable[[], object], message: str) -> None:
    """The message begins with the function and the line that called it."""
    with pytest.raises(TopologyError, match=rf"^\w+ at .*test_windows\.py:\d+: {message}"):
        make()


@pytest.mark.parametrize(
    ("windows", "shown"),
    [
        (TimeWindows(10, 5), "tumbling 10 ms, grace 5 ms"),
        (TimeWindows(10, 5, 2), "hopping 10 ms, advance 2 ms, grace 5 ms"),
        (SlidingWindows(0, 5), "sliding 0 ms, grace 5 ms"),
        (SessionWindows(10, 0), "session gap 10 ms, grace 0 ms"),
        (UnlimitedWindows(3), "unlimited from 3 ms"),
    ],
)
def test_windows_say_what_they_are(windows: Windows, shown: str) -> None:
    assert str(windows) == shown


@pytest.mark.parametrize("make", [tumbling, sliding, session])
def test_grace_has_no_default(make: Callable[..., object]) -> None:
    """KIP-633."""
    with pytest.raises(
        TopologyError, match=rf"{make.__name__} at .*test_windows\.py:\d+: missing .*'grace'; give"
    ):
        make(SECOND)


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
