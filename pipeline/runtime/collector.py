"""The interpreter's collector of cycles, in a process that keeps state."""

from __future__ import annotations

import gc
from typing import Final

#: New containers after which the collector looks at them. State and batches are made of containers that stay:
#: with the interpreter's 700, it takes a tenth of a count's time (lists as values, 25,000 records a commit).
_NEW: Final = 10_000


def settle() -> None:
    """Begin to process: what exists by now (modules, the topology) lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW, *gc.get_threshold()[1:])
