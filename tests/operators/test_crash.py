"""What a worker that died between logging and committing leaves behind must not become state."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import NO_HEADERS
from pipeline.serde import INT64
from pipeline.state.caching import pack_time
from pipeline.state.provider import MemoryProvider
from pipeline.state.segment_keys import WINDOWS
from pipeline.testing.driver import TopologyTestDriver
from pipeline.topology import Topology
from pipeline.windows import tumbling

CHANGELOG = "app-counts-changelog"


def counting() -> Topology:
    builder = StreamsBuilder("app")
    words = builder.stream("words", key=str, value=str)
    windows = tumbling(timedelta(seconds=1), grace=timedelta(seconds=9))
    words.group_by_key().windowed_by(windows).count(name="counts")
    return builder.build()


def log_uncommitted(driver: TopologyTestDriver, key: str, start: int, count: int) -> None:
    """Write to the changelog as a worker does that dies before it commits."""
    producer = driver.broker.producer("killed")
    value = pack_time(start) + INT64.serialize(count)
    producer.produce(CHANGELOG, value, WINDOWS.changelog_key(key.encode(), (start, 0)), 0, -1, NO_HEADERS)
    producer.flush(0)


def tables(driver: TopologyTestDriver) -> dict[tuple[str, int], int]:
    return {(window.key, window.start): count for window, count in driver.store("counts").all()}


@pytest.mark.parametrize("new_disk", [False, True], ids=["same disk", "new disk"])
@pytest.mark.parametrize(
    ("key", "start"),
    [("a", 1_000), ("a", 2_000), ("b", 1_000)],
    ids=["a window that was committed", "a new window", "a new key"],
)
def test_a10_1_what_was_logged_without_a_commit_is_not_restored(key: str, start: int, new_disk: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    with TopologyTestDriver(counting()) as driver:
        words = driver.input_topic("words", value=str)
        for timestamp in (1_000, 1_001, 2_500):
            words.pipe("a", "x", timestamp)
        expected = {("a", 1_000): 2, ("a", 2_000): 1}
        assert tables(driver) == expected
        log_uncommitted(driver, key, start, 99)
        driver.restart(crash=True, stores=MemoryProvider() if new_disk else None)
        assert tables(driver) == expected
        # Nor by a later restore, when the changelog has gone on and been committed past it.
        words.pipe("c", "x", 2_600)
        driver.restart(crash=True, stores=MemoryProvider())
        assert tables(driver) == expected | {("c", 2_000): 1}
