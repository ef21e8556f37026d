"""Where schemas are known by number: what a registry does, and what a schema's subject is called there."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, get_args

from pipeline.errors import TopologyError

#: What a subject is named after, with the names of Kafka's serializers: by topic, `orders-value` or
#: `orders-key` (`TopicNameStrategy`); by the schema's full name, `shop.Order` (`RecordNameStrategy`); or by
#: both, `orders-shop.Order` (`TopicRecordNameStrategy`).
SubjectNameStrategy: TypeAlias = Literal["topic-name", "record-name", "topic-record-name"]

#: So many schemas that records were written with are kept by a serde, and so many ids that nobody knew.
MAX_SCHEMAS: Final = 1_000
#: An id that the registry did not know is asked for again after so long.
UNKNOWN_MS: Final = 10_000
#: A request takes no longer, unless the registry is told otherwise.
REQUEST_S: Final = 5


class Registered(NamedTuple):
    """A schema as a registry knows it.

    Attributes:
        schema: JSON.
        references: the schemas, JSON, that it refers to by name; those that others refer to come first.
    """

    schema: str
    references: tuple[str, ...] = ()


class Registry(Protocol):
    """Gives schemas numbers, and tells which schema has a number. May be called from any thread.

    Both requests may block, for a bounded time. Who calls keeps the answers.
    """

    @property
    def address(self) -> str:
        """What messages call it."""
        ...

    def id_of(self, subject: str, schema: str, *, register: bool) -> int:
        """Return the number of a schema.

        Args:
            subject: what it is known as; its versions must be compatible, as the registry understands it.
            schema: JSON.
            register: make it known if it is not.

        Raises:
            RegistryUnreachableError: the registry does not answer.
            RegistryRefusedError: it does not know the schema, and is not to take it, or does not take it.
        """
        ...

    def schema(self, schema_id: int) -> Registered | None:
        """Return the schema that has this number; None: there is none.

        Raises:
            RegistryUnreachableError: the registry does not answer.
            RegistryRefusedError: it does not tell.
        """
        ...


STRATEGIES: Final = get_args(SubjectNameStrategy)


def check_strategy(strategy: object) -> None:
    """Raise a TopologyError unless it is one of the strategies."""
    if strategy not in STRATEGIES:
        raise TopologyError(
            f"subject_name_strategy is {strategy!r}: it must be one of {', '.join(STRATEGIES)}"
        )


def subject_name(strategy: SubjectNameStrategy, topic: str, record: str, *, is_key: bool) -> str:
    """Return the subject under which a schema is registered.

    Args:
        strategy: what it is named after.
        topic: the topic.
        record: full name of the schema's record.
        is_key: whether it is the schema of the topic's keys.

    >>> subject_name("topic-name", "orders", "shop.Order", is_key=False)
    'orders-value'
    >>> subject_name("topic-record-name", "orders", "shop.Order", is_key=False)
    'orders-shop.Order'
    """
    if strategy == "record-name":
        return record
    if strategy == "topic-record-name":
        return f"{topic}-{record}"
    return f"{topic}-{'key' if is_key else 'value'}"
