"""A server in a child process that ends with its parent, whichever way the parent ends."""

from __future__ import annotations

import random
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pipeline.errors import BrokerError

_PAUSE_S: Final = 0.01
_STOP_TIMEOUT_S: Final = 10.0

#: Below those that systems give to outgoing connections, which one of these would take before a server does:
#: on Linux they begin at 32768, elsewhere at 49152.
_PORTS: Final = range(20_000, 32_768)
_PORTS_TRIED: Final = 20

#: Reads the pipe that only the parent holds open: its end is the parent's end.
_WATCH: Final = 'read -r _; kill -9 "$1" 2>/dev/null'


class Watched:
    """A process that is killed when this one ends, whichever way, until it is let go.

    Args:
        pid: its process id.
    """

    def __init__(self, pid: int) -> None:
        self._watcher = subprocess.Popen(  # noqa: S603 (a constant script and a number)
            ["/bin/sh", "-c", _WATCH, "sh", str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Let it go: before it has ended and been waited for, as its number could be another's then."""
        self._watcher.kill()
        self._watcher.wait()
        if self._watcher.stdin is not None:
            self._watcher.stdin.close()


class ServerProcess:
    """A started command, its output in a log file.

    Args:
        name: what to call it in errors.
        command: program and arguments.
        log: file that receives standard output and standard error, appended.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            # A session of its own: Ctrl-C reaches the parent, which then stops it in order.
            self._process = subprocess.Popen(  # noqa: S603 (the launchers build the command)
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watched = Watched(self._process.pid)

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def wait_ready(self, answers: Callable[[], bool], attempts: int) -> None:
        """Ask until it answers, pausing 10 ms between questions.

        Args:
            answers: whether the server can be used; may block for a short time of its own.
            attempts: how often to ask at most.

        Raises:
            BrokerError: it ended, or never answered; the message has the end of its log.
        """
        waiting = threading.Event()
        for _ in range(attempts):
            if not self.running:
                raise BrokerError(f"{self.name} ended instead of starting, see {self.log}: {self._log_end()}")
            if answers():
                return
            waiting.wait(_PAUSE_S)
        raise BrokerError(f"{self.name} runs but does not answer, see {self.log}: {self._log_end()}")

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL)."""
        self._end(self._process.kill)

    def stop(self) -> None:
        """Ask it to end (SIGTERM); kill it if it has not within 10 s."""
        self._end(self._process.terminate)

    def _end(self, signal: Callable[[], None]) -> None:
        self._watched.close()
        signal()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _log_end(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()


def free_port(wanted: int | None = None) -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on: `wanted` if it is free."""
    some = random.SystemRandom().sample(_PORTS, _PORTS_TRIED)
    for candidate in (wanted or some[0], *some[1:], 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise BrokerError("the system has no free TCP port on 127.0.0.1")


def accepts_connections(port: int) -> bool:
    """Whether something listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
