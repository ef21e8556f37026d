"""What a serde is, and which one a type stands for."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

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


#: What the DSL takes for `key=` and `value=`: a type (`str`, `int`, `bytes`, `dict`, a msgspec
#: Struct, a dataclass, `tuple[str, str]`, ...) or a `Serde`.
SerdeLike: TypeAlias = Any
