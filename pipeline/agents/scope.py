"""Whose code runs: what tables and topics ask when an agent uses them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final, Protocol

from pipeline.agents.stream import Event
from pipeline.errors import OutsideAgentError
from pipeline.record import Headers


class Closing(Protocol):
    """Whoever calls a function when a table's windows close."""

    def pass_to(self, time_ms: int) -> None:
        """Let the table's time come so far, before anything is changed at that time; it may be behind."""
        ...

    def takes(self, start: int) -> bool:
        """Return whether a window can be changed, which was not closed yet."""
        ...

    def opened(self, key: bytes, start: int, timestamp: int) -> None:
        """Take note of a window that is about to be put for the first time."""
        ...


class Scope(Protocol):
    """An agent's task, while the agent's own code runs."""

    @property
    def stores(self) -> Mapping[str, Any]:
        """By name, those of the task that the agent was declared with; another one is a TopologyError."""
        ...

    @property
    def closings(self) -> Mapping[str, Closing]:
        """By windowed table, what is to hear of its changes, if a function is called at its close."""
        ...

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> None:
        """Write a record with the results of the task: it is delivered before offsets are committed.

        Raises:
            UnknownTopicError: there is no such topic.
        """
        ...

    def drop(self, reason: str) -> None:
        """Count a change that a rule drops, such as that of a window that has expired."""
        ...

    @property
    def now_ms(self) -> int:
        """The worker's clock."""
        ...


class Runner(Protocol):
    """Whose code runs: an actor."""

    scope: Scope
    events: list[Event[Any]]


class Running:
    """What runs in one thread.

    Attributes:
        runner: whose code runs; None: no agent's.
    """

    __slots__ = ("runner",)

    def __init__(self) -> None:
        self.runner: Runner | None = None


class _Threads(threading.local):
    """Two workers may run in one process, each in a thread of its own."""

    def __init__(self) -> None:
        self.running = Running()


_THREADS: Final = _Threads()


def running_here() -> Running:
    """Return what runs in this thread; it stays the same object, for whoever asks for every record."""
    return _THREADS.running


def current_runner() -> Runner | None:
    """Return whose code runs; None: no agent's."""
    return _THREADS.running.runner


def in_agent() -> bool:
    """Whether an agent's own code runs."""
    return _THREADS.running.runner is not None


def current_event() -> Event[Any] | None:
    """Return the event that the agent whose code runs has in hand; None if there is none."""
    runner = current_runner()
    return runner.events[-1] if runner is not None and runner.events else None


def current_scope(what: str) -> Scope:
    """Return the task of the agent whose code runs.

    Args:
        what: what needs it, for the message.

    Raises:
        OutsideAgentError: no agent's code runs.
    """
    runner = current_runner()
    if runner is None:
        raise OutsideAgentError(
            f"{what} works in the code of an agent alone: there is no task, outside of it (nor in asyncio "
            "tasks that an agent starts), whose partition it could belong to"
        )
    return runner.scope
