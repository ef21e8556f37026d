"""How keys and values become bytes.

`serde_for` turns what a user writes (`value=Log`, `key=str`) into a `Serde`.
"""

from __future__ import annotations

from typing import Any

from pipeline.errors import TopologyError
from pipeline.serde.base import Serde, SerdeLike, TopicSerde, for_topic
from pipeline.serde.change import ChangeSerde
from pipeline.serde.collections import EitherSerde, ListSerde
from pipeline.serde.headered import Headered, HeaderedSerde
from pipeline.serde.json import JSON, JsonSerde, TypedJsonSerde
from pipeline.serde.primitives import BYTES, INT64, STRING, BytesSerde, Int64Serde, StringSerde
from pipeline.serde.windowed import SessionWindowedSerde, TimeWindowedSerde, WindowedSerde

__all__ = [
    "BYTES",
    "INT64",
    "JSON",
    "STRING",
    "BytesSerde",
    "ChangeSerde",
    "EitherSerde",
    "Headered",
    "HeaderedSerde",
    "Int64Serde",
    "JsonSerde",
    "ListSerde",
    "Serde",
    "SerdeLike",
    "SessionWindowedSerde",
    "StringSerde",
    "TimeWindowedSerde",
    "TopicSerde",
    "TypedJsonSerde",
    "WindowedSerde",
    "for_topic",
    "serde_for",
]

_BUILT_IN: dict[Any, Serde[Any]] = {bytes: BYTES, str: STRING, int: INT64, dict: JSON, Any: JSON}


def serde_for(spec: SerdeLike) -> Serde[Any]:
    r"""Return the serde that `spec` stands for.

    Args:
        spec: `bytes`, `str` (UTF-8), `int` (64 bits, big-endian), `dict` or `Any` (open JSON), any
            type that msgspec can decode (typed JSON), or a `Serde`, which is returned as it is.

    Raises:
        TopologyError: nothing can be made of it.

    >>> serde_for(str).serialize("é")
    b'\xc3\xa9'
    >>> serde_for(tuple[str, int]).deserialize(b'["a",1]')
    ('a', 1)
    """
    if not isinstance(spec, type) and isinstance(spec, Serde):
        return spec
    try:
        if spec in _BUILT_IN:
            return _BUILT_IN[spec]
        return TypedJsonSerde(spec)
    except TypeError as error:
        raise TopologyError(
            f"no serde for {spec!r}: give bytes, str, int, dict, a type that msgspec decodes "
            f"(Struct, dataclass, TypedDict, tuple[...]), or a Serde ({error})"
        ) from error
