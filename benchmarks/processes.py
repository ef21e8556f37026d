"""Measurements in processes of their own, so that none sees what another left behind."""

from __future__ import annotations

import subprocess
from typing import Final

import msgspec

from benchmarks.contenders.contender import Contender
from benchmarks.measurement import Job, Measurement

_TIMEOUT_S: Final = 600.0


class MeasurementError(Exception):
    """A measuring process failed."""


def measure(contender: Contender, job: Job) -> Measurement:
    """Do a job in a fresh process.

    Raises:
        MeasurementError: it failed or took too long.
    """
    command = contender.command(job)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        said = error.stderr.decode(errors="replace")[-4_000:] if error.stderr else ""
        raise MeasurementError(
            f"{contender.name}: {job.work} took more than {_TIMEOUT_S:g} s:\n{said}"
        ) from error
    if done.returncode != 0:
        raise MeasurementError(f"{contender.name}: {job.work} failed:\n{done.stderr[-4_000:]}")
    # Some libraries print to standard output, too, and so does what looks into a process.
    answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not answers:
        raise MeasurementError(
            f"{contender.name}: {job.work} printed no measurement:\n{done.stdout[-4_000:]}"
        )
    return msgspec.json.decode(answers[-1], type=Measurement)
