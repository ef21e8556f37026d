from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from pipeline.runtime import switching


@pytest.fixture(autouse=True)
def interval_as_before() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize(("of_user", "expected"), [(0.005, 0.001), (0.0001, 0.0001)])
def test_threads_take_turns_soon_and_a_users_wish_counts(of_user: float, expected: float) -> None:
    sys.setswitchinterval(of_user)
    switching.settle()
    assert sys.getswitchinterval() == pytest.approx(expected, rel=0.05)
