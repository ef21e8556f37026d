"""JSON by msgspec: open (dictionaries with whatever fields they have) or typed.

A record is decoded by itself, never joined with others into one document: bytes of one message
must not be able to change the meaning of the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


def representation(value: Any) -> Any:
    """Return what stands in JSON for a value that has no form there: a `faust.Record` says it itself.

    Raises:
        TypeError: nothing does.
    """
    show: Callable[[], Any] | None = getattr(value, "to_representation", None)
    if show is None:
        raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")
    return show()


class JsonSerde:
    """Any JSON value as the matching Python value; unknown fields survive because all are kept."""

    name = "json"

    def __init__(self) -> None:
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
        # Bound methods of the compiled codec: no Python frame of ours per record.
        self.serialize: Callable[[Any], bytes] = msgspec.json.Encoder().encode
        self.deserialize: Callable[[bytes], Any] = decoder.decode


class TypedJsonSerde:
    """JSON validated against a type while it is decoded; an error names the bad field.

    Args:
        type_: a msgspec Struct, dataclass, TypedDict, NamedTuple, `tuple[str, int]`, ...

    Raises:
        TypeError: msgspec cannot decode into this type.
    """

    def __init__(self, type_: Any) -> None:
        self.name = f"json:{getattr(type_, '__name__', None) or type_}"
        if getattr(type_, "__args__", None):
            self.name = f"json:{type_}"
        try:
            # A class that msgspec knows nothing of makes a decoder, too: one that refuses every record.
            msgspec.json.schema(type_)
        except TypeError as error:
            raise TypeError("msgspec does not know how to decode into it, or into a part of it") from error
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(type_)
        encoder = msgspec.json.Encoder()
        self.serialize: Callable[[Any], bytes] = encoder.encode
        self.deserialize: Callable[[bytes], Any] = decoder.decode


JSON = JsonSerde()
