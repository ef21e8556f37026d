"""Routes as data: which events go to which destination, and in which shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pipeline.errors import StreamsError, TopologyError

#: Kafka's rule for topic names (org.apache.kafka.common.internals.Topic).
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}").fullmatch


class UnroutableError(StreamsError):
    """No route takes an event, and the table says that this must not happen."""


class Unmatched(Enum):
    """What becomes of an event that no route takes."""

    DROP = "drop"
    REJECT = "reject"
    """Raise `UnroutableError`: the record goes where the error handler sends it."""


@dataclass(frozen=True, slots=True)
class Route:
    """A destination, who goes there, and in which shape.

    Attributes:
        destination: topic.
        predicate: takes the event's value, says whether it goes there.
        shape: makes of the value what the destination takes.
    """

    destination: str
    predicate: Callable[[Any], bool]
    shape: Callable[[Any], Any]

    def __post_init__(self) -> None:
        if not _TOPIC(self.destination):
            raise TopologyError(
                f"route to {self.destination!r}: not a topic name. "
                "Use up to 249 letters, digits, points, underscores and dashes"
            )

    def __str__(self) -> str:
        return f"{self.destination} ({_name(self.shape)})"


class Routes:
    """A table of routes. An event is copied to all that match, in the table's order.

    Args:
        routes: the table.
        unmatched: what becomes of events that no route takes.

    Raises:
        TopologyError: the table is empty, or two routes have the same destination and the same
            shape: where both match, the destination would get the event twice.
    """

    __slots__ = ("_unmatched", "routes")

    def __init__(self, *routes: Route, unmatched: Unmatched) -> None:
        if not routes:
            raise TopologyError("a table of routes without a route: give it at least one Route(...)")
        names = [str(route) for route in routes]
        for name in names:
            if names.count(name) > 1:
                raise TopologyError(f"two routes to {name}: join their predicates into one")
        self.routes = routes
        self._unmatched = unmatched

    @property
    def destinations(self) -> tuple[str, ...]:
        """The topics, each once, in the table's order."""
        return tuple(dict.fromkeys(route.destination for route in self.routes))

    def match(self, value: Any) -> list[Route]:
        """Return the routes that take a value.

        Raises:
            UnroutableError: none does, and unmatched events are rejected.
        """
        matched = [route for route in self.routes if route.predicate(value)]
        if not matched and self._unmatched is Unmatched.REJECT:
            table = ", ".join(map(str, self.routes))
            raise UnroutableError(f"no route takes this {type(value).__name__}: the table has {table}")
        return matched

    def apply(self, value: Any) -> Iterator[tuple[str, Any]]:
        """Yield (topic, shaped value) for each route that takes a value; for `flat_map_values`."""
        for route in self.match(value):
            yield route.destination, route.shape(value)


def _name(function: Callable[..., Any]) -> str:
    """Name a shape; a partial is named by its function."""
    return getattr(getattr(function, "func", function), "__name__", repr(function))
