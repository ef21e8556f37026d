"""The HTTP views of stores of sessions and of versions."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from pipeline import Processor, ProcessorContext, Record, SessionWindowedStore, Store
from pipeline.clock import ManualClock
from pipeline.runtime.memory import MemoryBroker
from tests.unit.app_in_memory import MINUTE, START, MemoryApp, World, ask, make_worker, produce, step

#: The end of each visit of a key, in minutes after START; it begins five minutes before.
VISITS = (("ann", 5), ("ann", 30), ("ann", 60), ("bob", 6), ("cy", 61))


class Keep(Processor[str, Any, str, Any]):
    """Keeps a session for each visit, a version for each price."""

    def init(self, context: ProcessorContext[str, Any]) -> None:
        self.visits, self.prices = context.store("visits"), context.store("prices")

    def process(self, record: Record[str, Any]) -> None:
        end = record.timestamp
        if "page" in record.value:
            self.visits.put(record.key, record.value["page"], end - 5 * MINUTE, end)
        else:
            self.prices.put(record.key, record.value["price"], end)


def filled() -> World:
    app = MemoryApp("web")
    events = app.stream("events", key=str, value=dict, timestamp=lambda record, _: record.value["at"])
    hour = timedelta(hours=1)
    stores = (
        SessionWindowedStore("visits", value=str, retention=hour),
        Store("prices", value=int, history=hour),
    )
    events.process(Keep, *stores)
    clock = ManualClock(START)
    broker = MemoryBroker(clock)
    broker.create_topic("events", 2)
    app.worker = make_worker(app, broker, clock)
    place = World(app, app.worker, broker, clock)
    prices = (("tea", 0, 1), ("tea", 20, 3), ("tea", 10, 2), ("ink", 0, 9), ("ink", 5, None), ("ink", 70, 8))
    produce(broker, "events", [event(key, end, page=f"p{end}") for key, end in VISITS])
    produce(broker, "events", [event(key, minute, price=value) for key, minute, value in prices])
    step(place)
    return place


def event(key: str, minute: int, **what: Any) -> tuple[bytes, bytes]:
    return key.encode(), json.dumps({"at": START + minute * MINUTE, **what}).encode()


def times(start: int, end: int) -> dict[str, Any]:
    """A session as it is shown, from minutes after START."""
    clock = [f"{8 + (42 + minute) // 60:02}:{(42 + minute) % 60:02}" for minute in (start, end)]
    return {
        "start": START + start * MINUTE,
        "end": START + end * MINUTE,
        "start_time": f"2023-01-29T{clock[0]}:00.000Z",
        "end_time": f"2023-01-29T{clock[1]}:00.000Z",
    }


def test_a_key_shows_its_sessions_with_start_and_end() -> None:
    ((status, body, _),) = ask(filled().app, "/stores/visits/keys/ann?from=0&limit=2")
    assert status == 200
    assert body == {
        "store": "visits",
        "key": "ann",
        "sessions": [
            {
                "session": times(0, 5),
                "value": "p5",
                "timestamp": START + 5 * MINUTE,
                "time": "2023-01-29T08:47:00.000Z",
            },
            {
                "session": times(25, 30),
                "value": "p30",
                "timestamp": START + 30 * MINUTE,
                "time": "2023-01-29T09:12:00.000Z",
            },
        ],
        "next_from": START + 60 * MINUTE,
    }


@pytest.mark.parametrize(
    ("query", "ends"),
    [
        ("", [5, 30, 60]),
        (f"?from={START + 5 * MINUTE}", [5, 30, 60]),
        (f"?from={START + 5 * MINUTE + 1}", [30, 60]),
        (f"?to={START + 25 * MINUTE}", [5, 30]),
        (f"?to={START + 25 * MINUTE - 1}", [5]),
        ("?from=2023-01-29T09:12:00Z&to=2023-01-29T09:12:00Z", [30]),
        ("?limit=1", [5]),
    ],
)
def test_a_keys_sessions_are_those_that_overlap_the_times(query: str, ends: list[int]) -> None:
    ((status, body, _),) = ask(filled().app, f"/stores/visits/keys/ann{query}")
    assert status == 200
    assert [row["session"]["end"] for row in body["sessions"]] == [START + end * MINUTE for end in ends]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("", [("ann", 5), ("ann", 30), ("ann", 60), ("bob", 6), ("cy", 61)]),
        ("?start=b", [("bob", 6), ("cy", 61)]),
        ("?prefix=a", [("ann", 5), ("ann", 30), ("ann", 60)]),
        (f"?from={START + 6 * MINUTE}&to={START + 25 * MINUTE}", [("ann", 30), ("bob", 6)]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_sessions_are_scanned_in_pages(query: str, rows: list[tuple[str, int]], limit: int) -> None:
    app = filled().app
    found: list[tuple[str, int]] = []
    token = ""
    while True:
        separator = "&" if query else "?"
        ((_, page, _),) = ask(app, f"/stores/visits{query}{separator}limit={limit}{token}")
        found += [(row["key"], (row["session"]["end"] - START) // MINUTE) for row in page["rows"]]
        if page["next"] is None:
            break
        token = f"&after={page['next']}"
    assert found == rows


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("tea", 3),
        (f"tea?as_of={START + 20 * MINUTE}", 3),
        (f"tea?as_of={START + 20 * MINUTE - 1}", 2),
        ("tea?as_of=2023-01-29T08:52:00Z", 2),
        ("ink", 8),
        (f"ink?as_of={START + 70 * MINUTE}", 8),
        (f"ink?as_of={START + 100 * MINUTE}", 8),
    ],
)
def test_a_key_of_a_versioned_store_is_shown_as_of_a_moment(query: str, shown: int) -> None:
    ((status, body, _),) = ask(filled().app, f"/stores/prices/keys/{query}")
    assert status == 200
    assert body["value"] == shown


def test_a_versioned_store_is_scanned_by_its_latest_versions() -> None:
    ((_, body, _),) = ask(filled().app, "/stores/prices")
    assert [(row["key"], row["value"]) for row in body["rows"]] == [("ink", 8), ("tea", 3)]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("visits/keys/nope", 404, "no session of key 'nope' in that time"),
        (f"visits/keys/ann?from={START + 61 * MINUTE}", 404, "no session of key 'ann' in that time"),
        ("visits/keys/ann?as_of=0", 400, "as_of: unknown; known here are from, limit, to"),
        ("visits?as_of=0", 400, "as_of: unknown"),
        ("prices/keys/nope", 404, "no key 'nope'"),
        (f"prices/keys/tea?as_of={START - 1}", 404, f"no key 'tea' as of {START - 1}"),
        # Beyond the history of its partition.
        (f"prices/keys/ink?as_of={START + 9 * MINUTE}", 404, "no key 'ink' as of"),
        ("prices/keys/tea?as_of=then", 400, "as_of: 'then' is no time"),
        ("prices/keys/tea?from=0", 400, "from: unknown; known here are as_of"),
        ("prices?as_of=0", 400, "as_of: unknown"),
    ],
)
def test_a_question_without_an_answer_says_why(path: str, status: int, said: str) -> None:
    ((answered, body, _),) = ask(filled().app, f"/stores/{path}")
    assert answered == status
    assert said in body["error"]


def test_the_list_of_stores_says_how_far_back_they_go() -> None:
    ((_, body, _),) = ask(filled().app, "/stores")
    by_name = {store["name"]: store for store in body["stores"]}
    assert (by_name["visits"]["type"], by_name["visits"]["retention_ms"]) == ("session", 60 * MINUTE)
    assert (by_name["prices"]["type"], by_name["prices"]["history_ms"]) == ("versioned", 60 * MINUTE)
    assert "window_ms" not in by_name["visits"]
