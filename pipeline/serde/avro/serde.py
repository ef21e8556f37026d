"""Avro on Confluent's wire format: a zero byte, the id of the writer's schema, the body.

```
order.avsc ---> AvroSerde            reads whatever id comes, as its own schema says (schema resolution)
                   |
              for_topic("orders") -> writes with the id that its schema has as subject orders-value
```
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from fastavro import schemaless_writer

from pipeline.serde.avro.integers import integer_check
from pipeline.serde.avro.reader import HEAD, Readers
from pipeline.serde.avro.schema import AvroSchema
from pipeline.serde.avro.values import check_writable, from_builtins, to_builtins
from pipeline.serde.registry import Registry, SubjectNameStrategy, subject_name


class AvroSerde:
    """Reads a schema's values, whatever schema they were written with; writes once it has a topic.

    Args:
        schema: what values are read as and written with.
        type_: of the values; None: what fastavro makes of them.
        registry: knows schemas by their ids.
        strategy: what subjects are named after.
        register: whether the schema is registered if it is not.
    """

    def __init__(
        self,
        schema: AvroSchema,
        type_: Any,
        registry: Registry,
        strategy: SubjectNameStrategy,
        *,
        register: bool,
    ) -> None:
        self.schema, self.registry = schema, registry
        self.name = f"avro:{schema.name}@{schema.fingerprint}"
        self.type, self._strategy, self._register = type_, strategy, register
        self.readers = Readers(registry, schema)
        self.deserialize: Callable[[bytes], Any] = self._reader(type_)

    def _reader(self, type_: Any) -> Callable[[bytes], Any]:
        known, find, size = self.readers.known, self.readers.find, HEAD.size

        # A closure, for it runs for each record.
        def deserialize(data: bytes) -> Any:
            head = data[:size]
            return (known.get(head) or find(head))(data)

        if type_ is None:
            return deserialize
        convert = from_builtins(type_)
        return lambda data: convert(deserialize(data))

    def serialize(self, _value: Any, /) -> bytes:
        """Refuse: a schema's subject is named after the topic, and there is none yet.

        Raises:
            TypeError: always; `for_topic` returns what writes.
        """
        raise TypeError(
            f"{self.name} is written to a topic, and none is known here: call "
            "for_topic(serde, topic, is_key=...)"
        )

    def for_topic(self, topic: str, *, is_key: bool) -> TopicAvroSerde:
        """Return what writes this topic's keys, or values.

        Raises:
            TopologyError: values of its type do not have all that the schema needs.
        """
        if self.type is not None:
            check_writable(self.type, self.schema)
        return TopicAvroSerde(self, subject_name(self._strategy, topic, self.schema.name, is_key=is_key))

    def prepare(self) -> None:
        """Ask the registry what it owes: reading needs nothing before the first record."""
        self.readers.settle()

    def id_of(self, subject: str) -> int:
        """Return the id that the schema is written with as this subject.

        Raises:
            BrokerError: the registry does not tell.
        """
        return self.registry.id_of(subject, self.schema.text, register=self._register)


class TopicAvroSerde:
    """An `AvroSerde` with a subject. The registry is asked once, at the latest by the first record.

    Args:
        serde: what it is made of.
        subject: what its schema is registered as.
    """

    def __init__(self, serde: AvroSerde, subject: str) -> None:
        self.name, self.subject = serde.name, subject
        self.deserialize = serde.deserialize
        self._serde = serde
        self._head = b""
        self.serialize: Callable[[Any], bytes] = self._writer()

    def _writer(self) -> Callable[[Any], bytes]:
        schema = self._serde.schema
        parsed, check = schema.parsed, integer_check(schema.parsed, schema.named)

        def serialize(value: Any) -> bytes:
            head = self._head or self._ask()
            if check is not None:
                check(value)
            data = BytesIO()
            data.write(head)
            schemaless_writer(data, parsed, value)
            return data.getvalue()

        if self._serde.type is None:
            return serialize
        return lambda value: serialize(to_builtins(value))

    def for_topic(self, topic: str, *, is_key: bool) -> TopicAvroSerde:
        """Return what writes another topic's keys, or values."""
        return self._serde.for_topic(topic, is_key=is_key)

    def prepare(self) -> None:
        """Ask the registry what it owes, and for the id to write with."""
        self._serde.prepare()
        if not self._head:
            self._ask()

    def _ask(self) -> bytes:
        self._head = HEAD.pack(0, self._serde.id_of(self.subject))
        return self._head
