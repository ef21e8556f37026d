"""What a record is expected to cost, and what is to be said of what it costs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

PATH: Final = Path(__file__).with_name("expected.json")
UPDATE: Final = "python -m benchmarks.instructions --update"

#: One call more for one record in ten.
CALLS_TOLERANCE: Final = 0.1
#: Patch versions of Python, and how it was built, make so much of a difference; a call of Python is
#: 200 instructions or more, of 15,000 to 60,000: `CALLS_TOLERANCE` is there for single ones.
INSTRUCTIONS_TOLERANCE: Final = 0.03


class Expected(msgspec.Struct, kw_only=True):
    """By work; instructions by Python's minor version first, which changes them all.

    Attributes:
        calls: Python calls of this library.
        instructions: of everything, the broker in memory included.
    """

    calls: dict[str, float] = {}
    instructions: dict[str, dict[str, int]] = {}

    @classmethod
    def load(cls) -> Expected:
        """Return what the repository says."""
        return msgspec.json.decode(PATH.read_bytes(), type=cls)

    def save(self) -> None:
        """Write it there."""
        PATH.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def python_version() -> str:
    """Return Python's minor version."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def too_many(
    what: str, found: Mapping[str, float], expected: Mapping[str, float], share: float, absolute: float = 0.0
) -> list[str]:
    """Return what costs more than is expected, a line each.

    Args:
        what: is counted.
        found: by work.
        expected: by work; others are not judged.
        share: more by this share is no matter, nor
        absolute: more by so many.
    """
    return [
        f"{work}: {found[work]:,} {what} a record, {least:,} expected (tolerance {share:.0%}, {absolute:g}): "
        f"mend it, or say that it is worth it: {UPDATE}"
        for work, least in expected.items()
        if work in found and found[work] > least * (1 + share) + absolute
    ]
