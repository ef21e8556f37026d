"""The flagship's worker as a child process, started by the command that a user would type."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path
from typing import Final

from pipeline.testing.process import ServerProcess

FLAGSHIP: Final = "topologies.observability"
_LOG_LINES: Final = 30
#: What moves and hides a terminal's cursor: Faust shows that it is busy.
_TERMINAL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def worker_command(topology: str = FLAGSHIP) -> list[str]:
    """Return the command line; everything else is settings, in the environment."""
    return ["faust", "-A", topology, "worker"]


def worker_environment(broker: str, folder: str, web_port: int, web_bind: str) -> dict[str, str]:
    """Return a worker's settings as environment variables; see `pipeline.settings`.

    Args:
        broker: bootstrap address.
        folder: where it keeps its state.
        web_port: port of the HTTP views.
        web_bind: address that they are served on.
    """
    return {
        "BROKER_URL": f"kafka://{broker}",
        "APP_DATADIR": folder,
        "WEB_PORT": str(web_port),
        "WEB_BIND": web_bind,
    }


class WorkerProcess(ServerProcess):
    """A worker on this machine, which ends with this process.

    Args:
        topology: module of the application.
        broker: bootstrap address.
        folder: for its state and its log.
        web_port: a free port.
    """

    def __init__(self, topology: str, broker: str, folder: Path, web_port: int) -> None:
        settings = worker_environment(broker, str(folder / "state"), web_port, "127.0.0.1")
        program, *arguments = worker_command(topology)
        script = str(Path(sysconfig.get_path("scripts"), program))
        assignments = [f"{name}={value}" for name, value in settings.items()]
        super().__init__("the worker", ["env", *assignments, script, *arguments], folder / "worker.log")

    @property
    def exit_code(self) -> int | None:
        """What it ended with; None while it runs."""
        return self._process.poll()

    def log_tail(self) -> str:
        """Return the last 30 lines of its log, indented."""
        text = _TERMINAL.sub("", self.log.read_text(encoding="utf-8", errors="replace"))
        lines = [line for line in text.splitlines() if line.strip()]
        return "\n".join(f"    {line}" for line in lines[-_LOG_LINES:])
