"""When the results of windows go downstream."""

from __future__ import annotations

from enum import Enum


class EmitStrategy(Enum):
    """When a windowed aggregate sends its results on (KIP-825).

    ```
    records               k@1    k@4    z@10          counted in windows of 10 ms, no grace
    ON_WINDOW_UPDATE      k:1    k:2    z:1           each update
    ON_WINDOW_CLOSE                     k:2           once: time has come to the window's end
    ```

    Attributes:
        ON_WINDOW_UPDATE: every update, or with caching the last one between two commits.
        ON_WINDOW_CLOSE: each window once, as soon as it can change no more.
    """

    ON_WINDOW_UPDATE = "on window update"
    ON_WINDOW_CLOSE = "on window close"
