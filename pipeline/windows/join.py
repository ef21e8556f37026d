"""Windows of stream-stream joins."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.windows.duration import check_at_least


@dataclass(frozen=True, slots=True)
class JoinWindows:
    """Which pairs of a stream-stream join belong together (Kafka Streams: `JoinWindows`).

    Left and right match when `left - before <= right <= left + after`, both ends included.

    ```
    right times that match a left record at 100, before 10, after 20:
                 90 ======== 100 ================ 120
    ```

    Attributes:
        before_ms: how far a right record may precede the left one; may be negative.
        after_ms: how far it may follow; may be negative.
        grace_ms: how long after the window late records are still joined.
    """

    before_ms: int
    after_ms: int
    grace_ms: int

    def __post_init__(self) -> None:
        if self.before_ms + self.after_ms < 0:
            raise ValueError(
                f"join window is empty: before {self.before_ms} ms plus after {self.after_ms} ms is negative"
            )
        check_at_least("grace", self.grace_ms, 0)

    @property
    def size_ms(self) -> int:
        """Width of the window."""
        return self.before_ms + self.after_ms

    @property
    def retention_ms(self) -> int:
        """How long a record can still be matched by one that is not late.

        Kafka Streams keeps `before + after + grace`. That is too short where all of the window lies
        on one side: a left record at 0 with before 0 and after 20 waits for right ones until stream
        time is 20, the last one included, and there it would be hidden.
        """
        return self.grace_ms + max(self.size_ms, self.before_ms + 1, self.after_ms + 1)

    def bounds(self, timestamp: int, *, of_left: bool) -> tuple[int, int]:
        """Return the first and last time at which the other side matches a record at `timestamp`."""
        if of_left:
            return timestamp - self.before_ms, timestamp + self.after_ms
        return timestamp - self.after_ms, timestamp + self.before_ms

    def wait_ms(self, *, of_left: bool) -> int:
        """Return how long a record waits for a partner: until stream time exceeds its time plus this.

        ```
        left at 100, after 20, grace 5        100 ================ 120 --grace-- 125 | alone at 126
        right at 100, before 10, grace 5      100 ====== 110 --grace-- 115 | alone at 116
        ```
        """
        return (self.after_ms if of_left else self.before_ms) + self.grace_ms

    def __str__(self) -> str:
        return f"before {self.before_ms} ms, after {self.after_ms} ms, grace {self.grace_ms} ms"
