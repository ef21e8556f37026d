"""librdkafka's settings that are not the user's: what a worker promises rests on them.

Kafka Streams overrides such settings and logs it; here they are an error, which names what is to be used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pipeline.errors import ConfigError

_COMMITS: Final = "offsets are committed with the results and the state that belong to them"
_RANGE: Final = "partitions of one number have to come to one worker, for joins and shared stores"
_IDEMPOTENT: Final = "a record is there once and in its order, and acknowledged by all replicas in sync"
_CALLBACK: Final = "the engine is told, to handle what fails: /metrics and the log say it"

#: By setting: why, or what says the same.
OWNED: Final = {
    "acks": _IDEMPOTENT,
    "auto.commit.interval.ms": _COMMITS,
    "auto.offset.reset": "give a stream or table offset_reset=",
    "bootstrap.servers": "give App(broker=)",
    "client.id": "other workers find by it who has a key: it carries this one's URL",
    "default.topic.config": "give what is in it by itself",
    "delivery.report.only.error": _CALLBACK,
    "delivery.timeout.ms": "give App(delivery_timeout=)",
    "dr_cb": _CALLBACK,
    "dr_msg_cb": _CALLBACK,
    "enable.auto.commit": _COMMITS,
    "enable.auto.offset.store": _COMMITS,
    "enable.idempotence": _IDEMPOTENT,
    "enable.partition.eof": "a task that joins topics has to know where each ends",
    "error_cb": _CALLBACK,
    "group.id": "it is the application's id: give App(...) another one",
    "group.instance.id": "give App(group_instance_id=), or worker --group-instance-id",
    "group.remote.assignor": _RANGE,
    "isolation.level": "records of transactions that were aborted are never read",
    "message.timeout.ms": "give App(delivery_timeout=)",
    "metadata.broker.list": "give App(broker=)",
    "on_commit": _CALLBACK,
    "on_delivery": _CALLBACK,
    "partition.assignment.strategy": _RANGE,
    "partitioner": "keys go where Java's clients put them; give to(partitioner=) for one topic",
    "request.required.acks": _IDEMPOTENT,
    "session.timeout.ms": "give App(session_timeout=)",
    "transaction.timeout.ms": "give App(transaction_timeout=)",
    "transactional.id": "it is made of the application's id and the identity of the data folder",
}


def check_owned(given: Iterable[str]) -> None:
    """Check that `App(broker_settings=)` leaves to the engine what is the engine's.

    Args:
        given: the names of the settings.

    Raises:
        ConfigError: one is the engine's; says what to use instead, or why.
    """
    for name in given:
        if name in OWNED:
            raise ConfigError(f"broker_settings: {name} is the engine's, leave it out: {OWNED[name]}")
