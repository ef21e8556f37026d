"""How far restoring has come, as a bar on a terminal."""

from __future__ import annotations

import shutil
from typing import Final, TextIO

from pipeline.runtime.restore_progress import Restoring

_WIDTH: Final = 30
_TO_THE_END: Final = "\x1b[K"


class RestoreBar:
    """One line that is drawn again and again; nothing, where nobody looks.

    The cursor stays at its beginning: a line of the log takes its place, and the bar is drawn below.

    Args:
        terminal: where it is drawn, if that is a terminal; None: there is none.
    """

    def __init__(self, terminal: TextIO | None) -> None:
        self._terminal = terminal if terminal is not None and terminal.isatty() else None
        self._shown = False

    def show(self, progress: Restoring | None) -> None:
        """Draw the bar; remove it when nothing is being restored."""
        if self._terminal is None or (progress is None and not self._shown):
            return
        self._shown = progress is not None
        line = "" if progress is None else bar(progress, shutil.get_terminal_size().columns - 1)
        self._terminal.write(f"{line}{_TO_THE_END}\r")
        self._terminal.flush()


def bar(progress: Restoring, width: int) -> str:
    """Return the bar as a line of at most `width` characters: a longer one would be broken.

    >>> bar(Restoring(2, 500, 2_000, 100.0, 15.0), 100)
    'restoring [#######......................] 25 %: 500 of 2,000 records, 100 a second, 15.0 s left'
    """
    full = _WIDTH * progress.restored // progress.total if progress.total else _WIDTH
    return f"restoring [{'#' * full}{'.' * (_WIDTH - full)}] {progress}"[:width]
