"""The users' functions, by name: `java/Functions.java` says the same in Java.

Values are strings, or numbers where a count made them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pipeline import Windowed

INITIAL: Final = "0"


def text(value: Any) -> str:
    """Return a key or value as text; of a window its start alone, as a time window's bytes tell no end."""
    if isinstance(value, Windowed):
        return f"{text(value.key)}@{value.start}"
    return "null" if value is None else str(value)


def _odd(value: Any) -> bool:
    return sum(map(ord, text(value))) % 2 == 1


def _first(value: Any) -> str | None:
    return None if value is None else text(value)[:1]


PREDICATES: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "odd": lambda key, value: _odd(value),
    "has-a": lambda key, value: "a" in text(value),
    "key-odd": lambda key, value: _odd(key),
}

MAPPERS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "upper": lambda key, value: text(value).upper(),
    "tag": lambda key, value: text(value) + "'",
    "keyed": lambda key, value: f"{text(key)}:{text(value)}",
    "nullify": lambda key, value: None if _odd(value) else text(value),
}

FLAT_MAPPERS: Final[Mapping[str, Callable[[Any, Any], Iterable[Any]]]] = {
    "twice": lambda key, value: [] if value is None else [text(value), text(value) + "'"],
    "if-odd": lambda key, value: [text(value)] if _odd(value) else [],
}

#: New keys; None for some.
SELECTORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "first": lambda key, value: _first(value),
    "key-first": lambda key, value: _first(key),
    "same": lambda key, value: None if key is None else text(key),
    "none-if-odd": lambda key, value: None if _odd(value) else _first(value),
}

REDUCERS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "concat": lambda so_far, value: f"{text(so_far)}+{text(value)}",
    "last": lambda so_far, value: text(value),
    "fragile": lambda so_far, value: None if _odd(value) else f"{text(so_far)}+{text(value)}",
    "minus": lambda so_far, value: f"{text(so_far)}-{text(value)}",
}

JOINERS: Final[Mapping[str, Callable[[Any, Any, Any], Any]]] = {
    "both": lambda key, left, right: f"{text(left)}-{text(right)}",
    "keyed": lambda key, left, right: f"{text(key)}:{text(left)}-{text(right)}",
    "picky": lambda key, left, right: None if _odd(left) else f"{text(left)}-{text(right)}",
}


def pair_mapper(name: str) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Return what makes a new key and a value that names the old one."""
    select = SELECTORS[name]
    return lambda key, value: (
        select(key, value),
        None if value is None else f"{text(key)}>{text(value)}",
    )


def flat_pair_mapper(name: str) -> Callable[[Any, Any], Iterable[tuple[Any, Any]]]:
    """Return what makes two pairs of each record that has a value."""
    pair = pair_mapper(name)
    return lambda key, value: [] if value is None else [pair(key, value), pair(key, text(value) + "'")]


def aggregator(name: str) -> Callable[[Any, Any, Any], Any]:
    """Return a reducer as an aggregator."""
    reduce = REDUCERS[name]
    return lambda key, value, so_far: reduce(so_far, value)


def merger(key: Any, left: Any, right: Any) -> Any:
    """Merge two sessions."""
    return f"{text(left)}|{text(right)}"
