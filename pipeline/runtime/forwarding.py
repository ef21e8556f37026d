"""What a store's flush forwards, with what is in hand meanwhile: the update, for whatever fails on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline.plan.fusion import fuse
from pipeline.runtime.failures import Update
from pipeline.state.store import Entry

if TYPE_CHECKING:
    from pipeline.runtime.task import Task


def forwarding(task: Task, name: str, on_flush: Callable[..., None]) -> Callable[..., None]:
    """Return what a task's store calls with each update instead of `on_flush`."""
    changelog, serialize = task.changelog(name), task.stores[name].value_serde.serialize
    on_flush = fuse(on_flush)

    def forward(key: bytes, *rest: Any) -> None:
        entry: Entry = rest[-2]
        # A store without caching forwards what another one's flush forwards to it.
        outer, task.update = task.update, Update(changelog, key, entry, serialize)
        on_flush(key, *rest)
        while outer is None and task.deferred:
            task.deferred.pop(min(task.deferred))()
        task.update = outer

    return forward
