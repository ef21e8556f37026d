"""Offsets of partitions: the first, the last, and those of a time.

Asked for through a consumer that joins no group. The admin client's `list_offsets` (librdkafka 2.16) keeps
asking a leader that is gone: it connects to it some twenty thousand times a second, and never
learns who leads instead.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Final

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from pipeline.errors import StreamsError
from pipeline.record import TopicPartition
from pipeline.runtime.kafka.clients import new_consumer
from pipeline.runtime.kafka.errors import (
    LEADERLESS,
    UNKNOWN_TOPIC,
    UNREACHABLE,
    translated,
    unreachable,
)
from pipeline.runtime.kafka.refusals import Reports
from pipeline.runtime.kafka.settings import Settings

#: Timestamps of Kafka's ListOffsets request that mean the end, and the beginning.
LATEST: Final = -1
EARLIEST: Final = -2

#: Of one question: a leader that is gone does not answer, and another one is asked.
_TIMEOUT_MS: Final = 4_000
_PAUSE_MS: Final = 20
#: Of all of them: as long as another leader may take to be chosen.
_PATIENCE_MS: Final = 30_000
#: How long the news of a topic's creation may take to reach a broker.
_SPREAD_MS: Final = 5_000

#: While leaders change, the client reports these for all partitions at once.
_CHANGING: Final = LEADERLESS | UNREACHABLE | {KafkaError._DESTROY_BROKER}  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
_UNKNOWN: Final = UNKNOWN_TOPIC | {KafkaError.UNKNOWN_TOPIC_OR_PART}


class OffsetLookup:
    """Asks for offsets. Methods may be called from any thread.

    Args:
        settings: of a reader; see `pipeline.runtime.kafka.settings`.
        isolation: `read_committed` takes the last stable offset for the end, `read_uncommitted` the last.
    """

    def __init__(self, settings: Settings, isolation: str) -> None:
        self._address = str(settings["bootstrap.servers"])
        self._settings = {**settings, "isolation.level": isolation}
        self._client: confluent_kafka.Consumer | None = None
        self._reports = Reports()
        # A commit asks beside whoever else wants to know.
        self._lock = threading.Lock()

    def find(self, partitions: Sequence[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
        """Return the offset of the first record at `timestamp` (ms) or later, or of LATEST or EARLIEST.

        A partition without such a record is left out.

        Raises:
            BrokerUnreachableError: not all leaders answer within 30 s.
            BrokerError: a partition does not exist.
        """
        with self._lock:
            return self._find(partitions, timestamp)

    def _find(self, partitions: Sequence[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
        offsets: dict[TopicPartition, int] = {}
        missing, waiting, left_ms = list(partitions), threading.Event(), _PATIENCE_MS
        while missing:
            answers = self._ask(missing, timestamp)
            for partition, answer in answers.items():
                if isinstance(answer, int):
                    offsets[partition] = answer
                else:
                    self._check(partition, answer, left_ms)
            missing = [each for each in missing if not isinstance(answers[each], int)]
            timed_out = any(answers[each] is _SILENT for each in missing)
            left_ms -= _TIMEOUT_MS if timed_out else _PAUSE_MS
            if missing:
                waiting.wait(_PAUSE_MS / 1_000)
        return {partition: offset for partition, offset in offsets.items() if offset >= 0}

    def close(self) -> None:
        """Free the connection."""
        with self._lock:
            self._forget_client()

    def _forget_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _ask(
        self, partitions: Sequence[TopicPartition], timestamp: int
    ) -> Mapping[TopicPartition, int | KafkaError]:
        if self._client is None:
            self._client = new_consumer(self._settings, self._reports)
        asked = [ClientPartition(*partition, timestamp) for partition in partitions]
        try:
            found = self._client.offsets_for_times(asked, timeout=_TIMEOUT_MS / 1_000)
            # The client's log lines wait until somebody polls; nothing is assigned, so nothing is read.
            self._client.poll(0)
            self._reports.answered()
        except KafkaException as error:
            # It asks who it thinks the leader is, and does not look again: a new client does.
            self._forget_client()
            cause: KafkaError = self._reports.explained(error.args[0])
            return dict.fromkeys(partitions, _SILENT if cause.code() in UNREACHABLE else cause)
        return {
            TopicPartition(each.topic, each.partition): each.offset if each.error is None else each.error
            for each in found
        }

    def _check(self, partition: TopicPartition, error: KafkaError, left_ms: int) -> None:
        """Raise what asking again cannot mend."""
        code, what = error.code(), f"asking for the offsets of {partition}"
        if code in _UNKNOWN and left_ms > _PATIENCE_MS - _SPREAD_MS:
            return
        if code in _CHANGING and left_ms > 0:
            return
        failure: StreamsError = translated(error, self._address, what)
        if code in _CHANGING:
            failure = unreachable(self._address, what, f"{error.name()}: {error.str()}")
        raise failure


#: Stands for no answer at all.
_SILENT: Final = KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001 (see above)
