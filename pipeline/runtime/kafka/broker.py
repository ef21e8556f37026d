"""The entrance: clients of one Kafka cluster, with settings measured for throughput and latency."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import ConfigError
from pipeline.record import TopicPartition
from pipeline.runtime.kafka.abandoned import CallThread
from pipeline.runtime.kafka.admin import KafkaAdmin
from pipeline.runtime.kafka.consumer import KafkaConsumer
from pipeline.runtime.kafka.ends import fetched_ends
from pipeline.runtime.kafka.linked import COMPILED
from pipeline.runtime.kafka.producer import KafkaProducer
from pipeline.runtime.kafka.protocol import Features, features
from pipeline.runtime.kafka.reader import KafkaReader
from pipeline.runtime.kafka.settings import (
    Setting,
    admin_settings,
    consumer_settings,
    producer_settings,
    reader_settings,
    transactional_settings,
)
from pipeline.runtime.kafka.transactions import KafkaTransactionalProducer

#: The client's name for the rebalance protocol of KIP-848, and for the one before it.
_NEW_PROTOCOL, _CLASSIC_PROTOCOL = "consumer", "classic"


class KafkaBroker:
    """Clients of the cluster behind `address`.

    Args:
        address: bootstrap servers, `host:port` with commas between several.
        settings: librdkafka's settings by their names (https://github.com/confluentinc/librdkafka,
            CONFIGURATION.md) on top of the defaults in `settings`: security, limits, `group.protocol`.
            A setting of consumers is ignored by producers and the other way round.
        compiled: whether the compiled part reads and writes records, see `compiled`; default: if it is there.
    """

    def __init__(
        self, address: str, *, settings: Mapping[str, Setting] | None = None, compiled: bool = COMPILED
    ) -> None:
        self._address = address
        self._settings = dict(settings or {})
        self.compiled = compiled
        self._features: Features | None = None

    @property
    def address(self) -> str:
        """Bootstrap servers, as given."""
        return self._address

    def consumer(self, group: str, client_id: str) -> KafkaConsumer:
        """Return a new member of `group`; it joins when it subscribes and polls.

        Raises:
            BrokerUnreachableError: no broker answers (the first time, it is asked which group
                protocol it has).
        """
        protocol = self._protocol()
        settings = consumer_settings(self._address, group, client_id, protocol, self._settings)
        return KafkaConsumer(settings, incremental=protocol == _NEW_PROTOCOL, compiled=self.compiled)

    def producer(self, client_id: str) -> KafkaProducer:
        """Return a new idempotent producer."""
        settings = producer_settings(self._address, client_id, self._settings)
        return KafkaProducer(settings, compiled=self.compiled)

    def transactional_producer(
        self, client_id: str, transactional_id: str, timeout_ms: int
    ) -> KafkaTransactionalProducer:
        """Return a new producer; the one before it under this id is fenced, its transaction aborted.

        Raises:
            BrokerUnreachableError: no broker answers.
            ConfigError: the broker has no transactions that readers respect.
        """
        if not self._known_features().transactions:
            raise ConfigError(
                f"the broker at {self._address} cannot do exactly-once: it shows readers the records of "
                "transactions that were aborted. Use Apache Kafka, or processing_guarantee='at_least_once'"
            )
        settings = transactional_settings(
            self._address, client_id, transactional_id, timeout_ms, self._settings
        )
        return KafkaTransactionalProducer(settings, compiled=self.compiled)

    def background(self, client_id: str) -> CallThread:
        """Return a thread that makes calls."""
        return CallThread(f"commits of {client_id}")

    def admin(self) -> KafkaAdmin:
        """Return a new admin client."""
        reading = reader_settings(self._address, self._settings)
        settings = admin_settings(self._address, self._settings)
        return KafkaAdmin(settings, reading, self._exact_ends, self._deletes_records)

    def reader(self) -> KafkaReader:
        """Return a new reader, outside any group."""
        return KafkaReader(reader_settings(self._address, self._settings), compiled=self.compiled)

    def _exact_ends(self, listed: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        # No request tells a broker that lists wrong ends; those known to do so lack KIP-848.
        if self._new_protocol():
            return dict(listed)
        return fetched_ends(reader_settings(self._address, self._settings), listed)

    def _deletes_records(self) -> bool:
        # The embedded broker lists the request and hangs up when it gets it; it lacks KIP-664, too.
        return self._known_features().transactions

    def _protocol(self) -> str:
        chosen = self._settings.get("group.protocol")
        if chosen is not None:
            return str(chosen)
        return _NEW_PROTOCOL if self._new_protocol() else _CLASSIC_PROTOCOL

    def _new_protocol(self) -> bool:
        return self._known_features().consumer_protocol

    def _known_features(self) -> Features:
        """What the broker can do: asked once."""
        if self._features is None:
            self._features = features(admin_settings(self._address, self._settings))
        return self._features
