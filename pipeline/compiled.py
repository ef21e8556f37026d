"""The compiled part, in folder `native`: it is built when the package is installed, if there is a C compiler.

What it does is done in Python, too, beside where it is used: `observability.patterns`, `runtime.taking`,
`state.window_entries`, and in `runtime.kafka` `fetching` and `sending`.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import Any, Final

#: Set to anything but nothing, no compiled part is used.
WITHOUT: Final = "HEADRACE_NO_EXTENSIONS"


def _compiled() -> ModuleType | None:
    """Return the compiled part; None where it was not built."""
    if os.environ.get(WITHOUT):
        return None
    try:
        return import_module("pipeline._native")
    except ImportError:
        return None


#: Of `_native.pyi`, if it is there.
native: Final[Any] = _compiled()
