"""How the values of Faust's declarations become bytes.

As Faust has it: keys are bytes, text or a number's digits, values are JSON; a type says what they
are decoded into. So topics that a Faust application wrote can be read, and the other way round.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from faust.models import maybe_model

from pipeline.errors import TopologyError
from pipeline.serde import BYTES, JSON, STRING, Serde, TypedJsonSerde, serde_for
from pipeline.serde.json import representation

_RAW: dict[Any, Serde[Any]] = {bytes: BYTES, str: STRING, None: BYTES}


def is_record(type_: Any) -> bool:
    """Whether a type is a model such as `faust.Record`."""
    return hasattr(type_, "from_data") and hasattr(type_, "to_representation")


#: Records are within records and lists, too.
_encode: Final = msgspec.json.Encoder(enc_hook=representation).encode


#: Names of fields that an error shows.
_SHOWN: Final = 20


class RecordSerde:
    """JSON of a `faust.Record`: what its `to_representation` returns, read by its `from_data`.

    Args:
        model: the class.
    """

    def __init__(self, model: Any) -> None:
        self.name = f"record:{model.__name__}"
        self._model, self._from_data = model, model.from_data

    def serialize(self, value: Any) -> bytes:
        """Return the record as JSON."""
        return _encode(value.to_representation())

    def deserialize(self, data: bytes) -> Any:
        """Return the record that the JSON stands for.

        Raises:
            TypeError: it is no object, or lacks a field.
        """
        found = JSON.deserialize(data)
        try:
            return self._from_data(found)
        except (TypeError, AttributeError) as error:
            raise self._unfit(found, error) from error

    def _unfit(self, found: Any, error: Exception) -> TypeError:
        """Say what Faust's generated code does not: it names no model."""
        name, options = self._model.__name__, getattr(self._model, "_options", None)
        if not isinstance(found, dict):
            return TypeError(f"{name} is made of a JSON object, and this is of type {type(found).__name__}")
        if options is None or not (missing := options.fieldset - options.optionalset - found.keys()):
            return TypeError(f"{name}: {error}")
        there = ", ".join(list(found)[:_SHOWN]) or "none"
        return TypeError(f"{name} needs {', '.join(sorted(missing))}; the fields are: {there}")


class OpenSerde:
    """Any JSON; a `faust.Record` is written as its topic's type would write it, with its name in it.

    Args:
        revives: whether such JSON is read as the record that it was; else as a dictionary, which costs no
            look at each value.
    """

    name = JSON.name

    def __init__(self, *, revives: bool) -> None:
        self.serialize = _encode
        self.deserialize = _revived if revives else JSON.deserialize


def _revived(data: bytes) -> Any:
    value = JSON.deserialize(data)
    return maybe_model(value) if type(value) is dict and "__faust" in value else value


#: Of the values of topics without a type.
OPEN: Final = OpenSerde(revives=False)
#: Of the values of tables without one, and of what agents yield.
REVIVED: Final = OpenSerde(revives=True)


class AnyKeySerde:
    r"""Keys of any JSON type that keep their type; text is itself, as in a topic with text keys.

    >>> AnyKeySerde().serialize("a"), AnyKeySerde().serialize(1)
    (b'a', b'\x001')
    """

    name = "any"

    def serialize(self, key: Any) -> bytes:
        """Return text as UTF-8, bytes and other keys marked as such."""
        if type(key) is str:
            # All but those that begin with one of the two marks.
            return key.encode() if key >= "\x02" or not key else b"\x00" + msgspec.json.encode(key)
        if type(key) is bytes:
            return b"\x01" + key
        return b"\x00" + msgspec.json.encode(key)

    def deserialize(self, data: bytes) -> Any:
        """Return the key."""
        if data[:1] == b"\x00":
            key = msgspec.json.decode(data[1:])
            return tuple(key) if isinstance(key, list) else key
        return data[1:] if data[:1] == b"\x01" else data.decode()


ANY_KEY = AnyKeySerde()


#: Faust's names of codecs, for keys and values without a type.
_SERIALIZERS: dict[Any, Any] = {None: None, "raw": bytes, "text": str, "json": Any}


def type_of(type_: Any, serializer: Any) -> Any:
    """Return a type, or, if there is none, that which Faust's name of a codec stands for.

    Raises:
        TopologyError: there is no such codec.
    """
    if not isinstance(serializer, str | None) or serializer not in _SERIALIZERS:
        raise TopologyError(
            f"serializer {serializer!r}: give raw, text or json, or a type (a class, or a Serde of yours)"
        )
    return _SERIALIZERS[serializer] if type_ is None else type_


def key_serde_of(type_: Any) -> Serde[Any]:
    """Return the serde of a topic's keys: bytes unless a type is given.

    Raises:
        TopologyError: nothing can be made of it.
    """
    if type_ in _RAW:
        raw: Serde[Any] = _RAW[type_]
        return raw
    return _typed(type_)


def value_serde_of(type_: Any, untyped: Serde[Any] = OPEN) -> Serde[Any]:
    """Return the serde of values: open JSON unless a type is given.

    Args:
        type_: the type.
        untyped: of values without one.

    Raises:
        TopologyError: nothing can be made of it.
    """
    if type_ is None or type_ is Any:
        return untyped
    return BYTES if type_ is bytes else STRING if type_ is str else _typed(type_)


def table_key_serde_of(type_: Any) -> Serde[Any]:
    """Return the serde of a table's keys: of any type unless one is given."""
    return ANY_KEY if type_ is None else key_serde_of(type_)


def _typed(type_: Any) -> Serde[Any]:
    if not isinstance(type_, type) and isinstance(type_, Serde):
        return type_
    if is_record(type_):
        return RecordSerde(type_)
    try:
        return TypedJsonSerde(type_)
    except TypeError:
        return serde_for(type_)
