"""When the results of windows go downstream."""

from __future__ import annotations

from enum import Enum


class EmitStrategy(Enum):
    """When a windowed aggregate sends its results on (KIP-825).

    ```
    records            a@1  a@4       a@12     z@20
    window [0,10)       1    2    |
    ON_WINDOW_UPDATE    1    2    .    ...           every update
    ON_WINDOW_CLOSE     .    .    .    2             once, by the record that closes it (grace 0: a@12)
    ```

    Attributes:
        ON_WINDOW_UPDATE: every update, or with caching the last one between two commits.
        ON_WINDOW_CLOSE: each window once, as soon as it can change no more.
    """

    ON_WINDOW_UPDATE = "on window update"
    ON_WINDOW_CLOSE = "on window close"
