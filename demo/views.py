"""The worker's HTTP views: waiting for them, and questions that have an answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import quote

_TIMEOUT_S: Final = 5.0
_SHOWN: Final = 2


class Answer(NamedTuple):
    """What a view answered."""

    status: int
    body: str

    @property
    def ok(self) -> bool:
        """Whether it was answered with what was asked for."""
        return self.status == HTTPStatus.OK


class Example(NamedTuple):
    """A question with its answer.

    Attributes:
        title: what is asked.
        path: path and query of the URL.
        answer: JSON text.
    """

    title: str
    path: str
    answer: str


class Views:
    """The HTTP server of a worker on this machine.

    Args:
        port: where it listens.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    def get(self, path: str) -> Answer | None:
        """Return the answer; None if nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return Answer(response.status, response.read().decode())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def ready(self) -> bool:
        """Whether the worker processes records."""
        answer = self.get("/ready")
        return answer is not None and answer.ok

    def examples(self, questions: Sequence[Question], wanted: int) -> list[Example]:
        """Return up to `wanted` of the questions that have an answer now."""
        answered = (example for question in questions for example in question(self))
        return list(islice(answered, wanted))

    def _json(self, path: str) -> Any:
        answer = self.get(path)
        return json.loads(answer.body) if answer is not None and answer.ok else {}

    def key_of(self, title: str, store: str, parameters: str = "") -> Iterator[Example]:
        """Ask for a key of a store, one that it has."""
        rows = self._json(f"/stores/{store}?limit=1").get("rows")
        if not rows:
            return
        kinds = {each["name"]: each["key"] for each in self._json("/stores").get("stores", ())}
        key = rows[0]["key"]
        text = key if isinstance(key, str) and kinds.get(store) == "string" else json.dumps(key)
        path = f"/stores/{store}/keys/{quote(text, safe='')}{parameters}"
        answer = self.get(path)
        if answer is not None and answer.ok:
            yield Example(title, path, answer.body)

    def page_of(self, title: str, store: str) -> Iterator[Example]:
        """Ask for the first rows of a store."""
        path = f"/stores/{store}?limit={_SHOWN}"
        answer = self.get(path)
        if answer is not None and answer.ok and json.loads(answer.body).get("rows"):
            yield Example(title, path, answer.body)

    def all_stores(self, title: str) -> Iterator[Example]:
        """Ask which stores there are."""
        path = "/stores"
        answer = self.get(path)
        if answer is not None and answer.ok:
            yield Example(title, path, answer.body)


#: Asks, and yields the question if it has an answer.
Question: TypeAlias = Callable[[Views], Iterator[Example]]

#: About what the traffic came to, in order of preference.
BEST: Final[tuple[Question, ...]] = (
    lambda views: views.key_of("errors a minute of one service", "errors-per-minute", f"?limit={_SHOWN}"),
    lambda views: views.page_of("requests a minute by service and operation", "requests-per-minute"),
    lambda views: views.key_of("events a minute of one user", "events-per-user", f"?limit={_SHOWN}"),
)
#: These have an answer whatever the traffic is.
ALWAYS: Final[tuple[Question, ...]] = (
    lambda views: views.key_of("the owner of a service", "service-owners"),
    lambda views: views.page_of("owners of services", "service-owners"),
    lambda views: views.all_stores("the tables"),
)
