"""Apache Kafka, or a broker that speaks its protocol, through confluent-kafka (librdkafka).

This package is the only one that imports the client. `KafkaBroker` satisfies
`pipeline.runtime.broker.Broker`.
"""

from __future__ import annotations

from pipeline.runtime.kafka.broker import KafkaBroker

__all__ = ["KafkaBroker"]
