"""A table's own topic in place of a changelog: whether it may be one, and how rows are read from it.

```
topic        |------------------------------------|----- - - -
             first record held     committed offset: up to here it is restored, from here processed
```

A changelog holds rows as they are stored: an event time, then the value. The topic holds what its source
decodes, so the source's extractor is asked again for the event time, and what the source skipped
(it cannot be decoded, it has no time, it has no key) is skipped again, in silence: it was handled once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pipeline.errors import RecordError, TopologyError
from pipeline.operators.context import unencodable
from pipeline.plan.planner import Plan
from pipeline.record import Headers, TopicPartition
from pipeline.runtime.broker import Admin, Message
from pipeline.runtime.environment import TaskEnvironment
from pipeline.runtime.record_queue import RecordQueue
from pipeline.state.caching import pack_time
from pipeline.topology import StoreSpec, TableSource

#: Key and value as a store has them; None deletes.
Row: TypeAlias = tuple[bytes, bytes | None]

_log: Final = logging.getLogger(__name__)
_FOREVER: Final = "-1"


def check_kept(plan: Plan, admin: Admin) -> None:
    """Check that topics which stand for changelogs lose no row to age or size.

    Where the broker does not tell, as the embedded one, a warning says what must hold.

    Raises:
        TopologyError: records of such a topic are deleted although no later one replaces them.
        BrokerUnreachableError: no broker answers.
    """
    configs = admin.topic_configs([topic for source in plan.source_logs for topic in source.topics])
    for source in plan.source_logs:
        (topic,) = source.topics
        config = configs.get(topic, {})
        if "cleanup.policy" not in config:
            _log.warning(
                "%s restores its rows from topic %r: the broker does not tell whether it deletes records by "
                "age or size, which it must not",
                source,
                topic,
            )
        elif not _keeps_rows(config):
            settings = ", ".join(f"{name}={config[name]}" for name in _SETTINGS if name in config)
            raise TopologyError(
                f"{source} restores its rows from topic {topic!r} (reuse_source=True), which deletes records "
                f"by age or size ({settings}): rows would be lost. Set its cleanup.policy to compact, or "
                "leave reuse_source= out, so that the table has a changelog"
            )


_SETTINGS: Final = ("cleanup.policy", "retention.ms", "retention.bytes")


def _keeps_rows(config: Mapping[str, str]) -> bool:
    if "delete" not in config["cleanup.policy"].split(","):
        return True
    return all(config.get(name) == _FOREVER for name in _SETTINGS[1:])


class SourceLog:
    """Reads the rows of a table from one partition of its topic.

    Args:
        source: the table.
        partition: the partition.
        environment: settings and clock.
    """

    def __init__(self, source: TableSource, partition: TopicPartition, environment: TaskEnvironment) -> None:
        self._store = source.store
        self._queue = RecordQueue(
            partition, source, _nowhere, environment.config.max_record_bytes, environment.clock, _skip
        )

    def rows(self, run: Sequence[Message]) -> list[Row]:
        """Return the rows of some records, in their order."""
        return list(source_rows(self._queue, self._store, run, keyless=_skip_keyless, refuse=_skip))


def source_rows(
    queue: RecordQueue,
    store: StoreSpec,
    run: Sequence[Message],
    *,
    keyless: Callable[[Message], None],
    refuse: Callable[[Message, RecordError], None],
) -> Iterator[Row]:
    """Yield records of a table's topic as rows of its store.

    Args:
        queue: decodes the records, and rejects those that it cannot decode.
        store: encodes keys; values stay as they came.
        run: the records.
        keyless: called for a record without a key.
        refuse: called for a record whose key cannot be encoded.
    """
    encode = store.key.serialize
    queue.messages.extend(run)
    while (head := queue.pop()) is not None:
        message, (key, value, timestamp, _headers) = head
        if key is None:
            keyless(message)
            continue
        try:
            key_bytes = encode(key)
        except Exception as failure:  # noqa: BLE001 - a user's serde: that record's failure
            refuse(message, unencodable(queue.source, store.key, key, failure))
            continue
        yield key_bytes, None if value is None else pack_time(timestamp) + (message.value() or b"")


def _skip(_message: Message, _error: RecordError) -> None:
    """Take no note: it was handled when it was processed."""


def _skip_keyless(_message: Message) -> None:
    """Take no note, likewise."""


def _nowhere(_key: Any, _value: Any, _timestamp: int, _headers: Headers) -> None:
    """Take nothing: rows go into the store as bytes."""
