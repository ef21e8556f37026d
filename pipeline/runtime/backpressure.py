"""When partitions are paused: they have enough records waiting, or all of them together have.

```
records waiting     0 ------- half ------- buffered_records      paused above, resumed at half
bytes of all        0 ------- half ------- buffered_bytes      above: all that have records are paused
```

A partition that has none is never paused: a task may wait for its records before it takes those of others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pipeline.record import TopicPartition
from pipeline.runtime.broker import Consumer
from pipeline.runtime.record_queue import RecordQueue


class Backpressure:
    """Pauses and resumes partitions.

    What was polled in one go, and what the client has fetched, comes on top of the bounds.

    Args:
        consumer: fetches.
        max_records: of one partition.
        max_bytes: of all partitions.
    """

    def __init__(self, consumer: Consumer, max_records: int, max_bytes: int) -> None:
        self._consumer, self._max_records, self._max_bytes = consumer, max_records, max_bytes
        self._paused: set[TopicPartition] = set()

    def hold(self, queues: Collection[RecordQueue]) -> None:
        """Pause what has enough, records having been put on some of these queues."""
        full = sum(queue.size for queue in queues) > self._max_bytes
        enough = [
            queue.partition
            for queue in queues
            if len(queue) > (0 if full else self._max_records) and queue.partition not in self._paused
        ]
        if enough:
            self._consumer.pause(enough)
            self._paused.update(enough)

    def release(self, queues: Mapping[TopicPartition, RecordQueue]) -> None:
        """Resume what needs more, records having been taken off some of these queues."""
        if not self._paused:
            return
        room = sum(queue.size for queue in queues.values()) <= self._max_bytes // 2
        allowed = self._max_records // 2 if room else 0
        drained = [partition for partition in self._paused if len(queues[partition]) <= allowed]
        if drained:
            self._consumer.resume(drained)
            self._paused.difference_update(drained)

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Take note that these went away."""
        self._paused.difference_update(partitions)
