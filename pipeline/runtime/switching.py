"""How soon a thread that waits for the interpreter gets it, in a process that answers while it works."""

from __future__ import annotations

import sys
from typing import Final

#: A question over HTTP waits for the engine's thread several times: when it comes, when its answer is made,
#: when that is sent. With the interpreter's 5 ms for each, half of a busy worker's answers took more than
#: 15 ms. Where nobody waits it costs nothing.
_SECONDS: Final = 0.001


def settle() -> None:
    """Have threads take turns sooner, unless the user has them do so sooner yet."""
    sys.setswitchinterval(min(sys.getswitchinterval(), _SECONDS))
