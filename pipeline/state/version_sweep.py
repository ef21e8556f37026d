"""Finding versions that no question can reach any more.

Of a key's versions up to the horizon only the newest counts: it is what was valid there. If that is a
deletion, it counts no more than no version at all.

```
horizon 20:   a@5  a@12  a@18 | a@25     a@5 and a@12 go        b@7  (b deleted)@15 |     both go
```
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.state.store import BytesStore
from pipeline.state.version_keys import VERSION_SIZE, time_of

#: Versions that it looks at for each that was put: it goes around faster than the store can grow.
_PER_PUT: Final = 2


class Sweep:
    """Goes around a versioned store, some versions at a time.

    As it looks at more versions than are put, what there is to remove stays in proportion to what is
    to stay.

    Args:
        engine: the committed versions; what is found is removed by the next commit.
        least: number of versions that a step looks at, if there are so many.
    """

    def __init__(self, engine: BytesStore, least: int = 200) -> None:
        self._engine, self._least = engine, least
        self._next = b""
        #: The key at `_next`, and whether its newest version up to the horizon lies before that.
        self._prefix, self._passed = b"", False

    def step(self, horizon: int, put: int, is_uncommitted: Callable[[bytes], bool]) -> list[bytes]:
        """Look at some more versions, and return which of them to remove.

        Args:
            horizon: the earliest time that can be asked for, in ms.
            put: number of versions that were put since the last step.
            is_uncommitted: whether a key, escaped, has versions that are not in the engine yet.
        """
        budget = max(self._least, _PER_PUT * put)
        found: list[bytes] = []
        # A deletion goes last of its key, or it would uncover an older version.
        deletion: list[bytes] = []
        prefix, passed = self._prefix, self._passed
        for count, (data, stored) in enumerate(self._engine.scan(self._next, None)):
            if data[:-VERSION_SIZE] != prefix:
                found += deletion
                prefix, passed, deletion = data[:-VERSION_SIZE], False, []
            if count == budget:
                self._next, self._prefix, self._passed = data, prefix, passed
                return found
            if passed:
                found.append(data)
            elif time_of(data) <= horizon:
                passed = True
                if not stored and not is_uncommitted(prefix):
                    deletion = [data]
        self._next, self._prefix, self._passed = b"", b"", False
        return found + deletion
