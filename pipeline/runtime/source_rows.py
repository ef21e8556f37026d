"""How the rows of a table are read from the table's own topic: to restore them, or into a global table.

A changelog holds rows as they are stored: an event time, then the value. The topic holds what its source
decodes, so the source's extractor is asked again for the event time, and what the source skipped
(it cannot be decoded, it has no time, it has no key) is skipped again: while restoring in silence, for it
was handled once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pipeline.errors import RecordError
from pipeline.operators.context import unencodable
from pipeline.record import Headers, TopicPartition
from pipeline.runtime.broker import Message
from pipeline.runtime.decoding import LAST_TIME_MS
from pipeline.runtime.environment import TaskEnvironment
from pipeline.runtime.record_queue import RecordQueue
from pipeline.runtime.task_time import TaskTime
from pipeline.state.caching import pack_time
from pipeline.state.rows import Row, Rows
from pipeline.topology import GlobalTable, TableSource


class SourceRows:
    """Reads one partition of a table's topic as rows of its store: keys are encoded anew, values stay.

    Args:
        source: the table.
        partition: of its topic.
        environment: settings and clock.
        keyless: called for a record without a key.
        refuse: called for a record that cannot be decoded, or whose key cannot be encoded.

    Attributes:
        queue: decodes the records.
        message: the record in hand.
        time: how far their time has come.
        blocked: nothing: every record is taken.
    """

    def __init__(
        self,
        source: TableSource | GlobalTable,
        partition: TopicPartition,
        environment: TaskEnvironment,
        *,
        keyless: Callable[[Message], None],
        refuse: Callable[[Message, RecordError], None],
    ) -> None:
        self.message: Message | None = None
        self.time = TaskTime(())
        self.blocked: Collection[object] = ()
        self._source, self._keyless, self._refuse = source, keyless, refuse
        self._rows: list[Row] = []
        self.queue = RecordQueue(
            partition, source, self._take, environment.config, environment.clock, self, refuse
        )

    def read(self, run: Sequence[Message]) -> Rows:
        """Return the rows of some records, in their order."""
        self._rows = []
        self.queue.put(run)
        self.queue.run(len(run), LAST_TIME_MS)
        return Rows.of(self._rows)

    def _take(self, key: Any, value: Any, timestamp: int, _headers: Headers) -> None:
        message = self.message
        assert message is not None  # noqa: S101 - it is in hand
        if key is None:
            self._keyless(message)
            return
        serde = self._source.store.key
        try:
            key_bytes = serde.serialize(key)
        except Exception as failure:  # noqa: BLE001 - a user's serde: that record's failure
            self._refuse(message, unencodable(self._source, serde, key, failure))
            return
        stored = None if value is None else pack_time(timestamp) + (message.value or b"")
        self._rows.append((key_bytes, stored))

    def punctuate_stream(self) -> bool:
        """Fire nothing: nothing is scheduled."""
        return False


def handled_rows(
    source: TableSource, partition: TopicPartition, environment: TaskEnvironment
) -> Callable[[Sequence[Message]], Rows]:
    """Return what reads rows of records that were processed once: what was skipped then is, in silence."""
    return SourceRows(source, partition, environment, keyless=_skip, refuse=_skip_refused).read


def _skip(_message: Message) -> None:
    """Take no note: it was handled when it was processed."""


def _skip_refused(_message: Message, _error: RecordError) -> None:
    """Take no note, likewise."""
