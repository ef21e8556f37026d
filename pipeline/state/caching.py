"""What every typed store shares: values with timestamps, and what was forwarded last."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from pipeline.errors import BrokerError, StateError
from pipeline.record import NO_HEADERS
from pipeline.serde import Serde
from pipeline.state.cache_size import CacheSize
from pipeline.state.store import BytesStore, Entry
from pipeline.state.write_behind import WriteBehind

K = TypeVar("K")
V = TypeVar("V")

_TIMESTAMP = struct.Struct(">q")
TIMESTAMP_SIZE = _TIMESTAMP.size
pack_time = _TIMESTAMP.pack
#: Characters of a key in a message.
_LONGEST_KEY = 200
#: Values that nobody can change.
_IMMUTABLE = (str, int, float, bytes)


class ValueAndTimestamp(NamedTuple, Generic[V]):
    """A value and its event time in ms."""

    value: V
    timestamp: int


class TypedStore(Generic[K, V]):
    """Serdes on a `BytesStore`.

    Everything uncommitted is kept by the store that extends this one, so the `BytesStore` is never
    ahead of what is committed.

    Args:
        name: the store's name.
        engine: where committed entries are.
        key_serde: encodes keys.
        value_serde: encodes values.

    Attributes:
        on_flush: called with an update's key, whatever else says where it is, its entry and its old
            value; None: nobody asks.
        send_old_values: whether `on_flush` is told the old value.
        reads: how often its `BytesStore` was asked for what the cache did not know.
        counts_reads: whether it says so: stores whose entries are asked for by ranges do not.
    """

    on_flush: Callable[..., None] | None
    counts_reads: ClassVar[bool] = False

    def __init__(self, name: str, engine: BytesStore, key_serde: Serde[K], value_serde: Serde[V]) -> None:
        self.name, self.key_serde, self.value_serde = name, key_serde, value_serde
        #: The operator that it belongs to, for messages.
        self.owner = ""
        self.on_flush = None
        self.send_old_values = False
        self.reads = 0
        self._engine = engine
        self._size = CacheSize(self._length)

    def _encoded(self, key: bytes, entry: Entry) -> bytes | None:
        if entry.value is None:
            return None
        try:
            return pack_time(entry.timestamp) + self.value_serde.serialize(entry.value)
        except Exception as error:
            raise self._unencodable(error, [(key, entry)]) from error

    def _length(self, cached: Any) -> int:
        """Return how long something in the cache is when it is stored; some of it is kept as it is stored."""
        return len(cached if isinstance(cached, bytes) else self._encoded(b"", cached) or b"")

    def _unencodable(self, error: Exception, entries: Iterable[tuple[bytes, Entry]] = ()) -> StateError:
        """Return the error that says that the store was given a value of another type than was declared.

        Args:
            error: what the serde says.
            entries: one of these is to blame.
        """
        whose = f"{self.owner}: " if self.owner else ""
        return StateError(
            f"{whose}store {self.name!r} holds a value{self._blamed(entries)} that cannot be encoded as "
            f"{self.value_serde.name}: {error}; what its aggregator, reducer, processor or agent "
            "puts there is not what value= (of app.Table: value_type=) says"
        )

    def undecodable(self, error: Exception) -> StateError:
        """Return the error that says that what is stored is not of the type that was declared."""
        whose = f"{self.owner}: " if self.owner else ""
        return StateError(
            f"{whose}store {self.name!r} holds a value that cannot be decoded as {self.value_serde.name}: "
            f"{error}; it was put when value= said something else, or is a number that JSON cannot say (NaN, "
            "infinity). Have value= take both, or build the state anew: faust reset"
        )

    def _blamed(self, entries: Iterable[tuple[bytes, Entry]]) -> str:
        """Return the type of the first value that cannot be encoded, and its key."""
        for key, entry in entries:
            try:
                if entry.value is not None:
                    self.value_serde.serialize(entry.value)
            except Exception:  # noqa: BLE001 - it was raised before, and is being told
                return f" of type {type(entry.value).__name__} under key {self._readable(key)}"
        return ""

    def _readable(self, key: bytes) -> str:
        """Return a key as its user knows it, or its bytes, if they hold more than that."""
        try:
            return f"{self.key_serde.deserialize(key)!r}"[:_LONGEST_KEY]
        except Exception:  # noqa: BLE001 - whatever a serde raises: it is not the error that is being told
            return f"{key!r}"[:_LONGEST_KEY]

    def copied(self, value: V) -> V:
        """Return a value of the store's that can be changed while `value` stays as it is."""
        if isinstance(value, _IMMUTABLE):
            return value
        try:
            return self.value_serde.deserialize(self.value_serde.serialize(value))
        except Exception as error:
            raise self._unencodable(error) from error

    def forget(self) -> None:
        """Let go of what is committed: it is read again when it is asked for."""
        raise NotImplementedError

    def shrink(self) -> None:
        """Let go of some of what is committed, and rather of what will not be asked for: here, of all."""
        self.forget()

    def properties(self) -> Mapping[str, int]:
        """Return what the `BytesStore` tells of itself. May be called from any thread."""
        return self._engine.properties()

    @property
    def behind(self) -> WriteBehind | None:
        """What of it is committed and not written yet; None: all is written when it is committed."""
        return self._engine if isinstance(self._engine, WriteBehind) else None

    def expect(self, records: int) -> None:
        """Make ready for about so many changelog records to be applied; for 0, go on as usual."""
        self._engine.expect(records)

    def position(self) -> int:
        """Return the changelog position of what is committed."""
        return self._engine.position()

    def close(self) -> None:
        """Release the store; what was not committed is forgotten."""
        self._engine.close()


