"""What a measuring process reads from its command line, and what it prints."""

from __future__ import annotations

import sys

import msgspec

from benchmarks.measurement import Job, Measurement


def job_of_command_line() -> Job:
    """Return the job that the last argument is, in JSON."""
    return msgspec.json.decode(sys.argv.pop(), type=Job)


def answer(measured: Measurement) -> None:
    """Print what was measured, as JSON, in a line of its own."""
    print(f"\n{msgspec.json.encode(measured).decode()}", flush=True)
