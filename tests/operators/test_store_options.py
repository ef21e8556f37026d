"""Where stores are kept: with a changelog or without, in memory or on disk; and when tables forward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import (
    Processor,
    ProcessorContext,
    Record,
    SessionWindowedStore,
    Store,
    WindowedStore,
)
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.stores import DeclaredStore
from pipeline.serde import STRING
from pipeline.state.provider import MemoryProvider, RocksDBProvider, StoreProvider
from pipeline.testing.driver import TopologyTestDriver
from pipeline.topology import StoreSpec, Topology
from tests.semantics.crashes import Bomb, pipe_batch

HOUR = timedelta(hours=1)
KINDS = ("key-value", "window", "session", "versioned")


def declared(kind: str, **options: Any) -> DeclaredStore:
    if kind == "window":
        return WindowedStore("kept", str, str, HOUR, **options)
    if kind == "session":
        return SessionWindowedStore("kept", str, str, HOUR, **options)
    if kind == "versioned":
        return Store("kept", str, str, history=HOUR, **options)
    return Store("kept", str, str, **options)


class Keep(Processor[str, str, str, str]):
    """Appends the record's value to what the key has, at the record's time, and forwards the result."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def init(self, context: ProcessorContext[str, str]) -> None:
        self.context = context
        self.store = context.store("kept")

    def process(self, record: Record[str, str]) -> None:
        key, time = record.key, record.timestamp
        value = (read(self.store, self.kind, key) or "") + record.value
        if self.kind == "session":
            self.store.put(key, value, 0, time)
        else:
            self.store.put(key, value, time)
        self.context.forward(record.with_value(value))


def read(store: Any, kind: str, key: str) -> Any:
    """The latest value of a key."""
    if kind == "window":
        windows = store.fetch_range(key, 0, 10**9)
        return windows[-1][1] if windows else None
    if kind == "session":
        sessions = store.fetch_all(key)
        return sessions[-1][2] if sessions else None
    found = store.get(key)
    return found.value if kind == "versioned" and found is not None else found


def keeping(kind: str, bomb: Bomb | None = None, **options: Any) -> Topology:
    builder = StreamsBuilder("test")
    stream = builder.stream("in", key=str, value=str)
    if bomb is not None:
        stream = stream.peek(bomb)
    stream.process(lambda: Keep(kind), declared(kind, **options), key=str, value=str).to("out")
    return builder.build()


def provider(where: str, folder: Path) -> StoreProvider:
    return MemoryProvider() if where == "memory" else RocksDBProvider(folder, "test")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["memory", "rocksdb"])
@pytest.mark.parametrize("new_disk", [False, True])
@pytest.mark.parametrize(
    ("logging", "in_memory"), [(True, False), (True, True), (False, False), (False, True)]
)
def test_a_store_outlives_its_worker_by_its_changelog_or_by_its_disk(
    tmp_path: Path, kind: str, where: str, *, new_disk: bool, logging: bool, in_memory: bool
) -> None:
    kept = logging or not (in_memory or new_disk)
    stores = provider(where, tmp_path / "one")
    topology = keeping(kind, logging=logging, in_memory=in_memory)
    with TopologyTestDriver(topology, stores=stores) as driver:
        words = driver.input_topic("in", value=str)
        words.pipe("k", "a", 1)
        words.pipe("k", "b", 2)
        driver.restart(stores=provider(where, tmp_path / "two") if new_disk else None)
        assert read(driver.store("kept"), kind, "k") == ("ab" if kept else None)
        words.pipe("k", "c", 3)
        driver.restart()
        words.pipe("k", "d", 4)
        expected = "d" if in_memory and not logging else "abcd" if kept else "cd"
        assert driver.output_topic("out", value=str).read_values()[-1] == expected
        assert ("test-kept-changelog" in driver.broker.topics()) is logging
    if where == "rocksdb":
        databases = {path.parent.name for path in tmp_path.glob("one/**/CURRENT")}
        assert databases == (set() if in_memory else {"kept" if logging else "kept+unlogged"})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("logging", [True, False])
def test_what_a_crash_repeats_is_not_kept_twice(kind: str, *, logging: bool) -> None:
    """A store is never ahead of the committed offsets, with or without a changelog."""
    bomb = Bomb()
    topology = keeping(kind, bomb, logging=logging)
    with TopologyTestDriver(topology, poll_records=100) as driver:
        pipe_batch(driver, [("in", "k", "a", 1), ("in", "k", "b", 2)], bomb)
        bomb.value = "d"
        pipe_batch(driver, [("in", "k", "c", 3), ("in", "k", "d", 4), ("in", "k", "e", 5)], bomb)
        assert read(driver.store("kept"), kind, "k") == "abcde"


@pytest.mark.parametrize("crash", [False, True])
def test_values_that_are_kept_beside_one_another_stay_apart_without_a_changelog(*, crash: bool) -> None:
    """As those of a join do, whose numbers follow those of the run before."""

    @dataclass(frozen=True, slots=True)
    class Beside(DeclaredStore):
        def spec(self) -> StoreSpec:
            return StoreSpec(
                self.name,
                "window",
                STRING,
                STRING,
                retention_ms=1_000,
                window_size_ms=1,
                retain_duplicates=True,
                logged=False,
            )

    class Collect(Processor[str, str, str, str]):
        def init(self, context: ProcessorContext[str, str]) -> None:
            self.store = context.store("beside")

        def process(self, record: Record[str, str]) -> None:
            self.store.put(record.key, record.value, record.timestamp)

    builder = StreamsBuilder("test")
    builder.stream("in", key=str, value=str).process(Collect, Beside("beside"))
    with TopologyTestDriver(builder.build()) as driver:
        words = driver.input_topic("in", value=str)
        for number in range(9):
            words.pipe("k", str(number), 5)
            if number % 3 == 2:
                driver.restart(crash=crash)
        found = [value for _, value in driver.store("beside").fetch_range("k", 0, 9)]
    assert found == [str(number) for number in range(9)]


def counted(builder: StreamsBuilder, **options: Any) -> None:
    builder.stream("in", key=str, value=str).group_by_key().count(name="t", **options).to_stream().to("out")


def latest(builder: StreamsBuilder, **options: Any) -> None:
    table = builder.stream("in", key=str, value=str).to_table(name="t", **options)
    table.map_values(lambda key, value: len(value)).to_stream().to("out", value=int)


@pytest.mark.parametrize("declare", [counted, latest])
@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_table_without_caching_forwards_every_update(
    declare: Callable[..., None], *, caching: bool, in_memory: bool
) -> None:
    builder = StreamsBuilder("test")
    declare(builder, caching=caching, in_memory=in_memory)
    with TopologyTestDriver(builder.build(), poll_records=100) as driver:
        batch = [("in", "k", "x", 1), ("in", "other", "x", 1), ("in", "k", "xx", 2), ("in", "k", "xxx", 3)]
        pipe_batch(driver, batch, Bomb())
        out = [(record.key, record.value) for record in driver.output_topic("out", value=int).read_all()]
        changelog = driver.output_topic("test-t-changelog", value=bytes).read_all()
    expected = [("k", 1), ("other", 1), ("k", 2), ("k", 3)]
    assert out == (expected if not caching else [("k", 3), ("other", 1)])
    # What is logged does not depend on it: the last value of each key.
    assert [record.key for record in changelog] == ["k", "other"]
