"""The C library's allocator, in a process with many threads: what one has freed, another one uses."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Final

#: glibc's parameter (`malloc.h`), what it is set to, and the variable by which a user does (`mallopt(3)`).
#: Threads of RocksDB and librdkafka would have a heap each, up to eight a core, that hardly ever shrinks.
_ARENAS: Final = (-8, 2, "MALLOC_ARENA_MAX")


def settle() -> None:
    """Set it up, before other threads begin; nothing but glibc is touched, nor what the user has set."""
    mallopt: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)
    parameter, value, variable = _ARENAS
    if mallopt is not None and variable not in os.environ:
        mallopt(parameter, value)
