"""A producer with an open transaction is closed, whoever answers."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Final

import pytest

from pipeline.record import NO_HEADERS
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.testing.brokers import ApacheKafka

_PATIENCE_S: Final = 120.0
_TRANSACTION_MS: Final = 60_000


@pytest.mark.kafka
def test_closing_a_producer_waits_for_no_broker_that_is_gone() -> None:
    with ApacheKafka() as server:
        broker = KafkaBroker(server.address)
        with closing(broker.admin()) as admin:
            admin.create_topics([TopicSpec("orders", 1, {})])
        producer = broker.transactional_producer("writer", "closing", _TRANSACTION_MS)
        producer.produce("orders", b"order", None, 0, 1, NO_HEADERS)
        producer.flush(_PATIENCE_S)

        server.kill(0)
        # A daemon: one that never returns is a failure, not a test run that never ends.
        closer = threading.Thread(target=producer.close, daemon=True)
        closer.start()
        closer.join(_PATIENCE_S)

        assert not closer.is_alive()
