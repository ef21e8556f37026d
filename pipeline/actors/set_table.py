"""Tables of sets: `table[key].add(value)`, as agents use them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableSet
from typing import Any, ClassVar, Final, Self

import msgspec

from pipeline.actors.models import is_record
from pipeline.actors.table import StoreOwner, Table
from pipeline.errors import TopologyError
from pipeline.serde import Serde
from pipeline.topology import declaration_site

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class SetSerde:
    """Sets as JSON lists, in the order of their values' JSON, whatever order they were added in."""

    def __init__(self, value_type: Any) -> None:
        self.name = (
            "json:set" if value_type is None else f"json:set[{getattr(value_type, '__name__', value_type)}]"
        )
        self._decode = msgspec.json.Decoder(list if value_type is None else list[value_type]).decode

    def serialize(self, value: Iterable[Any]) -> bytes:
        """Return the JSON of a set's values."""
        return b"[" + b",".join(sorted({_encode(each) for each in value})) + b"]"

    def deserialize(self, data: bytes) -> list[Any]:
        """Return a set's values, each once."""
        return self._decode(data)


class SetTable(Table[Any, Any]):
    """A table whose values are sets; a key that is not there has an empty one. Made by `app.SetTable`.

    Each change puts the whole set, so a set is to have thousands of values, not millions: for more, use a
    table whose key is the pair. Values are of any JSON type, lists and dicts included; two are the same
    if their JSON is. A set that has become empty is removed.

    Args:
        owner: the application.
        name: names the store, its changelog and its HTTP view.
        key_type: of the keys; None: any JSON type.
        value_type: of the sets' values, a type that msgspec reads; None: any JSON.
        on_recover: as of a `Table`.
        help: what it is for, as `faust tables` shows it.

    Raises:
        TopologyError: its name or a type cannot be used.
    """

    windowless: ClassVar[str | None] = (
        "a table of sets has no windows: use app.Table(default=list) with windows, or a window's start in "
        "the key"
    )

    def __init__(
        self,
        owner: StoreOwner,
        name: str,
        *,
        key_type: Any = None,
        value_type: Any = None,
        on_recover: Callable[[], Any] | None = None,
        help: str = "",  # noqa: A002 - Faust's name for it
    ) -> None:
        if is_record(value_type) or value_type is bytes:
            raise TopologyError(
                f"table {name!r} at {declaration_site()}: a set's values are JSON of a type that msgspec "
                f"reads, as Structs and dataclasses are, and {value_type!r} is none"
            )
        serde: Serde[Any] = SetSerde(value_type)
        super().__init__(owner, name, key_type=key_type, value_type=serde, on_recover=on_recover, help=help)

    def __getitem__(self, key: Any) -> TableSet:
        return TableSet(self, key)

    def __setitem__(self, key: Any, values: Any) -> None:
        # `table[key] |= ...` has put the set by now, and assigns it.
        if not (isinstance(values, TableSet) and values.belongs_to(self, key)):
            TableSet(self, key).replace(values)

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the set of `key`, else `default`."""
        return TableSet(self, key) if key in self else default

    def pop(self, key: Any, *default: Any) -> Any:
        """Remove a key and return the values of its set, as a list."""
        return super().pop(key, *default)

    def setdefault(self, key: Any, default: Any = ()) -> Any:
        """Return the set of `key`; if there is none, put `default`."""
        if key not in self:
            self[key] = default
        return self[key]

    def items(self) -> Any:
        """Return the keys and their sets; see `Table.items`."""
        return [(key, TableSet(self, key)) for key in self]

    def values_of(self, key: Any) -> list[Any]:
        """Return the values of a key's set."""
        return super().get(key) or []

    def put_values(self, key: Any, values: list[Any]) -> None:
        """Replace the values of a key's set."""
        self._put(key, values or None)


