"""What a serde is, and which one a type stands for."""

from __future__ import annotations

from typing import Any, Protocol, Self, TypeAlias, TypeVar, runtime_checkable

T = TypeVar("T")


@runtime_checkable
class Serde(Protocol[T]):
    """Turns values into bytes and back.

    Both directions are pure and may be called from any thread. Neither ever sees None: a null key
    or value is no bytes at all. Either may raise any exception for what it cannot convert; the
    task says which record, operator and serde it was.
    """

    @property
    def name(self) -> str:
        """What `describe` and error messages call it."""
        ...

    def serialize(self, value: T, /) -> bytes:
        """Return the bytes that stand for `value`."""
        ...

    def deserialize(self, data: bytes, /) -> T:
        """Return the value that `data` stands for."""
        ...


@runtime_checkable
class TopicSerde(Serde[Any], Protocol):
    """A serde whose bytes depend on the topic that they are written to, as those of a schema registry.

    Reading needs no topic: what is read says itself what it is.
    """

    def for_topic(self, topic: str, *, is_key: bool) -> Serde[Any]:
        """Return the serde that writes keys, or values, of this topic.

        Raises:
            TopologyError: what it writes cannot be written.
        """
        ...

    def prepare(self) -> None:
        """Ask for all that writing needs, so that no record has to wait for it. May block.

        Raises:
            BrokerError: it is not to be had, or not now.
        """
        ...


def for_topic(serde: Serde[Any], topic: str, *, is_key: bool) -> Serde[Any]:
    """Return what writes keys, or values, of a topic: mostly `serde` itself."""
    return serde.for_topic(topic, is_key=is_key) if isinstance(serde, TopicSerde) else serde


class Wrapper:
    """A serde made of other serdes; `__init__` of those that extend it takes them first.

    Args:
        inner: what it is made of.
        suffixes: by inner serde, what is appended to the topic's name to tell them apart: one subject of a
            schema registry holds versions of one schema.
    """

    def __init__(self, *inner: Serde[Any], suffixes: tuple[str, ...] = ("",)) -> None:
        self._inner_serdes, self._suffixes = inner, suffixes

    def for_topic(self, topic: str, *, is_key: bool) -> Self:
        """Return one of the same kind whose inner serdes write to this topic."""
        bound = tuple(
            for_topic(serde, f"{topic}{suffix}", is_key=is_key)
            for serde, suffix in zip(self._inner_serdes, self._suffixes, strict=True)
        )
        return self if bound == self._inner_serdes else self._of(*bound)

    def _of(self, *inner: Any) -> Self:
        return type(self)(*inner)

    def prepare(self) -> None:
        """Prepare the inner serdes."""
        for serde in self._inner_serdes:
            if isinstance(serde, TopicSerde):
                serde.prepare()


#: What the DSL takes for `key=` and `value=`: a type (`str`, `int`, `bytes`, `dict`, a msgspec
#: Struct, a dataclass, `tuple[str, str]`, ...) or a `Serde`.
SerdeLike: TypeAlias = Any
