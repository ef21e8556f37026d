"""The interpreter's collector of cycles, in a process that keeps state."""

from __future__ import annotations

import gc
from typing import Final

#: New containers after which the collector looks at them: while the processor has them at hand. Of tuples of
#: numbers and texts, as aggregates are, it takes no further notice then (0.20 us a record of a count; 0.33 if
#: it looks at 10,000).
_NEW: Final = 250
#: So many times, and it looks at those that were left, too. State and batches are made of containers that
#: stay: with the interpreter's 10, it takes a tenth of a count's time (lists as values).
_LEFT: Final = 400


def settle() -> None:
    """Begin to process: what exists by now (modules, the topology) lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW, _LEFT, *gc.get_threshold()[2:])
