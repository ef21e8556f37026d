"""Topics as an application declares them: what is in them, how they are made, and writing to them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar, Protocol

from pipeline.absent import Absent, instead
from pipeline.actors.models import key_serde_of, value_serde_of
from pipeline.agents.scope import current_event, current_scope, in_agent
from pipeline.dsl.stream import KStream
from pipeline.errors import StreamsError, TopologyError
from pipeline.record import NO_HEADERS, Headers
from pipeline.serde import Serde, for_topic
from pipeline.topology import DeclaredTopic, check_topic_name, declaration_site
from pipeline.windows import as_timedelta

#: What `Producer.produce` takes for "by the key" and "now".
_BY_KEY = _NOW = -1


class TopicOwner(Protocol):
    """What a topic needs of its application."""

    def stream(self, topic: Any, *, key: Any, value: Any) -> KStream[Any, Any]:
        """Read topics as a stream."""
        ...

    def write(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> Awaitable[None]:
        """Write a record from outside of agents; done when it is acknowledged."""
        ...


@dataclass(frozen=True, slots=True)
class TopicOptions:
    """How a topic is made if it does not exist: only if at least the number of partitions is told.

    Attributes:
        partitions: how many.
        retention: how long records are kept.
        compacting: whether the last record of each key is kept.
        deleting: whether records are deleted by age.
        replicas: how many copies; None: the broker's default.
        config: further settings of the topic, under Kafka's names.
    """

    partitions: int | None = None
    retention: timedelta | float | None = None
    compacting: bool | None = None
    deleting: bool | None = None
    replicas: int | None = None
    config: Mapping[str, Any] | None = None

    def spec(self, name: str) -> DeclaredTopic | None:
        """Return what to make; None: nothing."""
        if self.partitions is None:
            return None
        config = {key: str(value) for key, value in (self.config or {}).items()}
        policies = [policy for policy, on in (("compact", self.compacting), ("delete", self.deleting)) if on]
        if policies:
            config["cleanup.policy"] = ",".join(policies)
        if self.retention is not None:
            config["retention.ms"] = str(as_timedelta(self.retention) // timedelta(milliseconds=1))
        if self.replicas is not None:
            config["replication.factor"] = str(self.replicas)
        return DeclaredTopic(name, self.partitions, config)


class Topic(Absent):
    """One or several topics of one shape. Made by `app.topic`.

    Args:
        owner: the application.
        topics: their names; or a pattern.
        key_type: of the keys; None: bytes.
        value_type: of the values; None: any JSON.
        options: how they are made.
    """

    INSTEAD: ClassVar[Mapping[str, str]] = instead(
        get__put__empty__queue__clone_using_queue__deliver__on_stop_iteration="read it with an agent",
        decode__on_decode_error__on_key_decode_error__on_value_decode_error=(
            "what cannot be decoded goes where App(on_decode_error=) says"
        ),
        prepare_key__prepare_value__prepare_headers__as_future_message__publish_message="call send(...)",
        clone__derive__derive_topic__has_prefix="declare a topic: app.topic(...)",
        declare__maybe_declare="it is made before the worker starts, if it was declared with partitions=",
        partitions="say how many when it is declared: app.topic(..., partitions=)",
        subscriber_count="ask `faust describe` who reads it",
        throw="raise in an agent",
    )

    def __init__(
        self,
        owner: TopicOwner,
        topics: Sequence[str] | re.Pattern[str],
        *,
        key_type: Any = None,
        value_type: Any = None,
        options: TopicOptions | None = None,
    ) -> None:
        self.site = declaration_site()
        self.pattern = topics if isinstance(topics, re.Pattern) else None
        self.topics: tuple[str, ...] = () if isinstance(topics, re.Pattern) else tuple(topics)
        for name in self.topics:
            check_topic_name(name, f"topic at {self.site}:")
        self.key_type, self.value_type = key_type, value_type
        self.options = options or TopicOptions()
        self.key: Serde[Any] = key_serde_of(key_type)
        self.value: Serde[Any] = value_serde_of(value_type)
        self._owner = owner
        self._stream: KStream[Any, Any] | None = None

    def get_topic_name(self) -> str:
        """Return its name.

        Raises:
            TopologyError: it is a pattern, or several topics.
        """
        if len(self.topics) != 1:
            raise TopologyError(f"{self} is not one topic: name the one that is meant")
        return self.topics[0]

    def stream(self) -> KStream[Any, Any]:
        """Return the topic as a stream of the DSL; every time the same one."""
        if self._stream is None:
            topics: Any = self.pattern or list(self.topics)
            self._stream = self._owner.stream(topics, key=self.key, value=self.value)
        return self._stream

    def declared(self) -> Iterable[DeclaredTopic]:
        """Return what is to be made before the worker starts, unless it exists."""
        return filter(None, (self.options.spec(name) for name in self.topics))

    def send(
        self,
        *,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Headers | Mapping[str, bytes] | None = None,
    ) -> Awaitable[None]:
        """Write a record: `await topic.send(value=...)`.

        In an agent's code it is a result like any other: written at once (awaiting it takes no time),
        delivered before the offset of the event in hand is committed, and, with exactly-once, in the same
        transaction. Elsewhere awaiting it waits for the broker's acknowledgement.

        Args:
            key: the key.
            value: the value; None is a tombstone.
            partition: its partition; by the key unless told.
            timestamp: its time, in seconds since the epoch, as Faust has it; that of the event in hand, or
                else now, unless told.
            headers: its headers.

        Raises:
            UnknownTopicError: there is no such topic.
            TypeError: key or value is not of the topic's type.
        """
        encoded = self._encoded(key, value, partition, timestamp, headers)
        if not in_agent():
            return self._owner.write(*encoded)
        topic, value_bytes, key_bytes, where, time_ms, given = encoded
        event = current_event()
        if timestamp is None and event is not None:
            time_ms = event.timestamp
        current_scope(str(self)).produce(topic, value_bytes, key_bytes, where, time_ms, given)
        return _DONE

    def post(
        self, *, key: Any, value: Any, partition: int | None, timestamp: float | None, headers: Headers
    ) -> Awaitable[None]:
        """Write a record apart from whatever task is running; see `send`."""
        return self._owner.write(*self._encoded(key, value, partition, timestamp, headers))

    def encoded(self, key: Any, value: Any) -> tuple[bytes | None, bytes | None]:
        """Return key and value as bytes; None stays None.

        Raises:
            TypeError: one is not of the topic's type.
            StreamsError: the schema registry is away, or refuses.
        """
        keys, values = self._writers
        try:
            key_bytes = None if key is None else keys.serialize(key.encode() if _is_plain(self, key) else key)
        except StreamsError:
            raise
        except Exception as error:
            raise self._unfit("key", key, keys, error) from error
        try:
            return key_bytes, None if value is None else values.serialize(value)
        except StreamsError:
            raise
        except Exception as error:
            raise self._unfit("value", value, values, error) from error

    def _unfit(self, part: str, data: Any, serde: Serde[Any], error: Exception) -> TypeError:
        return TypeError(
            f"{self} takes no {part} of type {type(data).__name__}, its {part}s being {serde.name}: {error}; "
            f"give app.topic() another {part}_type="
        )

    @cached_property
    def _writers(self) -> tuple[Serde[Any], Serde[Any]]:
        """How keys and values are written: of the one topic that it is, if it is one."""
        if len(self.topics) != 1:
            return self.key, self.value
        name = self.topics[0]
        return for_topic(self.key, name, is_key=True), for_topic(self.value, name, is_key=False)

    def _encoded(
        self,
        key: Any,
        value: Any,
        partition: int | None,
        timestamp: float | None,
        headers: Headers | Mapping[str, bytes] | None,
    ) -> tuple[str, bytes | None, bytes | None, int, int, Headers]:
        key_bytes, value_bytes = self.encoded(key, value)
        where = _BY_KEY if partition is None else partition
        time_ms = _NOW if timestamp is None else round(timestamp * 1_000)
        return self.get_topic_name(), value_bytes, key_bytes, where, time_ms, pairs_of(headers)

    #: Faust's name for a send that is not awaited.
    send_soon = send

    def __str__(self) -> str:
        names = self.pattern.pattern if self.pattern is not None else ", ".join(self.topics)
        return f"topic {names} ({self.site})"


def pairs_of(headers: Headers | Mapping[str, bytes] | None) -> Headers:
    """Return headers as the engine has them."""
    return tuple(headers.items()) if isinstance(headers, Mapping) else headers or NO_HEADERS


def _is_plain(topic: Topic, key: Any) -> bool:
    """Faust takes text for a key without a type."""
    return topic.key_type is None and isinstance(key, str)


class _Done:
    """Awaiting it takes no time."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


_DONE = _Done()
