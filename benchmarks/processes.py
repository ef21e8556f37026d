"""Measurements in processes of their own, so that none sees what another left behind."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import msgspec

from benchmarks.measurement import Job, Measurement

_TIMEOUT_S: Final = 600.0


class MeasurementError(Exception):
    """A measuring process failed."""


def measure(job: Job) -> Measurement:
    """Do a job in a fresh process.

    Raises:
        MeasurementError: it failed or took too long.
    """
    command = [sys.executable, "-m", "benchmarks.measure", msgspec.json.encode(job).decode()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"{job.side} {job.work} took more than {_TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        raise MeasurementError(f"{job.side} {job.work} failed:\n{done.stderr[-4_000:]}")
    return msgspec.json.decode(done.stdout, type=Measurement)
