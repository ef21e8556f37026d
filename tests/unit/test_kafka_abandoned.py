"""A call that does not return is left behind; what was to be done last is done once it returns."""

from __future__ import annotations

import threading

import pytest

from pipeline.runtime.kafka.abandoned import CallAbandonedError, CallThread

_PATIENCE_S = 120.0


def test_a_call_returns_and_its_error_is_the_callers() -> None:
    calls, done = CallThread("test"), []

    calls.call(lambda: done.append("first"), _PATIENCE_S)
    with pytest.raises(ZeroDivisionError):
        calls.call(lambda: 1 / 0, _PATIENCE_S)
    calls.call(lambda: done.append("second"), _PATIENCE_S)
    assert calls.close_with(lambda: done.append("last"), _PATIENCE_S)

    assert done == ["first", "second", "last"]


def test_a_call_that_does_not_return_is_left_behind_and_the_last_one_waits_for_it() -> None:
    calls, released, ended = CallThread("test"), threading.Event(), threading.Event()
    order: list[str] = []

    def stuck() -> None:
        released.wait(_PATIENCE_S)
        order.append("stuck")

    def last() -> None:
        order.append("last")
        ended.set()

    with pytest.raises(CallAbandonedError):
        calls.call(stuck, 0.01)
    assert not calls.close_with(last, _PATIENCE_S)
    assert order == []
    released.set()

    assert ended.wait(_PATIENCE_S)
    assert order == ["stuck", "last"]


def test_a_last_call_that_does_not_return_is_left_behind_too() -> None:
    calls, released, ended = CallThread("test"), threading.Event(), threading.Event()

    def stuck() -> None:
        released.wait(_PATIENCE_S)
        ended.set()

    assert not calls.close_with(stuck, 0.01)
    released.set()

    assert ended.wait(_PATIENCE_S)
