"""Where Headrace differs from Kafka Streams on purpose, by number (`rules/improvements.toml`).

The README lists them, the page of rules refers to them, and the oracle (`tests/oracle/improvements.py`)
makes Kafka Streams do those that a comparison can show.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final


def _read() -> dict[int, str]:
    (section,) = tomllib.loads((Path(__file__).parent / "rules" / "improvements.toml").read_text())["section"]
    return {int(rule["id"].removeprefix("deviation")): rule["rule"] for rule in section["rule"]}


IMPROVEMENTS: Final[Mapping[int, str]] = _read()
