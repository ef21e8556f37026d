"""The client's settings, each with the reason it differs from librdkafka's default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

#: `oauth_cb`: from `sasl.oauthbearer.config` to a token and its end, in seconds since 1970.
TokenSource: TypeAlias = Callable[[str], tuple[str, float]]
Setting: TypeAlias = str | int | float | bool | TokenSource
Settings: TypeAlias = dict[str, Setting]

#: The largest record that is produced or fetched, in bytes: a dead letter carries the record it
#: concerns and says why in headers, so it is larger than what was accepted.
MAX_RECORD_BYTES: Final = 16 * 1024 * 1024

#: Settings that only one kind of client knows; the other kind would warn about them.
_CONSUMER_ONLY: Final = frozenset(
    {
        "auto.offset.reset",
        "check.crcs",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "group.remote.assignor",
        "heartbeat.interval.ms",
        "isolation.level",
        "max.poll.interval.ms",
        "partition.assignment.strategy",
        "session.timeout.ms",
    }
)
_CONSUMER_PREFIXES: Final = ("fetch.", "queued.")
_PRODUCER_ONLY: Final = frozenset(
    {
        "acks",
        "batch.num.messages",
        "batch.size",
        "delivery.timeout.ms",
        "enable.idempotence",
        "linger.ms",
        "message.timeout.ms",
        "partitioner",
        "request.timeout.ms",
        "retries",
    }
)
_PRODUCER_PREFIXES: Final = ("compression.", "queue.buffering.", "sticky.", "transaction")

#: Of members under the classic protocol. Shorter than the default of 45 s because a broker may make
#: a join wait for half of it, and because a crashed worker's partitions wait for all of it.
_CLASSIC: Final[Settings] = {
    "group.protocol": "classic",
    "partition.assignment.strategy": "range",
    "session.timeout.ms": 6_000,
    "heartbeat.interval.ms": 1_000,
}

#: Of static members under the classic protocol: Kafka's default, time enough for a restart.
_CLASSIC_STATIC: Final[Settings] = {"session.timeout.ms": 45_000, "heartbeat.interval.ms": 3_000}

#: The broker decides these under KIP-848: the client refuses them.
_CLASSIC_ONLY: Final = frozenset(
    {"heartbeat.interval.ms", "partition.assignment.strategy", "session.timeout.ms"}
)

#: Range: co-partitioned topics land on one member.
_CONSUMER: Final[Settings] = {"group.protocol": "consumer", "group.remote.assignor": "range"}

_FETCH: Final[Settings] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # By default the client sleeps a second whenever its queue is full: 7 times slower.
    "fetch.queue.backoff.ms": 5,
    # A partition that was resumed waits until the fetch under way for others returns: half a
    # second by default when those are idle. A waiting fetch returns at once when there is data.
    "fetch.wait.max.ms": 50,
    # Bounds what is fetched ahead of the worker, over all partitions.
    "queued.max.messages.kbytes": 64 * 1024,
    # Likewise, of each partition: a small record takes several times its bytes. The default of 100,000 makes
    # it 100 MiB more; what is here lasts for a tenth of a second and more.
    "queued.min.messages": 20_000,
}


def consumer_settings(
    address: str, group: str, client_id: str, protocol: str, overrides: Mapping[str, Setting]
) -> Settings:
    """Return the settings of a group member.

    Args:
        address: bootstrap servers.
        group: consumer group.
        client_id: what the broker calls this member.
        protocol: `consumer` (KIP-848) or `classic`.
        overrides: what the user asked for.
    """
    wanted = _without_producers(overrides)
    membership = _CLASSIC | (_CLASSIC_STATIC if "group.instance.id" in wanted else {})
    if protocol != "classic":
        membership = _CONSUMER
        wanted = {name: value for name, value in wanted.items() if name not in _CLASSIC_ONLY}
    own: Settings = {
        "group.id": group,
        "client.id": client_id,
        # The offset to begin at is always given. Where retention has removed it, the source says what to
        # do; by itself the client would jump to one end or the other without a word.
        "auto.offset.reset": "error",
        # The end of a partition is news: a task that joins it with another stops waiting for it.
        "enable.partition.eof": True,
        **_FETCH,
        **membership,
    }
    return {**_connection(address), **own, **wanted}


def reader_settings(address: str, overrides: Mapping[str, Setting]) -> Settings:
    """Return the settings of a reader, which is told where a partition ends.

    It fetches as consumers do: what is fetched further ahead is out of the processor's cache when it is read.
    """
    own: Settings = {
        # The client insists on a group, even where none is joined and nothing is committed.
        "group.id": "headrace-reader",
        **_FETCH,
        # A range begins at the first offset that is still held.
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
    }
    membership = _CLASSIC.keys() | _CONSUMER.keys() | {"group.instance.id"}
    wanted = {k: v for k, v in _without_producers(overrides).items() if k not in membership}
    return {**_connection(address), **own, **wanted}


def producer_settings(address: str, client_id: str, overrides: Mapping[str, Setting]) -> Settings:
    """Return the settings of a producer."""
    own: Settings = {
        "client.id": client_id,
        "acks": "all",
        "enable.idempotence": True,
        # As Java does: the default, CRC32, would make joins with Java's topics miss.
        "partitioner": "murmur2_random",
        # 0 costs a third of the rate and most of the latency; more than 5 gains nothing.
        "linger.ms": 5,
        # The default of 1 MB overruns topics with a smaller max.message.bytes: the client does
        # not split a refused batch. Under 64 KiB throughput falls.
        "batch.size": 64 * 1024,
        "queue.buffering.max.messages": 100_000,
        "queue.buffering.max.kbytes": 128 * 1024,
        "delivery.report.only.error": True,
        # How long a topic may be unknown before its records fail.
        "topic.metadata.propagation.max.ms": 10_000,
    }
    return {**_connection(address), **own, **_without_consumers(overrides)}


def transactional_settings(
    address: str, client_id: str, transactional_id: str, timeout_ms: int, overrides: Mapping[str, Setting]
) -> Settings:
    """Return the settings of a transactional producer.

    Args:
        address: bootstrap servers.
        client_id: what the broker calls this producer.
        transactional_id: who it is, across restarts.
        timeout_ms: how long a transaction may be open; a record that is not acknowledged within it
            would be lost with its transaction, so none may take longer.
        overrides: what the user asked for.
    """
    settings = producer_settings(address, client_id, overrides)
    delivery = min(number(settings, "delivery.timeout.ms", timeout_ms), timeout_ms)
    return settings | {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": timeout_ms,
        "delivery.timeout.ms": delivery,
    }


def admin_settings(address: str, overrides: Mapping[str, Setting]) -> Settings:
    """Return the settings of an admin client."""
    return {**_connection(address), **_without_consumers(_without_producers(overrides))}


def number(settings: Mapping[str, Setting], name: str, default: int) -> int:
    """Return a whole number that may be written as text, as librdkafka takes it."""
    return int(str(settings.get(name, default)))


def _connection(address: str) -> Settings:
    return {
        "bootstrap.servers": address,
        "message.max.bytes": MAX_RECORD_BYTES,
        # Reconnect within a second of a broker's return; the default backs off to ten.
        "reconnect.backoff.max.ms": 1_000,
        # Brokers close idle connections as a matter of course.
        "log.connection.close": False,
    }


def _without_producers(settings: Mapping[str, Setting]) -> Settings:
    return {
        name: value
        for name, value in settings.items()
        if name not in _PRODUCER_ONLY and not name.startswith(_PRODUCER_PREFIXES)
    }


def _without_consumers(settings: Mapping[str, Setting]) -> Settings:
    return {
        name: value
        for name, value in settings.items()
        if name not in _CONSUMER_ONLY and not name.startswith(_CONSUMER_PREFIXES)
    }
