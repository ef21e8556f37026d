"""Which group protocol a broker has: the client does not say, and does not fall back by itself.

Asked for a protocol that the broker lacks, librdkafka retries for ever without an error. It learns
the broker's request types when it connects (ApiVersions) and shows them in its debug log only.
"""

from __future__ import annotations

import logging
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.runtime.kafka.errors import translated_exception
from pipeline.runtime.kafka.settings import Settings

#: The request that members under KIP-848 send, as librdkafka's log names it.
_REQUEST: Final = "ApiKey ConsumerGroupHeartbeat (68)"
_TIMEOUT_S: Final = 10.0


class _Watch(logging.Handler):
    """Remembers whether the request was named."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.seen = False

    def emit(self, record: logging.LogRecord) -> None:
        if _REQUEST in record.getMessage():
            self.seen = True


def has_consumer_protocol(settings: Settings) -> bool:
    """Return whether the broker has `group.protocol=consumer` (KIP-848; Apache Kafka 4).

    Args:
        settings: of an admin client.

    Raises:
        BrokerUnreachableError: no broker answers.
    """
    watch = _Watch()
    # Not from getLogger: nobody but this function is to see the client's debug log.
    logger = logging.Logger("pipeline.kafka.protocol", logging.DEBUG)  # noqa: LOG001 (see above)
    logger.addHandler(watch)
    client = AdminClient({**settings, "debug": "feature,broker"}, logger=logger)
    try:
        client.list_topics(timeout=_TIMEOUT_S)
    except KafkaException as error:
        what = "asking for the group protocols"
        raise translated_exception(error, str(settings["bootstrap.servers"]), what) from error
    client.poll(0)
    return watch.seen
