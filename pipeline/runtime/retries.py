"""How long a worker whose broker does not answer waits, and when it gives its clients up.

A client that has lost a broker may never find who took its place: librdkafka 2.10 to 2.16 can keep records
for a leader that is gone (https://github.com/confluentinc/librdkafka/issues/5430, and 5401, 5593). New
clients start from what the cluster is now; what was in hand is done again, from the last commit.
"""

from __future__ import annotations

from typing import Final

_FIRST_PAUSE_MS: Final = 500
_LONGEST_PAUSE_MS: Final = 15_000
#: As long as a broker that died may be missed (9 s by default) and its successors take to start, twice over.
CLIENTS_MS: Final = 30_000


class Retries:
    """Counts the attempts that failed since the last one that did not."""

    def __init__(self) -> None:
        self._pause_ms = _FIRST_PAUSE_MS
        self._next_ms = 0
        self._failing_since: int | None = None

    def due(self, now_ms: int) -> bool:
        """Whether a new connection may be tried."""
        return now_ms >= self._next_ms

    def succeed(self, *, at_all: bool = True) -> None:
        """Take note that the broker answered; with `at_all`, that nothing else is wrong either."""
        self._failing_since = None
        if at_all:
            self._pause_ms = _FIRST_PAUSE_MS

    def fail(self, now_ms: int) -> bool:
        """Take note that it did not; return whether the clients have had time enough to find it again."""
        if self._failing_since is None:
            self._failing_since = now_ms
        return now_ms - self._failing_since >= CLIENTS_MS

    def pause(self, now_ms: int) -> int:
        """Return how long to wait, in ms, before a new connection is tried: longer each time."""
        pause_ms, self._failing_since = self._pause_ms, None
        self._next_ms = now_ms + pause_ms
        self._pause_ms = min(2 * pause_ms, _LONGEST_PAUSE_MS)
        return pause_ms
