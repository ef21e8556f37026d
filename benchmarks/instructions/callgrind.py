"""Instructions by record, counted by valgrind's callgrind: as if on a processor of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.instructions.records import COUNTED

_TOTALS: Final = re.compile(r"^totals: (\d+)$", re.MULTILINE)
_TIMEOUT_S: Final = 1_800.0


def available() -> bool:
    """Whether valgrind is there."""
    return shutil.which("valgrind") is not None


def instructions_by_record(works: Sequence[str]) -> dict[str, int]:
    """Return how many instructions a record takes, by work.

    Raises:
        RuntimeError: valgrind, or what it ran, failed.
    """
    with tempfile.TemporaryDirectory(prefix="headrace-callgrind-") as folder:
        output = Path(folder) / "counts"
        command = [
            *("valgrind", "--tool=callgrind", "--dump-before=getppid", f"--callgrind-out-file={output}"),
            *(sys.executable, "-m", "benchmarks.instructions.records", *works),
        ]
        # Where things lie in dictionaries is not to change from run to run.
        environment = os.environ | {"PYTHONHASHSEED": "0"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4_000:]}")
        # Part 2 is what the first work's records took, part 4 the second's: between the calls of `getppid`.
        return {
            work: _total(output.with_name(f"{output.name}.{2 * number}")) // COUNTED
            for number, work in enumerate(works, 1)
        }


def _total(part: Path) -> int:
    found = _TOTALS.search(part.read_text(encoding="utf-8"))
    if found is None:
        raise RuntimeError(f"{part} has no total: another version of valgrind?")
    return int(found.group(1))
