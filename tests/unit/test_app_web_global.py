"""The HTTP views of a global table: whole on every worker, closed until it is."""

from __future__ import annotations

from pipeline.clock import ManualClock
from pipeline.runtime.memory import MemoryBroker
from tests.unit.app_in_memory import START, MemoryApp, World, ask, make_worker, produce, step

KEYS = [f"k{number}" for number in range(12)]


def declared() -> MemoryApp:
    app = MemoryApp("web")
    table = app.global_table("rates", name="rates", value=dict)
    events = app.stream("events", key=str, value=dict)
    events.join(table, lambda key, event, rate: rate, key_mapper=lambda key, _event: key)
    return app


def started(place: World | None = None, **settings: int) -> World:
    """A worker, on the broker of another one if there is one."""
    app = declared()
    if place is None:
        clock = ManualClock(START)
        broker = MemoryBroker(clock)
        broker.create_topic("rates", 3)
        broker.create_topic("events", 2)
        produce(broker, "rates", [(key.encode(), b'{"rate":%d}' % len(key)) for key in KEYS])
    else:
        broker, clock = place.broker, place.clock
    app.worker = make_worker(app, broker, clock, **settings)
    return World(app, app.worker, broker, clock)


def test_every_worker_answers_for_every_key() -> None:
    one = started()
    other = started(one)
    workers = [one.worker, other.worker]
    step(one, workers, until=lambda: all(w.status().tasks and w.status().state == "running" for w in workers))
    for place in (one, other):
        answers = ask(place.app, *(f"/stores/rates/keys/{key}" for key in KEYS), "/stores/rates/keys/none")
        assert [status for status, _, _ in answers] == [200] * len(KEYS) + [404]
        assert answers[0][1]["value"] == {"rate": 2}
        page, stores = ask(place.app, "/stores/rates", "/stores")
        assert [row["key"] for row in page[1]["rows"]] == sorted(KEYS)
        assert page[1]["partitions"] == {"here": [0], "total": 1}
        (listed,) = stores[1]["stores"]
        assert (listed["name"], listed["state"]) == ("rates", "open")


def test_a_table_that_is_being_loaded_says_how_far_it_is() -> None:
    place = started(restore_records=1)
    for _ in range(5):
        place.worker.step()
    key, scan, ready, metrics = ask(place.app, "/stores/rates/keys/k1", "/stores/rates", "/ready", "/metrics")
    for status, body, headers in (key, scan):
        assert (status, body["restored"], body["total"], body["state"]) == (503, 4, 12, "restoring")
        assert headers["Retry-After"] == "1"
    assert (ready[0], ready[1]["state"]) == (503, "restoring")
    remaining = 'headrace_store_restore_remaining_records{application="web",partition="0",store="rates"} 8'
    assert remaining in metrics[1]["text"]
    step(place)
    ((status, _, _),) = ask(place.app, "/stores/rates/keys/k1")
    assert status == 200
