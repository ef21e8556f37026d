"""`python -m benchmarks.instructions`: what a record costs, and whether that is more than expected.

Exits with 1 if it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.instructions.callgrind import available, instructions_by_record
from benchmarks.instructions.calls import calls, calls_by_record
from benchmarks.instructions.expected import (
    CALLS_TOLERANCE,
    INSTRUCTIONS_TOLERANCE,
    PATH,
    Expected,
    python_version,
    too_many,
)
from benchmarks.instructions.records import COUNTED, WORKS


def main() -> None:
    """Count, compare, and update if told to."""
    options = parse()
    expected, version = Expected.load(), python_version()
    if options.show:
        show(options.show)
        return
    found = {work: calls_by_record(declare) for work, declare in WORKS.items()}
    counted: dict[str, int] = {}
    if options.calls:
        print("instructions: not asked for")
    elif available():
        counted = instructions_by_record(list(WORKS))
    else:
        print("instructions: not counted, for valgrind is not there")
    usual = expected.instructions.get(version, {})
    if counted and not usual:
        print(f"instructions: nothing is expected of Python {version}")
    for work in WORKS:
        print(
            f"{work}: {found[work]:g} Python calls by record ({expected.calls.get(work)} expected), "
            f"{counted.get(work)} instructions ({usual.get(work)} expected)"
        )
    if options.update:
        expected.calls = found
        if counted:
            expected.instructions[version] = counted
        expected.save()
        print(f"written to {PATH.name}")
        return
    wrong = [
        *too_many("Python calls", found, expected.calls, 0.0, CALLS_TOLERANCE),
        *too_many("instructions", counted, usual, INSTRUCTIONS_TOLERANCE),
    ]
    if wrong:
        sys.exit("\n".join(wrong))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options.

    Args:
        arguments: instead of those of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument(
        "--update", action="store_true", help="what is counted is what is expected from now on"
    )
    parser.add_argument("--calls", action="store_true", help="Python calls alone: seconds, without valgrind")
    parser.add_argument("--show", choices=list(WORKS), help="print the calls of this work, by function")
    return parser.parse_args(arguments)


def show(work: str) -> None:
    """Print which functions are called, the most often called ones first."""
    for name, number in calls(WORKS[work]).most_common():
        print(f"{number / COUNTED:8.3f} {name}")


if __name__ == "__main__":
    main()
