from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline import App, BufferConfig, tumbling, until_time_limit, until_window_closes
from pipeline.config import StreamsConfig
from pipeline.limits import ENGINE, format_limits, format_memory, limits, memory_bounds
from pipeline.plan.limits import Limit
from pipeline.runtime.kafka.settings import consumer_settings, producer_settings, reader_settings
from pipeline.settings import ENGINE_SETTINGS

README: Final = (Path(__file__).parent.parent.parent / "README.md").read_text()
SECOND: Final = timedelta(seconds=1)

#: Numbers of the clients' settings that bound no memory: how long they wait before they try again.
PACES: Final = frozenset(
    {"fetch.queue.backoff.ms", "fetch.wait.max.ms", "reconnect.backoff.max.ms"}
    | {"session.timeout.ms", "heartbeat.interval.ms", "topic.metadata.propagation.max.ms"}
)


def limits_of(app: App) -> dict[str, Limit]:
    bounds = limits(app.streams_config, app.client_settings, app.plan)
    found = {
        each.name if each.setting[:12] != "BufferConfig" else each.name + each.unit: each for each in bounds
    }
    assert len(found) == len(bounds), "two bounds have one name"
    return found


def an_app(**settings: Any) -> App:
    app = App("limits", **settings)
    app.stream("in").to("out")
    return app


def test_every_number_that_can_be_set_is_listed() -> None:
    config = an_app().streams_config
    assert ENGINE.keys() == config.numbers().keys()
    numeric = {f.name for f in fields(StreamsConfig) if "int" in str(f.type)}
    assert numeric == config.numbers().keys()
    listed = limits_of(an_app())
    for name in numeric:
        given = name.removesuffix("_ms")
        assert listed[given].setting == f"App({given}=)"
        assert given in ENGINE_SETTINGS


@pytest.mark.parametrize("kind", ["consumer", "classic consumer", "reader", "producer"])
def test_every_number_of_the_clients_is_listed(kind: str) -> None:
    settings = {
        "consumer": consumer_settings("", "", "", "consumer", {}),
        "classic consumer": consumer_settings("", "", "", "classic", {}),
        "reader": reader_settings("", {}),
        "producer": producer_settings("", "", {}),
    }[kind]
    numbers = {name for name, value in settings.items() if type(value) in {int, float}} - PACES
    listed = {name.partition(": ")[2] for name in limits_of(an_app())}
    assert numbers <= listed | {"message.max.bytes"}


def test_what_is_given_is_shown_beside_the_default() -> None:
    app = an_app(
        cache_entries=7,
        commit_interval=2 * SECOND,
        max_task_idle=None,
        broker_settings={"queued.max.messages.kbytes": 1024, "linger.ms": 50},
    )
    found = limits_of(app)
    assert found["cache_entries"][1:3] == (7, 100_000)
    assert found["commit_interval"][1:4] == (2_000, 1_000, "ms")
    assert found["max_task_idle"][1:3] == (None, 0)
    assert found["consumer: queued.max.messages.kbytes"][1:3] == (1024, 64 * 1024)
    assert found["producer: linger.ms"][1:3] == (50, 5)
    lines = format_limits(found.values()).splitlines()
    assert lines[0].split()[:3] == ["limit", "value", "default"]
    assert next(line.split()[1:3] for line in lines if line.startswith("cache_entries")) == ["7", "100,000"]
    assert next(line.split()[1:3] for line in lines if line.startswith("max_task_idle")) == ["off", "0"]


def test_bounds_of_operators_are_listed_by_their_names() -> None:
    app = App("shop")
    orders, payments = app.stream("orders", key=str), app.stream("payments", key=str)
    counts = orders.group_by_key().windowed_by(tumbling(60 * SECOND, grace=5 * SECOND)).count(name="counts")
    buffer = BufferConfig(max_records=1_000)
    counts.suppress(until_window_closes(buffer), name="final").to_stream().to("finals")
    early = BufferConfig(max_bytes=4_096, when_full="emit-early")
    app.table("users", name="users").suppress(until_time_limit(SECOND, early), name="calm")
    within = (2 * SECOND, 10 * SECOND)
    paid = orders.left_join(
        payments, lambda _k, order, _p: order, within=within, grace=SECOND, name="paid", value=dict
    )
    paid.to("paid")
    found = limits_of(app)
    assert found["counts: lateness"].value == 5_000
    assert found["counts: store counts"].value == 65_000
    assert found["users: store users"].value is None
    stops, goes_on = found["final: held backrecords a task"], found["calm: held backbytes a task"]
    assert (stops.value, stops.action) == (1_000, "the worker stops and says so")
    assert (goes_on.value, goes_on.action) == (4_096, "what waits longest goes on")
    assert found["final: held backbytes a task"].value is None
    assert found["paid: left records wait"].value == 11_000
    assert "paid: right records wait" not in found


def test_what_memory_comes_to_is_what_the_readme_says_and_follows_the_settings() -> None:
    app = an_app()
    bounds = memory_bounds(app.streams_config, app.client_settings)
    assert "a worker takes less than 1 GiB beside the interpreter" in README
    assert 512 << 20 < sum(bounds.values()) < 1 << 30
    small = an_app(
        buffered_bytes=1 << 20,
        cache_bytes=1 << 20,
        block_cache_bytes=1 << 20,
        write_buffers_bytes=1 << 20,
        broker_settings={
            "queued.max.messages.kbytes": 1024,
            "fetch.max.bytes": 1 << 20,
            "queue.buffering.max.kbytes": 1024,
        },
    )
    few = memory_bounds(small.streams_config, small.client_settings)
    assert few.keys() == bounds.keys()
    # An object of JSON takes three times its bytes.
    assert sum(few.values()) == (2 + 1 + 3 + 1 + 1 + 1) << 20
    assert format_memory(few).startswith("memory: at most 9 MiB (fetched 2, waiting 1, caches 3, ")


@pytest.mark.parametrize(
    ("claim", "limit"),
    [
        (r"results are committed every (second)", "commit_interval"),
        (r"`limit` (\d+), at most", "HTTP: rows of an answer"),
        (r"at most ([\d,]+); `next` in the answer", "HTTP: largest limit"),
    ],
)
def test_what_the_readme_says_of_a_bound_is_its_default(claim: str, limit: str) -> None:
    (said,) = re.findall(claim, README)
    expected = {"second": 1_000, "two minutes": 120_000}.get(said) or int(said.replace(",", ""))
    assert limits_of(an_app())[limit].default == expected
