"""Texts that are compared with files: written anew where `UPDATE_GOLDEN` is set."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def check_golden(file: str | Path, text: str) -> None:
    """Compare a text with what its file in `golden` (or elsewhere, by its path) holds."""
    golden = GOLDEN / file
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
