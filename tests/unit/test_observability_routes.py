from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from pipeline.errors import StreamsError, TopologyError
from pipeline.observability.routes import Route, Routes, Unmatched, UnroutableError


def negated(value: int) -> int:
    return -value


def text(value: int, prefix: str = "") -> str:
    return f"{prefix}{value}"


def always(_value: object) -> bool:
    return True


def above(limit: int) -> Callable[[Any], bool]:
    return lambda value: value > limit


TABLE = (
    Route("archive", above(0), text),
    Route("errors", above(10), negated),
    Route("errors", above(20), text),
)


@pytest.mark.parametrize(
    ("value", "copies"),
    [
        (0, []),
        (5, [("archive", "5")]),
        (15, [("archive", "15"), ("errors", -15)]),
        (25, [("archive", "25"), ("errors", -25), ("errors", "25")]),
    ],
)
def test_an_event_is_copied_to_all_that_match(value: int, copies: list[tuple[str, Any]]) -> None:
    routes = Routes(*TABLE, unmatched=Unmatched.DROP)
    assert list(routes.apply(value)) == copies
    assert [route.destination for route in routes.match(value)] == [topic for topic, _ in copies]


def test_destinations_are_the_topics_to_create() -> None:
    assert Routes(*TABLE, unmatched=Unmatched.DROP).destinations == ("archive", "errors")


def test_unmatched_events_may_be_rejected() -> None:
    routes = Routes(*TABLE, unmatched=Unmatched.REJECT)
    assert len(routes.match(5)) == 1
    with pytest.raises(
        UnroutableError, match=r"no route takes this int: the table has archive \(text\), errors"
    ):
        list(routes.apply(0))
    assert issubclass(UnroutableError, StreamsError)


@pytest.mark.parametrize(
    ("routes", "reason"),
    [
        ((), "without a route"),
        ((Route("a", always, text), Route("a", above(5), text)), r"two routes to a \(text\)"),
        (
            (Route("a", always, text), Route("a", always, partial(text, prefix="x"))),
            r"two routes to a \(text\)",
        ),
    ],
)
def test_a_bad_table_is_refused(routes: tuple[Route, ...], reason: str) -> None:
    with pytest.raises(TopologyError, match=reason):
        Routes(*routes, unmatched=Unmatched.DROP)


@pytest.mark.parametrize("destination", ["", ".", "..", "a b", "ä", "a/b", "x" * 250])
def test_a_destination_is_a_topic_name(destination: str) -> None:
    with pytest.raises(TopologyError, match="not a topic name"):
        Route(destination, always, text)


def test_a_long_topic_name_is_one() -> None:
    assert Route("x" * 249, always, text).destination == "x" * 249
