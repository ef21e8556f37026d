"""Virtual environments of their own for contenders in Python, so that none constrains the other."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.measurement import Job
from pipeline.testing.kafka_jars import kafka_directory

_ROOT: Final = Path(__file__).parent.parent.parent


def command_in(folder: Path, job: Job) -> list[str]:
    """Return the command that does a job with the `program.py` of a folder, in its environment."""
    # The program finds the harness by the path; run as a module it would load every contender.
    return [
        "env",
        f"PYTHONPATH={_ROOT}",
        str(python_of(folder)),
        str(folder / "program.py"),
        msgspec.json.encode(job).decode(),
    ]


def python_of(folder: Path) -> Path:
    """Return the interpreter of a contender, after installing its `requirements.txt` if it has changed.

    Raises:
        CalledProcessError: something cannot be installed; `pip` has said what.
    """
    requirements = folder / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    environment = kafka_directory() / f"{folder.name}-{digest}"
    python, complete = environment / "bin" / "python", environment / "complete"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "--no-deps", "-r", str(requirements)]
        subprocess.run(install, check=True)
        complete.touch()
    return python


def pinned(folder: Path, *packages: str) -> str:
    """Return names and versions of packages, as a contender's `requirements.txt` pins them."""
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    versions = dict(line.split("==") for line in lines if "==" in line)
    return ", ".join(f"{package} {versions[package]}" for package in packages)