class CachingStore(TypedStore[K, V]):
    """A store whose puts replace one another until they are flushed, and how they are forwarded.

    Args:
        name: see `TypedStore`.
        engine: same.
        key_serde: same.
        value_serde: same.
        caching: forward at `flush`, the last update of each key; False: forward each put at once. What is
            logged and committed is the same.
    """

    def __init__(
        self, name: str, engine: BytesStore, key_serde: Serde[K], value_serde: Serde[V], *, caching: bool
    ) -> None:
        super().__init__(name, engine, key_serde, value_serde)
        self._caching = caching
        #: What was flushed, as it will be stored.
        self._changes: dict[bytes, bytes | None] = {}
        #: Without caching: what was forwarded since the last flush, as it would be stored.
        self._forwarded: dict[bytes, bytes | None] = {}

    def _told(self, stored_key: bytes) -> Entry | None:
        """Return what was forwarded last, from its bytes: an aggregate may have been changed in place."""
        if stored_key in self._forwarded:
            stored = self._forwarded[stored_key]
        elif stored_key in self._changes:
            stored = self._changes[stored_key]
        else:
            stored = self._engine.get(stored_key)
        return None if stored is None else decode_entry(stored, self)

    def _old_value(self, stored_key: bytes) -> V | None:
        told = self._told(stored_key)
        return None if told is None else told.value

    def _replace(self, stored_key: bytes, entry: Entry) -> V | None:
        """Take note of an update that is forwarded at once; return its old value if it was asked for."""
        if not self.send_old_values:
            return None
        old = self._old_value(stored_key)
        self._forwarded[stored_key] = self._encoded(stored_key, entry)
        return old


def stored_value(stored: bytes, store: TypedStore[Any, V]) -> V:
    """Return the value that is stored: timestamp (8 bytes, big-endian), then the value's bytes.

    Raises:
        StateError: the store's serde cannot decode it.
    """
    try:
        return store.value_serde.deserialize(stored[TIMESTAMP_SIZE:])
    except BrokerError:
        # A schema registry that does not answer says nothing about the value.
        raise
    except Exception as error:
        raise store.undecodable(error) from error


def decode_entry(stored: bytes, store: TypedStore[Any, Any]) -> Entry:
    """Return the entry of a stored value; raises likewise."""
    return Entry(stored_value(stored, store), _TIMESTAMP.unpack_from(stored)[0], NO_HEADERS)


def decode_value(stored: bytes, store: TypedStore[Any, V]) -> ValueAndTimestamp[V]:
    """Return value and timestamp of a stored value; raises likewise."""
    entry = decode_entry(stored, store)
    return ValueAndTimestamp(entry.value, entry.timestamp)
