"""What the process ends with, for whoever supervises it (README, "When it stops")."""

from __future__ import annotations

from typing import Final

#: Stopped in order: everything is committed.
IN_ORDER: Final = 0
#: It cannot go on: the last line says why, and a start meets the same until that is mended.
FAILED: Final = 1
#: Told to stop, it did not end within `shutdown_timeout`: what was not committed comes again.
UNFINISHED: Final = 3
