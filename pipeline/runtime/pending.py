"""Where a task begins again if it ends now."""

from __future__ import annotations

from pipeline.runtime.task import Task


def pending(task: Task) -> list[str]:
    """Return where each partition begins again that was read further, and what is in hand.

    From any thread.
    """
    message, found = task.message, []
    for partition, queue in list(task.queues.items()):
        text = f"{partition} from offset {queue.committed_offset}"
        if message is not None and (message.topic, message.partition) == partition:
            found.append(f"{text} (in hand: offset {message.offset})")
        elif queue.next_offset != queue.committed_offset:
            found.append(text)
    return found
