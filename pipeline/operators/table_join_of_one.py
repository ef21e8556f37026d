"""The join of a table with itself, or with what is made of it: one change reaches both sides.

```
table     k:A        k:B
left      k:A        k:B
right     k:A        k:B
result    k:A-A      k:B-B instead of k:A-A
```

Seen by each side alone, the result would be B-B twice, instead of B-A and of A-B: rows that nobody was told
of. So what both sides are given is gathered until the change has reached all that it reaches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from pipeline.errors import RecordError
from pipeline.operators.changes import of_new, of_old
from pipeline.operators.context import OperatorContext
from pipeline.operators.materialize import Emit
from pipeline.operators.views import Lookup
from pipeline.record import Change, Forward, Headers
from pipeline.topology import TableTableJoin


class _Gathered:
    """What both sides were given of one key."""

    def __init__(self, key: Any) -> None:
        self.key = key
        self.changes: list[Change[Any] | None] = [None, None]
        self.timestamp = -1
        self.headers: Headers = ()

    def add(self, side: int, change: Change[Any], timestamp: int, headers: Headers) -> None:
        before = self.changes[side]
        self.changes[side] = change if before is None else replace(before, new=change.new)
        self.timestamp, self.headers = max(self.timestamp, timestamp), headers


def build_join_of_one(
    node: TableTableJoin,
    context: OperatorContext,
    emit: Emit,
    join: Callable[[Any, Any, Any], Any],
    get: tuple[Lookup, Lookup],
) -> tuple[Forward, Forward]:
    """Return what takes a change of the left side, and what takes one of the right.

    Args:
        node: the join; it has no store, and somebody asks for old rows.
        context: its task.
        emit: takes the result's changes.
        join: makes a row of two.
        get: by side, reads its table as it was told.
    """
    new_of, old_of = of_new(node, node.joiner, join, context), of_old(join)
    encode = node.left_key.serialize
    gathered: dict[bytes, _Gathered] = {}

    def settle() -> None:
        found = list(gathered.values())
        gathered.clear()
        for one in found:
            try:
                left, right = (_change(one, side, get[side]) for side in (0, 1))
            except RecordError as error:
                context.fail(error)
                continue
            key, old = one.key, old_of(one.key, left.old, right.old)
            new = new_of(key, left.new, right.new)
            if new is not None or old is not None:
                emit(key, Change(new, old), one.timestamp, one.headers)

    def side(number: int) -> Forward:
        def take(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
            if not change.is_latest:
                context.drop(node, "out of order, of a versioned table")
                return
            # The key is a table's: it was encoded before.
            key_bytes = encode(key)
            if key_bytes not in gathered:
                gathered[key_bytes] = _Gathered(key)
            gathered[key_bytes].add(number, change, timestamp, headers)
            context.defer(node, settle)

        return take

    return side(0), side(1)


def _change(gathered: _Gathered, side: int, get: Lookup) -> Change[Any]:
    """Return a side's change; of one that was given none, its row as it is and was."""
    change = gathered.changes[side]
    if change is not None:
        return change
    entry = get(gathered.key)
    if entry is None:
        return Change(None, None)
    gathered.timestamp = max(gathered.timestamp, entry.timestamp)
    return Change(entry.value, entry.value)
