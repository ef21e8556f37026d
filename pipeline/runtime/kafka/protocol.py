"""What a broker can do: the client does not say, and does not fall back by itself.

Asked for a group protocol that the broker lacks, librdkafka retries for ever without an error. It learns
the broker's request types when it connects (ApiVersions) and shows them in its debug log only.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

from confluent_kafka import KafkaException

from pipeline.runtime.kafka.clients import new_admin
from pipeline.runtime.kafka.errors import translated
from pipeline.runtime.kafka.refusals import Reports
from pipeline.runtime.kafka.settings import Settings

#: Requests as librdkafka's log numbers them: of members under KIP-848 (Apache Kafka 4), and of tools
#: that look at transactions (KIP-664, Apache Kafka 3.0): a broker that has it keeps track of them.
_HEARTBEAT: Final = "(68)"
_DESCRIBE_TRANSACTIONS: Final = "(65)"
_TIMEOUT_S: Final = 10.0


class Features(NamedTuple):
    """What a broker can do.

    Attributes:
        consumer_protocol: `group.protocol=consumer` (KIP-848).
        transactions: records of aborted transactions are not shown to readers.
    """

    consumer_protocol: bool
    transactions: bool


class _Watch(logging.Handler):
    """Remembers the requests that were named."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.requests: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if "ApiKey " in message:
            self.requests.append(message)

    def named(self, number: str) -> bool:
        return any(f" {number} Versions" in request for request in self.requests)


def features(settings: Settings) -> Features:
    """Return what a broker can do.

    Args:
        settings: of an admin client.

    Raises:
        BrokerUnreachableError: no broker answers.
    """
    watch = _Watch()
    # Not from getLogger: nobody but this function is to see the client's debug log.
    logger = logging.Logger("pipeline.kafka.protocol", logging.DEBUG)  # noqa: LOG001 (see above)
    logger.addHandler(watch)
    reports = Reports()
    client = new_admin({**settings, "debug": "feature,broker"}, reports, logger)
    try:
        client.list_topics(timeout=_TIMEOUT_S)
    except KafkaException as error:
        client.poll(0)
        cause = reports.explained(error.args[0])
        what = "asking for the group protocols"
        raise translated(cause, str(settings["bootstrap.servers"]), what) from error
    client.poll(0)
    return Features(watch.named(_HEARTBEAT), watch.named(_DESCRIBE_TRANSACTIONS))
