"""Declaring what is held back: whether it ever goes on, and where it lies."""

from __future__ import annotations

import dataclasses
from typing import Any

from pipeline.errors import TopologyError
from pipeline.serde import BYTES, Serde, WindowedSerde
from pipeline.serde.held import HeldSerde
from pipeline.suppression import Suppressed, UntilTimeLimit, UntilWindowCloses
from pipeline.topology import Node, StoreSpec, declaration_site, windows_above
from pipeline.windows import UnlimitedWindows


def suppression(table: Node, key: Serde[Any], until: Suppressed) -> Suppressed:
    """Return what was asked for, with the table's windows if they are to close.

    Raises:
        TopologyError: the table is versioned, or has no windows that close; names operator and line.
    """
    where = f"suppress at {declaration_site()}"
    if not isinstance(until, UntilWindowCloses | UntilTimeLimit):
        raise TopologyError(f"{where} takes until_window_closes(...) or until_time_limit(...), not {until!r}")
    if table.versioned:
        raise TopologyError(
            f"{where}: {table} is versioned: each of its versions goes on, none can be held back"
        )
    if isinstance(until, UntilTimeLimit):
        return until
    windows = windows_above(table)
    if isinstance(windows, Node):
        raise TopologyError(
            f"{where}: until_window_closes needs a table made by windowed_by(...), and {table} is made of "
            f"{windows}, which has no windows: use until_time_limit"
        )
    if not isinstance(key, WindowedSerde):
        raise TopologyError(
            f"{where}: until_window_closes needs windowed keys, and those of {table} are {key.name}"
        )
    if any(isinstance(closing, UnlimitedWindows) for closing in windows):
        raise TopologyError(f"{where}: the window of {table} is unlimited: it never closes")
    return dataclasses.replace(until, windows=windows)


def held_back(name: str, until: Suppressed) -> StoreSpec:
    """Return the store of what is held back."""
    return StoreSpec(
        name,
        "key-value",
        BYTES,
        HeldSerde(),
        ordered=True,
        queryable=False,
        logged=until.buffer.logging,
    )
