"""Names of Faust's and of Kafka Streams' that objects here do not have: each says what to use instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NoReturn

from pipeline.errors import TopologyError


class AbsentError(TopologyError, AttributeError):
    """A name of Faust's API, or of Kafka Streams', has no meaning here."""


class Absent:
    """Refuses names of Faust's, each with what to use instead.

    Attributes:
        INSTEAD: by name.
    """

    INSTEAD: ClassVar[Mapping[str, str]] = {}

    def __getattr__(self, name: str) -> NoReturn:
        refuse(type(self).__name__, name, self.INSTEAD)


def refuse(kind: str, name: str, instead: Mapping[str, str]) -> NoReturn:
    """Raise what is to be raised for a name that an object of a kind does not have."""
    if name not in instead:
        raise AttributeError(f"{kind!r} object has no attribute {name!r}")
    raise AbsentError(f"{kind}.{name} is not available: {instead[name]}")


def instead(**names: str) -> dict[str, str]:
    """Return what to use by each name; a key may be several names, separated by two underscores."""
    return {name: text for several, text in names.items() for name in several.split("__")}
