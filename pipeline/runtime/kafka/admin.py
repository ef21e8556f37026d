"""Topics and their offsets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeAlias

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicCollection
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # public, but not exported in its annotations
    AdminClient,
    ConfigResource,
    MemberDescription,
    NewTopic,
)

from pipeline.errors import BrokerError, StreamsError, UnsupportedRequestError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Committed, TopicSpec
from pipeline.runtime.group import Member
from pipeline.runtime.kafka.clients import new_admin
from pipeline.runtime.kafka.deletion import KafkaDeletion
from pipeline.runtime.kafka.errors import UNREACHABLE, translated
from pipeline.runtime.kafka.offsets import EARLIEST, LATEST, OffsetLookup
from pipeline.runtime.kafka.refusals import Reports
from pipeline.runtime.kafka.settings import Settings

#: From the ends as listed to the ends as they are.
ExactEnds: TypeAlias = Callable[[Mapping[TopicPartition, int]], dict[TopicPartition, int]]

_TIMEOUT_S: Final = 30.0
#: Of the request that a worker makes first: where nobody listens, it is to say so soon.
_FIRST_TIMEOUT_S: Final = 4.0
_PAUSE_MS: Final = 20
_ATTEMPTS: Final = 1_500
_BROKERS_DEFAULT: Final = -1


class KafkaAdmin:
    """Satisfies `pipeline.runtime.broker.Admin`.

    Args:
        settings: see `pipeline.runtime.kafka.settings`.
        reading: those of a reader, to ask for offsets with.
        exact_ends: turns the ends that the broker lists into the true ones; see `ends`.
        deletes: says whether the broker deletes records on request; see `protocol.Features`.
    """

    def __init__(
        self, settings: Settings, reading: Settings, exact_ends: ExactEnds, deletes: Callable[[], bool]
    ) -> None:
        self._exact_ends, self._deletes = exact_ends, deletes
        self._address = str(settings["bootstrap.servers"])
        self._settings = settings
        self._reports = Reports()
        self._client: AdminClient | None = self._new_client()
        self._written = OffsetLookup(reading, "read_uncommitted")
        self._settled = OffsetLookup(reading, "read_committed")

    def topics(self) -> Sequence[str]:
        """Return the names of all topics.

        Raises:
            BrokerUnreachableError: no broker answers.
        """
        try:
            listed = self._open().list_topics(timeout=_TIMEOUT_S)
        except KafkaException as error:
            raise self._translated(error, "listing topics") from error
        self._answered()
        return sorted(listed.topics)

    def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """Return the number of partitions of each topic that exists; others are left out.

        Raises:
            BrokerUnreachableError: no broker answers.
        """
        return {topic: len(partitions) for topic, partitions in self._described(topics).items()}

    def _described(self, topics: Sequence[str]) -> dict[str, Sequence[Any]]:
        """Return the partitions of each topic that exists."""
        if not topics:
            return {}
        client = self._open()
        # Not `list_topics`: brokers that create topics on demand would create these.
        futures = client.describe_topics(TopicCollection(list(topics)), request_timeout=_FIRST_TIMEOUT_S)
        described = {}
        for topic, future in futures.items():
            description = self._result(
                future, f"describing topic {topic}", (KafkaError.UNKNOWN_TOPIC_OR_PART,)
            )
            if description is not None:
                described[topic] = description.partitions
        return described

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

    def topic_configs(self, topics: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """Return what each topic is configured with, defaults included where the broker tells them.

        Raises:
            BrokerUnreachableError: no broker answers.
        """
        configs: dict[str, Mapping[str, str]] = {
            topic: {"replication.factor": str(min(len(part.replicas) for part in partitions))}
            for topic, partitions in self._described(topics).items()
        }
        if not configs:
            return {}
        resources = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in configs]
        # Who may not describe configurations is told nothing: its topics work all the same.
        silent = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED)
        futures = self._open().describe_configs(resources, request_timeout=_TIMEOUT_S)
        for resource, future in futures.items():
            what = f"asking for the configuration of topic {resource.name}"
            entries = self._result(future, what, silent) or {}
            told = {name: entry.value for name, entry in entries.items() if entry.value is not None}
            configs[resource.name] = {**configs[resource.name], **told}
        return configs

    def delete_records(self, before: Mapping[TopicPartition, int]) -> KafkaDeletion:
        """Ask for every record before an offset to be deleted, by partition, and return at once.

        Raises:
            UnsupportedRequestError: the broker does not know the request.
            BrokerUnreachableError: no broker answers.
        """
        if not self._deletes():
            raise UnsupportedRequestError(
                f"the broker at {self._address} does not know the request to delete records (DeleteRecords)"
            )
        asked = [ClientPartition(*partition, offset) for partition, offset in before.items()]
        futures = self._open().delete_records(asked, request_timeout=_TIMEOUT_S)
        self._open().poll(0)
        return KafkaDeletion(futures, self._address)

    def group_members(self, group: str) -> Sequence[Member]:
        """Return who is in a group; nobody if it has no members, or the broker shows none.

        Raises:
            BrokerUnreachableError: the group's coordinator does not answer.
        """
        futures = self._open().describe_consumer_groups([group], request_timeout=_FIRST_TIMEOUT_S)
        what = f"asking who is in group {group}"
        found = self._result(futures[group], what, (KafkaError.GROUP_ID_NOT_FOUND,))
        return [] if found is None else [_member(each) for each in found.members]

    def group_offsets(
        self, group: str, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, Committed]:
        """Return a group's committed offsets, without waiting for transactions; others are left out.

        Raises:
            BrokerUnreachableError: the group's coordinator does not answer.
        """
        if not partitions:
            return {}
        asked = ConsumerGroupTopicPartitions(group, [ClientPartition(*each) for each in partitions])
        futures = self._open().list_consumer_group_offsets([asked], request_timeout=_FIRST_TIMEOUT_S)
        found = self._result(futures[group], f"asking for the offsets of group {group}")
        return {
            TopicPartition(each.topic, each.partition): Committed(each.offset, each.metadata or "")
            for each in found.topic_partitions
            if each.offset >= 0
        }

    def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset still held, by partition.

        Raises:
            BrokerUnreachableError: no broker answers.
            BrokerError: a partition does not exist.
        """
        return self._written.find(partitions, EARLIEST)

    def end_offsets(
        self, partitions: Sequence[TopicPartition], *, stable: bool = False
    ) -> dict[TopicPartition, int]:
        """Return the offset that the next record will get, by partition; or the last stable one.

        Raises:
            BrokerUnreachableError: no broker answers.
            BrokerError: a partition does not exist.
        """
        lookup = self._settled if stable else self._written
        return self._exact_ends(lookup.find(partitions, LATEST))

    def offsets_at(
        self, partitions: Sequence[TopicPartition], timestamp_ms: int
    ) -> dict[TopicPartition, int]:
        """Return the offset of the first record with this timestamp or a later one, else the end.

        Raises:
            BrokerUnreachableError: no broker answers.
            BrokerError: a partition does not exist.
        """
        found = self._written.find(partitions, timestamp_ms)
        without = [partition for partition in partitions if partition not in found]
        return found | (self.end_offsets(without) if without else {})

    def close(self) -> None:
        """Free the connections."""
        self._client = None
        self._written.close()
        self._settled.close()

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

    def _new_client(self) -> AdminClient:
        return new_admin(self._settings, self._reports)

    def _open(self) -> AdminClient:
        if self._client is None:
            raise BrokerError("the admin client is closed: get a new one from the broker")
        return self._client

    def _answered(self) -> None:
        """Hand the client's log lines to `logging`, which wait until somebody polls; old trouble is over."""
        self._open().poll(0)
        self._reports.answered()

    def _result(self, future: Future[Any], what: str, accepted: Collection[int] = ()) -> Any:
        """Return the answer, or None for an error code that is no error here."""
        try:
            answer = future.result(timeout=_TIMEOUT_S + 5)
        except KafkaException as error:
            if error.args[0].code() in accepted:
                return None
            failure = self._translated(error, what)
            if error.args[0].code() in UNREACHABLE and self._client is not None:
                # It asks who it thinks the controller is, and does not look again: a new client does.
                self._client = self._new_client()
            raise failure from error
        self._answered()
        return answer

    def _translated(self, error: KafkaException, what: str) -> StreamsError:
        """Return this library's error, with the reason where the client said it apart from its answer."""
        cause: KafkaError = error.args[0]
        if cause.code() in UNREACHABLE:
            self._open().poll(0)
            cause = self._reports.explained(cause)
        return translated(cause, self._address, what)


def _member(shown: MemberDescription) -> Member:
    owned = () if shown.assignment is None else shown.assignment.topic_partitions
    return Member(
        shown.member_id,
        shown.group_instance_id or "",
        frozenset(TopicPartition(each.topic, each.partition) for each in owned),
        shown.client_id or "",
    )


def _new_topic(spec: TopicSpec) -> NewTopic:
    config = dict(spec.config)
    replicas = int(config.pop("replication.factor", _BROKERS_DEFAULT))
    return NewTopic(spec.name, spec.partitions, replicas, config=config)