class TableSet(MutableSet[Any]):
    """The set of one key, as it is now: each change is put, each question reads.

    Args:
        table: whose.
        key: the key.
    """

    def __init__(self, table: SetTable, key: Any) -> None:
        self._table, self._key = table, key

    def belongs_to(self, table: SetTable, key: Any) -> bool:
        """Whether it is the set of a table's key."""
        return self._table is table and self._key == key

    def _read(self) -> dict[bytes, Any]:
        return {_encode(value): value for value in self._table.values_of(self._key)}

    def __contains__(self, value: object) -> bool:
        return _encode(value) in self._read()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._read().values())

    def __len__(self) -> int:
        return len(self._read())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Iterable):
            return NotImplemented
        return self._read().keys() == {_encode(value) for value in other}

    __hash__ = None  # type: ignore[assignment]

    def add(self, value: Any) -> None:
        """Add a value; one that is there already changes nothing."""
        self.update((value,))

    def discard(self, value: Any) -> None:
        """Remove a value if it is there."""
        self.difference_update((value,))

    def clear(self) -> None:
        """Remove all values."""
        self.replace(())

    def pop(self) -> Any:
        """Remove a value and return it.

        Raises:
            KeyError: there is none.
        """
        values = self._read()
        if not values:
            raise KeyError(self._key)
        value = values.pop(next(iter(values)))
        self._table.put_values(self._key, list(values.values()))
        return value

    def update(self, *others: Iterable[Any]) -> None:
        """Add all values of others: one change."""
        values = self._read()
        before = len(values)
        for other in others:
            values |= {_encode(value): value for value in list(other)}
        if len(values) != before:
            self._table.put_values(self._key, list(values.values()))

    def difference_update(self, *others: Iterable[Any]) -> None:
        """Remove all values of others: one change."""
        gone = {_encode(value) for other in others for value in list(other)}
        self._keep(lambda encoded: encoded not in gone)

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """Keep the values that all others have: one change."""
        kept = [{_encode(value) for value in other} for other in others]
        self._keep(lambda encoded: all(encoded in each for each in kept))

    def symmetric_difference_update(self, other: Iterable[Any]) -> None:
        """Keep the values that one of both has: one change."""
        self.replace(self.symmetric_difference(other))

    def replace(self, values: Iterable[Any]) -> None:
        """Put other values in place of all: one change."""
        self._table.put_values(self._key, list({_encode(value): value for value in list(values)}.values()))

    def _keep(self, stays: Callable[[bytes], bool]) -> None:
        values = self._read()
        kept = [value for encoded, value in values.items() if stays(encoded)]
        if len(kept) != len(values):
            self._table.put_values(self._key, kept)

    def union(self, *others: Iterable[Any]) -> list[Any]:
        """Return its values and those of others, each once, as a list: they need not be hashable."""
        values = self._read()
        for other in others:
            values |= {_encode(value): value for value in other}
        return list(values.values())

    def intersection(self, *others: Iterable[Any]) -> list[Any]:
        """Return the values that all others have, too, as a list."""
        kept = [{_encode(value) for value in other} for other in others]
        return [value for encoded, value in self._read().items() if all(encoded in each for each in kept)]

    def difference(self, *others: Iterable[Any]) -> list[Any]:
        """Return the values that no other has, as a list."""
        gone = {_encode(value) for other in others for value in other}
        return [value for encoded, value in self._read().items() if encoded not in gone]

    def symmetric_difference(self, other: Iterable[Any]) -> list[Any]:
        """Return the values that one of both has, as a list."""
        mine, others = self._read(), {_encode(value): value for value in other}
        return [
            value for encoded, value in (mine | others).items() if (encoded in mine) != (encoded in others)
        ]

    def issubset(self, other: Iterable[Any]) -> bool:
        """Whether another has all its values."""
        return self._read().keys() <= {_encode(value) for value in other}

    def issuperset(self, other: Iterable[Any]) -> bool:
        """Whether it has all values of another."""
        return self._read().keys() >= {_encode(value) for value in other}

    def isdisjoint(self, other: Iterable[Any]) -> bool:
        """Whether it has no value of another."""
        return self._read().keys().isdisjoint({_encode(value) for value in other})

    def __or__(self, other: Iterable[Any]) -> Any:
        return self.union(other)

    def __and__(self, other: Iterable[Any]) -> Any:
        return self.intersection(other)

    def __sub__(self, other: Iterable[Any]) -> Any:
        return self.difference(other)

    def __xor__(self, other: Iterable[Any]) -> Any:
        return self.symmetric_difference(other)

    def __rsub__(self, other: Iterable[Any]) -> Any:
        mine = self._read()
        return [value for value in other if _encode(value) not in mine]

    #: `other | table[key]`: MutableSet's own would make a set of this class.
    __ror__, __rand__, __rxor__ = __or__, __and__, __xor__

    def copy(self) -> list[Any]:
        """Return its values as they are now, as a list."""
        return list(self)

    def __le__(self, other: Iterable[Any]) -> bool:
        return self.issubset(other)

    def __ge__(self, other: Iterable[Any]) -> bool:
        return self.issuperset(other)

    def __lt__(self, other: Iterable[Any]) -> bool:
        return self <= other and self != other

    def __gt__(self, other: Iterable[Any]) -> bool:
        return self >= other and self != other

    def __ior__(self, other: Iterable[Any]) -> Self:
        self.update(other)
        return self

    def __iand__(self, other: Iterable[Any]) -> Self:
        self.intersection_update(other)
        return self

    def __isub__(self, other: Iterable[Any]) -> Self:
        self.difference_update(other)
        return self

    def __ixor__(self, other: Iterable[Any]) -> Self:
        self.symmetric_difference_update(other)
        return self

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self))}}}"
