"""What a record does to sliding windows, against the definition: the pure part of rule a2.4."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.windows import SlidingWindows, Update

differences = st.integers(0, 12)
times = st.lists(st.integers(0, 40), max_size=25)


def starts_by_definition(difference: int, arrived: list[int]) -> set[int]:
    """A window starts at `max(0, t - difference)` or at `t + 1`, and is there if a record is in it."""
    candidates = {start for time in arrived for start in (max(0, time - difference), time + 1)}
    return {start for start in candidates if any(start <= time <= start + difference for time in arrived)}


class Windows:
    """Windows in memory: how often each record is in each, and which is the latest."""

    def __init__(self, difference: int) -> None:
        self.decisions = SlidingWindows(difference, 0)
        self.content: dict[int, Counter[int]] = {}
        self.latest: dict[int, int] = {}

    def take(self, time: int) -> list[Update]:
        first, last = self.decisions.concerned(time)
        known = sorted((start, latest) for start, latest in self.latest.items() if first <= start <= last)
        before = dict(self.content)
        updates = list(self.decisions.updates(time, known))
        for update in updates:
            origin = Counter() if update.origin is None else before[update.origin]
            self.content[update.start] = origin + Counter([time] if update.adds else [])
            self.latest[update.start] = max(self.content[update.start])
        return updates


@given(differences, times)
def test_windows_are_those_of_the_definition_and_hold_what_lies_in_them(
    difference: int, arrived: list[int]
) -> None:
    windows = Windows(difference)
    for count, time in enumerate(arrived, start=1):
        windows.take(time)
        so_far = arrived[:count]
        assert set(windows.content) == starts_by_definition(difference, so_far)
        for start, content in windows.content.items():
            assert content == Counter(time for time in so_far if start <= time <= start + difference)


@given(differences, times)
def test_a_record_is_added_to_each_of_its_windows(difference: int, arrived: list[int]) -> None:
    windows = Windows(difference)
    for time in arrived:
        for update in windows.take(time):
            assert update.adds == (update.start <= time <= update.start + difference)


@pytest.mark.parametrize(
    ("difference", "time", "windows", "updates"),
    [
        pytest.param(10, 10, [], [(0, None, True)], id="first-record-has-a-left-window"),
        pytest.param(10, 10, [(0, 10)], [(0, 0, True)], id="same-time-shares-windows"),
        pytest.param(
            10, 14, [(0, 10)], [(11, None, True), (4, 0, True)], id="right-of-the-previous-then-own-left"
        ),
        pytest.param(10, 21, [(6, 10)], [(11, None, True), (11, None, True)], id="both-are-one-window"),
        pytest.param(10, 22, [], [(12, None, True)], id="previous-too-far-away"),
        pytest.param(
            10,
            12,
            [(0, 10), (5, 15), (11, 15)],
            [(11, 11, True), (5, 5, True), (2, 0, True), (13, 11, False)],
            id="out-of-order: latest start first, own right window without the record",
        ),
        pytest.param(10, 3, [], [(0, None, True)], id="early-records-share-a-window-at-0"),
        pytest.param(
            10, 5, [(0, 3)], [(4, None, True), (0, 0, True)], id="early: right of the previous, then shared"
        ),
        pytest.param(
            10, 3, [(0, 5)], [(4, 0, False), (0, 0, True)], id="early-out-of-order: own right window first"
        ),
        pytest.param(0, 5, [], [(5, None, True)], id="deviation6-no-difference: one window a time"),
        pytest.param(0, 5, [(6, 6)], [(5, None, True)], id="deviation6-no-difference-out-of-order"),
        pytest.param(0, 5, [(5, 5)], [(5, 5, True)], id="deviation6-no-difference-same-time"),
    ],
)
def test_decisions(
    difference: int, time: int, windows: list[tuple[int, int]], updates: list[tuple[int, int | None, bool]]
) -> None:
    assert list(SlidingWindows(difference, 0).updates(time, windows)) == updates
