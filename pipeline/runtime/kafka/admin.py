"""Topics and their offsets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeAlias

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # public, but not exported in its annotations
    AdminClient,
    NewTopic,
    OffsetSpec,
)

from pipeline.errors import BrokerError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka.errors import LEADERLESS, translated_exception
from pipeline.runtime.kafka.settings import Settings

#: From the ends as listed to the ends as they are.
ExactEnds: TypeAlias = Callable[[Mapping[TopicPartition, int]], dict[TopicPartition, int]]

_log: Final = logging.getLogger(__name__)
_TIMEOUT_S: Final = 30.0
#: Of the request that a worker makes first: where nobody listens, it is to say so soon.
_FIRST_TIMEOUT_S: Final = 4.0
_PAUSE_MS: Final = 20
_ATTEMPTS: Final = 1_500
#: Of questions for offsets: one whose leader is gone is not answered at all, and is asked anew.
_OFFSET_TIMEOUT_MS: Final = 4_000
_OFFSETS_MS: Final = 30_000
#: How long the news of a topic's creation may take to reach a broker that was away.
_SPREAD_MS: Final = 5_000
_BROKERS_DEFAULT: Final = -1


class KafkaAdmin:
    """Satisfies `pipeline.runtime.broker.Admin`.

    Args:
        settings: see `pipeline.runtime.kafka.settings`.
        exact_ends: turns the ends that the broker lists into the true ones; see `ends`.
    """

    def __init__(self, settings: Settings, exact_ends: ExactEnds) -> None:
        self._exact_ends = exact_ends
        self._address = str(settings["bootstrap.servers"])
        self._client: AdminClient | None = AdminClient(settings, logger=_log)

    def topics(self) -> Sequence[str]:
        """Return the names of all topics.

        Raises:
            BrokerUnreachableError: no broker answers.
        """
        try:
            listed = self._open().list_topics(timeout=_TIMEOUT_S)
        except KafkaException as error:
            raise translated_exception(error, self._address, "listing topics") from error
        return sorted(listed.topics)

    def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """Return the number of partitions of each topic that exists; others are left out.

        Raises:
            BrokerUnreachableError: no broker answers.
        """
        if not topics:
            return {}
        client = self._open()
        # Not `list_topics`: brokers that create topics on demand would create these.
        futures = client.describe_topics(TopicCollection(list(topics)), request_timeout=_FIRST_TIMEOUT_S)
        counts = {}
        for topic, future in futures.items():
            description = self._result(
                future, f"describing topic {topic}", (KafkaError.UNKNOWN_TOPIC_OR_PART,)
            )
            if description is not None:
                counts[topic] = len(description.partitions)
        self._serve_log()
        return counts

    def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """Create what does not exist yet, and return when it can be used. Existing is no error.

        A topic's configuration may hold `replication.factor`; without, it is the broker's default.

        Raises:
            BrokerUnreachableError: no broker answers.
            BrokerError: the broker refuses one of them.
        """
        if not topics:
            return
        futures = self._open().create_topics(
            [_new_topic(spec) for spec in topics], request_timeout=_TIMEOUT_S
        )
        for topic, future in futures.items():
            self._result(future, f"creating topic {topic}", (KafkaError.TOPIC_ALREADY_EXISTS,))
        self._wait_usable([spec.name for spec in topics])

    def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset still held, by partition.

        Raises:
            BrokerUnreachableError: no broker answers.
            BrokerError: a partition does not exist.
        """
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call] # not annotated

    def end_offsets(
        self, partitions: Sequence[TopicPartition], *, stable: bool = False
    ) -> dict[TopicPartition, int]:
        """Return the offset that the next record will get, by partition; or the last stable one.

        Raises:
            BrokerUnreachableError: no broker answers.
            BrokerError: a partition does not exist.
        """
        level = IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED
        return self._exact_ends(self._offsets(partitions, OffsetSpec.latest(), level))  # type: ignore[no-untyped-call] # not annotated

    def offsets_at(
        self, partitions: Sequence[TopicPartition], timestamp_ms: int
    ) -> dict[TopicPartition, int]:
        """Return the offset of the first record with this timestamp or a later one, else the end.

        Raises:
            BrokerUnreachableError: no broker answers.
            BrokerError: a partition does not exist.
        """
        found = self._offsets(partitions, OffsetSpec.for_timestamp(timestamp_ms))
        without = [partition for partition, offset in found.items() if offset < 0]
        return found | (self.end_offsets(without) if without else {})

    def close(self) -> None:
        """Free the connection."""
        self._client = None

    def _offsets(
        self,
        partitions: Sequence[TopicPartition],
        spec: OffsetSpec,
        level: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    ) -> dict[TopicPartition, int]:
        """Ask until every partition's leader has answered: one may be changing just now."""
        offsets: dict[TopicPartition, int] = {}
        waiting = threading.Event()
        left_ms = _OFFSETS_MS
        while missing := [partition for partition in partitions if partition not in offsets]:
            accepted = LEADERLESS | {KafkaError._TIMED_OUT} if left_ms > 0 else frozenset[int]()  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
            if left_ms > _OFFSETS_MS - _SPREAD_MS:
                accepted |= {KafkaError.UNKNOWN_TOPIC_OR_PART}
            found, timed_out = self._answered_offsets(missing, spec, level, accepted)
            offsets |= found
            left_ms -= _OFFSET_TIMEOUT_MS if timed_out else _PAUSE_MS
            if len(found) < len(missing):
                waiting.wait(_PAUSE_MS / 1_000)
        return offsets

    def _answered_offsets(
        self,
        partitions: Sequence[TopicPartition],
        spec: OffsetSpec,
        level: IsolationLevel,
        accepted: Collection[int],
    ) -> tuple[dict[TopicPartition, int], bool]:
        """Ask once; leave out partitions without an answer, and return whether one took too long."""
        wanted = {ClientPartition(topic, partition): spec for topic, partition in partitions}
        futures: Mapping[ClientPartition, Future[Any]]
        futures = self._open().list_offsets(
            wanted, isolation_level=level, request_timeout=_OFFSET_TIMEOUT_MS / 1_000
        )
        offsets, timed_out = {}, False
        for found, future in futures.items():
            partition = TopicPartition(found.topic, found.partition)
            try:
                offset: int = future.result(timeout=_TIMEOUT_S).offset
            except KafkaException as error:
                code = error.args[0].code()
                if code not in accepted:
                    what = f"asking for the offsets of {partition}"
                    raise translated_exception(error, self._address, what) from error
                timed_out |= code == KafkaError._TIMED_OUT  # noqa: SLF001 (see above)
            else:
                # While its leader is away, the client says "invalid" (-1001) and no error.
                if offset >= 0:
                    offsets[partition] = offset
        self._serve_log()
        return offsets, timed_out

    def _wait_usable(self, topics: Sequence[str]) -> None:
        """Wait until the metadata has them and their leaders answer: both come after the creation."""
        waiting = threading.Event()
        for _ in range(_ATTEMPTS):
            counts = self.partition_counts(topics)
            missing = set(topics) - set(counts)
            if not missing:
                self.beginning_offsets(
                    [TopicPartition(t, n) for t, count in counts.items() for n in range(count)]
                )
                return
            waiting.wait(_PAUSE_MS / 1_000)
        raise BrokerError(f"{self._address} accepted {', '.join(sorted(missing))} but does not show them")

    def _open(self) -> AdminClient:
        if self._client is None:
            raise BrokerError("the admin client is closed: get a new one from the broker")
        return self._client

    def _serve_log(self) -> None:
        """Hand the client's log lines to `logging`: they wait in a queue until somebody polls."""
        self._open().poll(0)

    def _result(self, future: Future[Any], what: str, accepted: Collection[int] = ()) -> Any:
        """Return the answer, or None for an error code that is no error here."""
        try:
            return future.result(timeout=_TIMEOUT_S + 5)
        except KafkaException as error:
            if error.args[0].code() in accepted:
                return None
            raise translated_exception(error, self._address, what) from error


def _new_topic(spec: TopicSpec) -> NewTopic:
    config = dict(spec.config)
    replicas = int(config.pop("replication.factor", _BROKERS_DEFAULT))
    return NewTopic(spec.name, spec.partitions, replicas, config=config)
