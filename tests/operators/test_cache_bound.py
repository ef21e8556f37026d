"""The memory of caches is bounded: a worker commits before it has more, and forgets what is committed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.windows import session, tumbling
from tests.operators.cluster import Cluster

VALUE: Final = b"v" * 1_000
KEYS: Final = 400
#: Four times as much comes in.
BOUND: Final = 100 * (len(VALUE) + 256)
#: What one step may put on top: as many records as are polled at once.
STEP: Final = 20
MINUTE: Final = timedelta(minutes=1)


def table(builder: StreamsBuilder) -> None:
    builder.table("in", name="kept", key=str, value=bytes)


def versions(builder: StreamsBuilder) -> None:
    builder.table("in", name="kept", key=str, value=bytes, history=MINUTE)


def windows(builder: StreamsBuilder) -> None:
    grouped = builder.stream("in", key=str, value=bytes).group_by_key()
    grouped.windowed_by(tumbling(MINUTE, grace=MINUTE)).reduce(lambda _old, new: new, name="kept")


def sessions(builder: StreamsBuilder) -> None:
    grouped = builder.stream("in", key=str, value=bytes).group_by_key()
    grouped.windowed_by(session(MINUTE, grace=MINUTE)).reduce(lambda _old, new: new, name="kept")


def joined(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=bytes)
    other = builder.stream("other", key=str, value=bytes)
    stream.join(other, lambda _k, one, _other: one, within=MINUTE, name="kept", value=bytes).to("out")


def largest(worker: Worker, cluster: Cluster) -> int:
    """Step until all is done; return what the caches of the worker took at most after a step."""
    found = 0
    for _ in range(KEYS // STEP + 40):
        worker.step()
        cached = [store.cached_bytes() for stores in worker.stores().values() for store in stores.values()]
        found = max(found, sum(cached))
    return found


@pytest.mark.parametrize("declare", [table, versions, windows, sessions, joined])
def test_caches_take_no_more_than_they_may(declare: Callable[[StreamsBuilder], None]) -> None:
    found = {}
    for bound in (BOUND, 1 << 30):
        builder = StreamsBuilder("app")
        declare(builder)
        topics = {"in": 1, "other": 1, "out": 1}
        settings: dict[str, Any] = {"poll_records": STEP, "commit_interval_ms": 3_600_000}
        cluster = Cluster(builder.build(), topics, cache_bytes=bound, **settings, max_task_idle_ms=None)
        worker = cluster.worker("one")
        for number in range(KEYS):
            cluster.send("in", f"{number}", value=VALUE)
        found[bound] = largest(worker, cluster)
        assert worker.status().metrics["records_processed"] == KEYS
        worker.close()
    # A store of versions holds what is not committed twice.
    assert found[BOUND] <= BOUND + 2 * STEP * (len(VALUE) + 300)
    assert found[1 << 30] >= KEYS * len(VALUE), "without the bound they do"


def test_a_row_that_was_forgotten_is_read_again() -> None:
    builder = StreamsBuilder("app")
    grouped = builder.stream("in", key=str, value=bytes).group_by_key()
    grouped.reduce(lambda old, new: old + new, name="kept").to_stream().to("out")
    disk = MemoryProvider()
    cluster = Cluster(builder.build(), {"in": 1, "out": 1}, cache_bytes=1, poll_records=STEP)
    worker = cluster.worker("one", disk)
    for turn in (b"a", b"b", b"c"):
        for number in range(50):
            cluster.send("in", f"{number}", value=turn)
        cluster.run(worker, turns=10)
    results = {message.key: message.value for message in cluster.broker.records("out")}
    assert results == {f"{number}".encode(): b"abc" for number in range(50)}
