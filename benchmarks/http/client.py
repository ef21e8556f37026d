"""Asks at a pace, on one connection, and remembers how long each answer took."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from itertools import cycle
from typing import Any, Final, NamedTuple

_TIMEOUT_S: Final = 30.0


class Question(NamedTuple):
    """What is asked.

    Attributes:
        kind: what the report calls it.
        path: from the next number to what is asked for.
    """

    kind: str
    path: Callable[[int], str]


class AnswerError(Exception):
    """An answer is not what it must be, so that no time counts."""


class Client:
    """One connection to a worker.

    Args:
        port: of its HTTP server.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body."""
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def body(self, path: str) -> Mapping[str, Any]:
        """Return what is answered in JSON.

        Raises:
            AnswerError: it is an error.
        """
        status, body = self.get(path)
        if status != HTTPStatus.OK:
            raise AnswerError(f"{path}: {status} {body[:500]!r}")
        found: Mapping[str, Any] = json.loads(body)
        return found

    def ask(
        self, questions: list[Question], interval_s: float, until: Callable[[], bool]
    ) -> dict[str, list[int]]:
        """Ask in turns, one every so often, until told to stop.

        Returns:
            By kind: how long answers took, in microseconds, from when each was due to be asked: one that has
            to wait for the one before it is late, too.

        Raises:
            AnswerError: an answer is an error.
        """
        found: dict[str, list[int]] = {question.kind: [] for question in questions}
        waiting, begun = threading.Event(), time.perf_counter()
        for number, question in enumerate(cycle(questions)):
            due = begun + number * interval_s
            if (early := due - time.perf_counter()) > 0:
                waiting.wait(early)
            if until():
                return found
            path = question.path(number)
            status, body = self.get(path)
            if status != HTTPStatus.OK:
                raise AnswerError(f"{path}: {status} {body[:500]!r}")
            found[question.kind].append(int((time.perf_counter() - due) * 1e6))
        return found

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
