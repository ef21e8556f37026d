"""What the system says of a process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_KIB: Final = 1024
#: Of what follows the command's name in /proc/<pid>/stat: processor time as user and as system.
_TIMES: Final = slice(11, 13)


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has taken, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[_TIMES])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has."""
    return _status(pid, "VmRSS")


def peak_resident(pid: int) -> int:
    """Return the most bytes of memory that a process has had."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * _KIB
