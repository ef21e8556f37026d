"""How far time has come in a task: for its records, for each of its operators, and without records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.operators.context import StreamTime
from pipeline.processor import Punctuations
from pipeline.record import Headers
from pipeline.topology import Node


@dataclass(slots=True)
class Timed:
    """An operator that has a time of its own, or acts when time passes."""

    times: list[StreamTime] = field(default_factory=list)
    callbacks: list[Callable[[int, Headers], None]] = field(default_factory=list)


class TaskTime:
    """The times of a task, in ms.

    Args:
        nodes: the task's operators, parents before children.

    Attributes:
        stream: largest event time among the records taken up; -1 before the first (rule a1.2).
        operators: by operator, its own stream time (rule a1.3).
        moved: whether time has gone on without records since the last commit.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.stream = -1
        self.operators: dict[str, StreamTime] = {}
        self.stream_punctuations = Punctuations()
        self.clock_punctuations = Punctuations()
        self.moved = False
        self._timed = {node: Timed() for node in nodes}
        #: When the last record was processed by the wall clock, and stream time then.
        self._heard_ms = self._heard_time = 0

    def of_operator(self, node: Node, number: int, committed: Mapping[str, int]) -> StreamTime:
        """Return an operator's stream time, or that of its input `number`, as the last commit left it."""
        name = f"{node.name}#{number}" if number else node.name
        time = self.operators.get(name)
        if time is None:
            time = self.operators[name] = StreamTime(committed.get(name, -1))
            self._timed[node].times.append(time)
        return time

    def on_time(self, node: Node, callback: Callable[[int, Headers], None]) -> None:
        """Call back when time goes on without a record."""
        self._timed[node].callbacks.append(callback)

    @property
    def timed(self) -> list[Timed]:
        """The operators that time concerns, parents before children."""
        return [timed for timed in self._timed.values() if timed.times or timed.callbacks]

    def heard(self, now_ms: int) -> None:
        """Start counting anew how long no record has come."""
        self._heard_ms, self._heard_time = now_ms, self.stream

    def is_silent(self, now_ms: int, wait_ms: int) -> bool:
        """Whether no record has come for `wait_ms`, and stream time has not gone on accordingly."""
        silence_ms = now_ms - self._heard_ms
        return silence_ms >= wait_ms and 0 <= self.stream < self._heard_time + silence_ms

    def go_on(self, now_ms: int) -> int:
        """Let stream time go on as long as no record has come, and return it."""
        self.stream = self._heard_time + now_ms - self._heard_ms
        self.moved = True
        return self.stream
