"""Calls that wait for the broker, made while the worker goes on.

Who makes them is the broker's matter: a thread on librdkafka, nobody but the caller in memory, chance in a
simulation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Running(Protocol):
    """A call that was begun."""

    @property
    def done(self) -> bool:
        """Whether it has returned, or raised."""
        ...

    def wait(self) -> None:
        """Return when it has returned; may be asked again.

        Raises:
            Exception: what the call raised.
        """
        ...


class Background(Protocol):
    """Makes one call at a time."""

    def begin(self, call: Callable[[], object]) -> Running:
        """Begin a call; it may run in another thread."""
        ...

    def close(self) -> None:
        """End; no call is under way."""
        ...


class AtOnce:
    """Satisfies `Background`: a call has been made when it was begun."""

    def begin(self, call: Callable[[], object]) -> Running:
        """Make a call."""
        return Made(call)

    def close(self) -> None:
        """Do nothing."""


class Made:
    """Satisfies `Running`: makes a call, now or when `make` is called; whoever waits has it made.

    Args:
        call: the call.
        later: whether it is not made yet.
    """

    def __init__(self, call: Callable[[], object], *, later: bool = False) -> None:
        self._call = call
        self._error: Exception | None = None
        self.done = False
        if not later:
            self.make()

    def make(self) -> None:
        """Make the call, unless it was made."""
        if self.done:
            return
        self.done = True
        try:
            self._call()
        except Exception as error:  # noqa: BLE001 - raised by `wait`
            self._error = error

    def wait(self) -> None:
        """Have the call made; raise what it raised."""
        self.make()
        if self._error is not None:
            raise self._error
