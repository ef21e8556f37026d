"""The HTTP views, over a real worker in memory that the test steps by hand."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import faust
import pytest

from pipeline.clock import ManualClock
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.partitioner import partition_for
from tests.unit.app_in_memory import (
    MINUTE,
    START,
    Answer,
    MemoryApp,
    World,
    answers,
    ask,
    declare,
    event,
    filled,
    make_worker,
    produce,
    step,
    world,
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("counts/keys/k1", 3),
        ("pairs/keys/" + quote('["a",1]', safe=""), {"n": 1}),
        ("pairs/keys/" + quote('["a", 1]', safe=""), {"n": 1}),
        ("pairs/keys/" + quote('["é/b",2]', safe=""), {"n": 2}),
        ("busy/keys/" + quote(f'["k1",{START},{START + MINUTE}]', safe=""), 1),
        ("numbers/keys/7", {"n": 7}),
        ("numbers/keys/-1", {"n": -1}),
        ("blobs/keys/_wA=", "AQI="),
        ("blobs/keys/" + quote("/wA=", safe=""), "AQI="),
    ],
)
def test_a_key_is_written_in_the_url_as_its_serde_asks(path: str, value: object) -> None:
    ((status, body, headers),) = ask(filled().app, f"/stores/{path}")
    assert (status, body["value"]) == (200, value)
    assert headers["Content-Type"] == "application/json"


def test_a_value_comes_with_its_event_time() -> None:
    ((_, body, _),) = ask(filled().app, "/stores/counts/keys/k1")
    assert body == {
        "store": "counts",
        "key": "k1",
        "value": 3,
        "timestamp": START + 11 * 20_000,
        "time": "2023-01-29T08:45:40.000Z",
    }


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("counts/keys/nope", 404, "no key 'nope'"),
        ("counts/keys/", 404, "no key ''"),
        ("nope/keys/k1", 404, "no store 'nope'; there are: blobs, busy, counts"),
        ("nope", 404, "no store 'nope'"),
        ("per-minute/keys/nope", 404, "no window of key 'nope'"),
        ("numbers/keys/seven", 400, "key: 'seven' is no int64 key"),
        ("numbers/keys/99999999999999999999", 400, "key: "),
        ("blobs/keys/!", 400, "give base64"),
        ("pairs/keys/a", 400, "give JSON"),
        ("busy/keys/k1", 400, "give a JSON array of the key, and of start and end"),
        ("busy/keys/" + quote('["k1",0,60000]', safe=""), 404, "no key"),
        ("counts/keys/k1?from=0", 400, "from: unknown"),
        ("counts?from=0", 400, "from: unknown"),
        ("counts?limit=0", 400, "limit: '0' is no number from 1 to 1000"),
        ("counts?limit=1001", 400, "limit: "),
        ("counts?limit=ten", 400, "limit: "),
        ("counts?after=%25", 400, "after: "),
        ("counts?after=AAAA", 400, "after: "),
        ("counts?prefix=a&start=b", 400, "prefix: "),
        ("numbers?prefix=7", 400, "prefix: "),
        ("numbers?start=x", 400, "start: "),
        ("per-minute?to=tomorrow", 400, "to: 'tomorrow' is no time"),
        ("per-minute/keys/k1?from=2023-01-29T08:42:00", 400, "RFC 3339 with a zone"),
        ("per-minute/keys/k1?prefix=a", 400, "prefix: unknown"),
    ],
)
def test_a_question_without_an_answer_says_why(path: str, status: int, said: str) -> None:
    ((answered, body, _),) = ask(filled().app, f"/stores/{path}")
    assert answered == status
    assert said in body["error"]


@pytest.mark.parametrize(
    ("query", "starts"),
    [
        ("", [0, 1, 3]),
        (f"?from={START + MINUTE}", [1, 3]),
        (f"?to={START + MINUTE}", [0, 1]),
        ("?from=2023-01-29T08:43:00Z&to=2023-01-29T08:43:00Z", [1]),
        ("?from=2023-01-29T09:43:00%2B01:00", [1, 3]),
        ("?from=2023-01-29T09:43:00+01:00", [1, 3]),
        ("?limit=2", [0, 1]),
    ],
)
def test_a_keys_windows_by_the_time_they_start(query: str, starts: list[int]) -> None:
    ((status, body, _),) = ask(filled().app, f"/stores/per-minute/keys/k0{query}")
    assert status == 200
    assert [window["window"]["start"] for window in body["windows"]] == [START + n * MINUTE for n in starts]
    assert body["next_from"] == (START + 3 * MINUTE if "limit" in query else None)
    assert body["windows"][0] == {
        "window": {
            "start": START + starts[0] * MINUTE,
            "end": START + (starts[0] + 1) * MINUTE,
            "start_time": f"2023-01-29T08:4{2 + starts[0]}:00.000Z",
            "end_time": f"2023-01-29T08:4{3 + starts[0]}:00.000Z",
        },
        "value": 1,
        "timestamp": START
        + starts[0] * MINUTE
        + (40_000 if starts[0] == 1 else 20_000 if starts[0] == 3 else 0),
        "time": body["windows"][0]["time"],
    }


@pytest.mark.parametrize(
    ("store", "query", "keys"),
    [
        ("counts", "", ["k0", "k1", "k2", "k3", "k4"]),
        ("counts", "?start=k1&end=k3", ["k1", "k2"]),
        ("counts", "?start=k3", ["k3", "k4"]),
        ("counts", "?prefix=k", ["k0", "k1", "k2", "k3", "k4"]),
        ("counts", "?prefix=k2", ["k2"]),
        ("counts", "?prefix=x", []),
        ("numbers", "", [0, 7, -1]),
        ("numbers", "?start=0&end=7", [0]),
        ("pairs", "", [["a", 1], ["é/b", 2]]),
        ("blobs", "?prefix=_w==", ["/wA="]),
    ],
)
def test_a_scan_is_ordered_and_bounded(store: str, query: str, keys: list[object]) -> None:
    ((status, body, _),) = ask(filled().app, f"/stores/{store}{query}")
    assert status == 200
    assert [row["key"] for row in body["rows"]] == keys
    assert body["partitions"] == {"here": [0, 1], "total": 2}


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("store", ["counts", "per-minute"])
def test_a_scan_goes_on_where_the_page_before_ended(store: str, limit: int) -> None:
    app = filled().app
    ((_, whole, _),) = ask(app, f"/stores/{store}")
    rows: list[object] = []
    token = ""
    while True:
        ((_, page, _),) = ask(app, f"/stores/{store}?limit={limit}{token}")
        rows += page["rows"]
        assert len(page["rows"]) <= limit
        if page["next"] is None:
            break
        token = f"&after={page['next']}"
    assert rows == whole["rows"]
    assert len(rows) == (5 if store == "counts" else 15)


def test_a_window_scan_is_limited_to_times() -> None:
    ((_, body, _),) = ask(filled().app, f"/stores/per-minute?from={START}&to={START}")
    assert [(row["key"], row["window"]["start"]) for row in body["rows"]] == [
        ("k0", START),
        ("k1", START),
        ("k2", START),
    ]


def test_the_list_of_stores_says_what_and_where_they_are() -> None:
    answers = ask(filled().app, "/stores", "/stores/")
    assert answers[0][1] == answers[1][1]
    by_name = {store["name"]: store for store in answers[0][1]["stores"]}
    assert by_name.keys() == {"blobs", "busy", "counts", "numbers", "pairs", "per-minute"}
    assert by_name["per-minute"] == {
        "name": "per-minute",
        "type": "window",
        "key": "string",
        "value": "int64",
        "state": "open",
        "partitions": {"here": [0, 1], "total": 2},
        "window_ms": MINUTE,
        "retention_ms": 61 * MINUTE,
    }


def test_nothing_uncommitted_is_shown() -> None:
    place = filled()
    produce(place.broker, "events", [event("k1", START + 400_000)])
    processed = place.worker.status().metrics["records_processed"]
    for _ in range(5):
        place.worker.step()  # the clock stands still: no commit
    assert place.worker.status().metrics["records_processed"] == processed + 1
    (before,) = ask(place.app, "/stores/counts/keys/k1")
    place.clock.advance(5_000)
    place.worker.step()
    (after,) = ask(place.app, "/stores/counts/keys/k1")
    assert (before[1]["value"], after[1]["value"]) == (3, 4)


def test_before_it_runs_a_worker_says_that_it_does_not_know() -> None:
    place = world()
    key, scan, ready, stores = ask(place.app, "/stores/counts/keys/k1", "/stores/counts", "/ready", "/stores")
    for status, body, headers in (key, scan, ready):
        assert status == 503
        assert body["state"] == "connecting"
        assert headers["Retry-After"] == "1"
    assert {store["state"] for store in stores[1]["stores"]} == {"not here"}


def test_an_unreachable_broker_is_named() -> None:
    place = world()
    place.broker.reachable = False
    place.worker.step()
    for status, body, _ in ask(place.app, "/ready", "/stores/counts/keys/k1"):
        assert status == 503
        assert "memory" in body["error"]


def test_while_a_store_is_restored_its_progress_is_told() -> None:
    place = filled()
    place.worker.close()
    restarted = World(
        declare(), make_worker(place.app, place.broker, place.clock, restore_records=1), *place[2:]
    )
    restarted.app.worker = restarted.worker
    partition = partition_for(b"k1", 2)
    restoring = restarted.worker.registry.restoring

    def begun() -> bool:
        return any(
            task.partition == partition and done.restored for task, done in restoring("counts").items()
        )

    step(restarted, until=begun)
    key, scan, stores, metrics = ask(
        restarted.app, "/stores/counts/keys/k1", "/stores/counts", "/stores", "/metrics"
    )
    for status, body, headers in (key, scan):
        assert status == 503
        assert 0 < body["restored"] < body["total"]
        assert headers["Retry-After"] == "1"
    listed = next(store for store in stores[1]["stores"] if store["name"] == "counts")
    assert listed["state"] == "restoring"
    assert listed["restoring"][str(partition)]["total"] > 0
    assert (
        f'headrace_store_restore_remaining_records{{application="web",partition="{partition}",store="counts"}}'
        in metrics[1]["text"]
    )
    step(restarted)
    ((status, body, _),) = ask(restarted.app, "/stores/counts/keys/k1")
    assert (status, body["value"]) == (200, 3)


def test_a_key_of_another_worker_is_told_from_one_that_does_not_exist() -> None:
    place = filled()
    other_app = declare()
    other_app.worker = make_worker(other_app, place.broker, place.clock)

    def shared() -> bool:
        states = {place.worker.status().state, other_app.worker.status().state}
        shares = (place.worker.status().tasks, other_app.worker.status().tasks)
        return states == {"running"} and all(shares)

    step(place, [place.worker, other_app.worker], until=shared)
    here = {task.partition for task in place.worker.registry.open("counts")}
    keys = [f"k{i}" for i in range(5)]
    for key, (status, body, _) in zip(
        keys, ask(place.app, *(f"/stores/counts/keys/{key}" for key in keys)), strict=True
    ):
        partition = partition_for(key.encode(), 2)
        if partition in here:
            assert (status, body["value"]) == (200, 3)
        else:
            assert (status, body["partition"]) == (421, partition)
            assert "which this worker does not hold" in body["error"]
    ((_, page, _),) = ask(place.app, "/stores/counts")
    assert page["partitions"] == {"here": sorted(here), "total": 2}


def test_metrics_are_prometheus_text() -> None:
    ((status, body, headers),) = ask(filled().app, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    lines = body["text"].splitlines()
    assert 'kafka_streams_stream_thread_metrics_process_total{application="web"} 21.0' in lines
    assert 'headrace_state{application="web",state="running"} 1.0' in lines
    assert "# TYPE kafka_streams_stream_thread_metrics_process_total counter" in lines


def test_fausts_index_stays_and_its_tables_are_gone() -> None:
    index, table, router = ask(filled().app, "/", "/table/", "/router/")
    assert (index[0], index[1]) == (200, {"status": "OK"})
    assert (table[0], router[0]) == (404, 404)


def test_a_value_without_a_json_form_is_an_error_that_says_so() -> None:
    place = world()

    class Opaque:
        pass

    class OpaqueSerde:
        name = "opaque"

        def serialize(self, _value: Opaque, /) -> bytes:
            return b"x"

        def deserialize(self, _data: bytes, /) -> Opaque:
            return Opaque()

    app = MemoryApp("opaque")
    app.table("blobs", name="things", key=str, value=OpaqueSerde())
    produce(place.broker, "blobs", [(b"k", b"v")])
    app.worker = make_worker(app, place.broker, place.clock)
    step(place._replace(app=app, worker=app.worker))
    ((status, body, _),) = ask(app, "/stores/things/keys/k")
    assert status == 500
    assert "no JSON form" in body["error"]


def test_health_is_that_of_the_engines_thread() -> None:
    place = world()

    async def scenario() -> list[Answer]:
        before = await answers(place.app, "/health")
        await place.app.engine.start()
        try:
            during = await answers(place.app, "/health")
        finally:
            await place.app.engine.stop()
        return [*before, *during, *(await answers(place.app, "/health"))]

    assert [status for status, _, _ in asyncio.run(scenario())] == [500, 200, 500]


class Account(faust.Record):
    owner: str


def test_a_record_of_fausts_is_shown_as_it_is_written() -> None:
    app = MemoryApp("web")
    accounts = app.Table("accounts", key_type=str, value_type=Account)

    @app.agent(app.topic("opened", key_type=str, value_type=Account))
    async def opened(stream: Any) -> None:
        async for key, account in stream.items():
            accounts[key] = account

    clock = ManualClock(START)
    broker = MemoryBroker(clock)
    broker.create_topic("opened", 1)
    app.worker = make_worker(app, broker, clock)
    produce(broker, "opened", [(b"a", b'{"owner":"ann"}')])
    step(World(app, app.worker, broker, clock))
    ((status, body, _),) = ask(app, "/stores/accounts/keys/a")
    assert (status, body["value"]["owner"]) == (200, "ann")
