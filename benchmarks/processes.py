"""Measurements in processes of their own, so that none sees what another left behind."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Final

import msgspec

from benchmarks.contenders.contender import Contender
from benchmarks.measurement import Job, Measurement
from pipeline.testing.process import Watched

_TIMEOUT_S: Final = 600.0


class MeasurementError(Exception):
    """A measuring process failed."""


def measure(contender: Contender, job: Job) -> Measurement:
    """Do a job in a fresh process.

    Raises:
        MeasurementError: it failed or took too long.
    """
    code, said, complaints = _run(contender.command(job))
    if code is None:
        raise MeasurementError(
            f"{contender.name}: {job.work} took more than {_TIMEOUT_S:g} s:\n{complaints[-4_000:]}"
        )
    if code != 0:
        raise MeasurementError(f"{contender.name}: {job.work} failed:\n{complaints[-4_000:]}")
    # Some libraries print to standard output, too, and so does what looks into a process.
    answers = [line for line in said.splitlines() if line.startswith("{")]
    if not answers:
        raise MeasurementError(f"{contender.name}: {job.work} printed no measurement:\n{said[-4_000:]}")
    return msgspec.json.decode(answers[-1], type=Measurement)


def _run(command: Sequence[str]) -> tuple[int | None, str, str]:
    """Run a command to its end, and return its exit code (None: it took too long) and what it printed.

    It ends with this process, whichever way that ends: alone it would wait for a broker that is gone.
    """
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        watched = Watched(process.pid)
        try:
            said, complaints = process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            said, complaints = process.communicate()
            return None, said, complaints
        except BaseException:
            process.kill()
            raise
        finally:
            watched.close()
        return process.returncode, said, complaints
