"""`faust -A topo ...` in a folder of its own, as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from pipeline.testing.process import free_port

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120
PAUSE_S = 0.05


class FaustProcess:
    """`python -m faust -A topo <arguments>` in a folder of its own, its output in a file."""

    def __init__(
        self, folder: Path, *arguments: str, broker: str = "", topology: str = "", port: int = 0
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "topo.py").write_text(topology, encoding="utf-8")
        self.port = port or free_port()
        self.log = folder / "output.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("FAUST_", "F_"))}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        if broker:
            environment["BROKER_URL"] = f"kafka://{broker}"
        ports = ["--web-port", str(self.port)] if "worker" in arguments else []
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "faust", "-A", "topo", *arguments, *ports],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_S)

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def get(self, path: str) -> tuple[int, Any]:
        """Return status and body; status 0 while nothing listens."""
        return self._ask("GET", path)

    def post(self, path: str) -> tuple[int, Any]:
        """Likewise, of a request that writes."""
        return self._ask("POST", path)

    def _ask(self, method: str, path: str) -> tuple[int, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                return response.status, _body(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _body(error)
        except OSError:
            return 0, None

    def wait_for(self, path: str, holds: Callable[[int, Any], bool]) -> Any:
        """Ask until the answer is as wanted, and return its body."""
        pause = threading.Event()
        for _ in range(int(DEADLINE_S / PAUSE_S)):
            status, body = self.get(path)
            if holds(status, body):
                return body
            if self.process.poll() is not None:
                pytest.fail(f"ended with {self.process.returncode}: {self.output}")
            pause.wait(PAUSE_S)
        return pytest.fail(f"{path} still answers {self.get(path)}: {self.output}")

    def wait_ready(self) -> None:
        self.wait_for("/ready", lambda status, _: status == 200)

    def end(self) -> int:
        return self.process.wait(DEADLINE_S)

    def terminate(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.end()


def _body(response: Any) -> Any:
    text = response.read().decode()
    return json.loads(text) if response.headers["Content-Type"].startswith("application/json") else text
