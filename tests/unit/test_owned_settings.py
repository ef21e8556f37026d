"""What librdkafka can be told, and what the engine tells it alone."""

from __future__ import annotations

import pytest

from pipeline import App
from pipeline.errors import ConfigError
from pipeline.owned_settings import OWNED
from pipeline.runtime.kafka.settings import consumer_settings, reader_settings, transactional_settings

#: What the engine sets and whoever knows better may set otherwise.
OPEN = {
    "batch.size",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "group.protocol",
    "heartbeat.interval.ms",
    "linger.ms",
    "log.connection.close",
    "max.poll.interval.ms",
    "message.max.bytes",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "reconnect.backoff.max.ms",
    "topic.metadata.propagation.max.ms",
}


@pytest.mark.parametrize("name", sorted(OWNED))
def test_what_is_the_engines_is_refused_where_it_is_written(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^broker_settings: {name} is the engine's, leave it out: .{{15}}"):
        App("shop", broker_settings={"linger.ms": 50, name: "x"})


def test_what_the_engine_sets_is_refused_or_left_to_the_user() -> None:
    given = App("shop", group_instance_id="a", session_timeout=60).client_settings
    own: set[str] = set()
    for protocol in ("classic", "consumer"):
        own |= consumer_settings("a:1", "shop", "id", protocol, given).keys()
    own |= reader_settings("a:1", given).keys()
    own |= transactional_settings("a:1", "id", "transactions", 10_000, given).keys()
    assert own - OWNED.keys() == OPEN
    assert App("shop", broker_settings=dict.fromkeys(OPEN, 1)).client_settings.keys() >= OPEN
