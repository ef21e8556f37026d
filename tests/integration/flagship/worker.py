"""The flagship's worker, as a user runs it: a process, its state folder, its HTTP views."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from demo.worker import WorkerProcess
from pipeline.testing.process import free_port
from tests.integration.flagship.waiting import wait_until

_TIMEOUT_S: Final = 10.0
_PAGE: Final = 1_000


_TOPOLOGY: Final = "tests.integration.flagship.kept"


class Answer(NamedTuple):
    """An answer over HTTP; status 0 while nobody answers."""

    status: int
    text: str

    @property
    def body(self) -> dict[str, Any]:
        """The answer as JSON."""
        body: dict[str, Any] = json.loads(self.text)
        return body


class Flagship:
    """`faust -A tests.integration.flagship.kept worker`, started and killed by the test.

    Args:
        address: the broker's bootstrap servers.
        folder: for its state and its log.
    """

    def __init__(self, address: str, folder: Path) -> None:
        self._address, self._folder = address, folder
        self._process: WorkerProcess | None = None
        self._port = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it."""
        self._port = free_port()
        self._process = WorkerProcess(_TOPOLOGY, self._address, self._folder, self._port)

    def stop(self) -> int:
        """End it with SIGTERM, and return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.stop()
        assert process.exit_code is not None
        return process.exit_code

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.check()
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def forget(self) -> None:
        """Delete its state folder."""
        shutil.rmtree(self._folder / "state")

    def check(self) -> None:
        """Fail if it ended by itself, with the end of its log."""
        process = self._process
        assert process is not None, "the worker is not started"
        assert process.running, f"the worker ended with {process.exit_code}:\n{process.log_tail()}"

    def log(self) -> str:
        """Return the end of its log."""
        return "" if self._process is None else self._process.log_tail()

    def get(self, path: str) -> Answer:
        """Ask one of its views."""
        self.check()
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._port}{path}", timeout=_TIMEOUT_S
            ) as response:
                return Answer(response.status, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode())
        except OSError:
            return Answer(0, "")

    def wait_ready(self) -> None:
        """Wait until it processes records."""
        wait_until(lambda: self.get("/ready").status == 200, f"the worker is ready: {self.log()}")

    def metric(self, name: str) -> int:
        """Return one of its counters, over all labels; 0 before it first counted."""
        lines = self.get("/metrics").text.splitlines()
        return sum(
            int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(f"headrace_{name}{{")
        )

    def rows(self, store: str) -> list[dict[str, Any]]:
        """Return all rows of a table, page by page."""
        rows: list[dict[str, Any]] = []
        path = f"/stores/{store}?limit={_PAGE}"
        after = ""
        while True:
            answer = self.get(path + after)
            assert answer.status == 200, answer.text
            rows += answer.body["rows"]
            if answer.body["next"] is None:
                return rows
            after = f"&after={answer.body['next']}"
