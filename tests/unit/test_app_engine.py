"""The service that owns the worker's thread."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mode import Service

from pipeline import StreamsError
from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.engine import Engine, readable, summary
from pipeline.errors import ProcessingError
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker, WorkerStatus
from pipeline.state.provider import MemoryProvider

WORKING = WorkerStatus("running", "host:9092", None, 3, {})


class Root(Service):
    """Stands where Faust's worker stands: what crashes below it crashes it."""


def memory_worker(
    predicate: Callable[[object, object], bool], broker: MemoryBroker, commit_interval_ms: int = 10
) -> Worker:
    broker.create_topic("in")
    broker.create_topic("out")
    builder = StreamsBuilder("engine")
    builder.stream("in", key=str, value=dict).filter(predicate).to("out")
    config = StreamsConfig("engine", Path("unused"), commit_interval_ms=commit_interval_ms)
    return Worker(builder.build(), config, broker, SystemClock(), MemoryProvider())


def produce(broker: MemoryBroker, count: int) -> None:
    producer = broker.producer("test")
    for _ in range(count):
        producer.produce("in", b"{}", b"k", -1, 1, ())
    producer.flush(1)


async def run(engine: Engine, until: Callable[[], bool]) -> Root:
    """Run the engine under a root until a condition holds, or a crash; stop both."""
    root = Root()
    root.add_dependency(engine)
    await root.start()
    async with asyncio.timeout(10):
        while not until() and not root.crashed:  # noqa: ASYNC110 - the condition is another thread's
            await asyncio.sleep(0.005)
    await root.stop()
    return root


def test_it_processes_in_its_thread_and_commits_when_it_stops() -> None:
    broker = MemoryBroker(SystemClock())
    worker = memory_worker(lambda _key, _value: True, broker)
    produce(broker, 3)
    engine = Engine(worker)
    root = asyncio.run(run(engine, lambda: len(broker.records("out")) == 3))
    assert not root.crashed
    assert not engine.alive
    assert engine.status().state == "stopped"
    assert [committed.offset for committed in broker.committed("engine").values()] == [3]


def test_an_error_crashes_the_whole_process_and_commits_nothing_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def poisoned(_key: object, _value: object) -> bool:
        raise ValueError("poisoned event")

    broker = MemoryBroker(SystemClock())
    worker = memory_worker(poisoned, broker)
    produce(broker, 1)
    engine = Engine(worker)
    root = asyncio.run(run(engine, lambda: False))
    assert isinstance(root.crash_reason, StreamsError)
    assert engine.failure is root.crash_reason
    assert not engine.alive
    assert [committed.offset for committed in broker.committed("engine").values() if committed.offset] == []
    crashes = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(crashes) == 1
    assert "in-0 offset 0" in crashes[0].getMessage()


def test_it_stops_only_when_the_broker_has_taken_the_last_commit_and_says_what_waits() -> None:
    broker = MemoryBroker(SystemClock())
    worker = memory_worker(lambda _key, _value: True, broker, commit_interval_ms=3_600_000)
    produce(broker, 3)
    engine = Engine(worker)

    async def scenario() -> None:
        root = Root()
        root.add_dependency(engine)
        await root.start()
        async with asyncio.timeout(60):
            while len(broker.records("out")) < 3:  # noqa: ASYNC110 - the condition is another thread's
                await asyncio.sleep(0.005)
            broker.reachable = False
            stopping = asyncio.ensure_future(root.stop())
            while "no broker answers" not in engine.unfinished():  # noqa: ASYNC110 - the condition is another thread's
                await asyncio.sleep(0.005)
            assert "not committed, so it comes again: in-0 from offset 0;" in engine.unfinished()
            assert engine.alive
            broker.reachable = True
            await stopping
        assert not root.crashed

    asyncio.run(scenario())
    assert [committed.offset for committed in broker.committed("engine").values()] == [3]
    assert engine.unfinished() == "all is committed"


def test_what_hangs_is_named_with_the_record_it_has_in_hand() -> None:
    going_on = threading.Event()

    def hanging(_key: object, _value: object) -> bool:
        return going_on.wait(60)

    broker = MemoryBroker(SystemClock())
    worker = memory_worker(hanging, broker)
    produce(broker, 1)
    engine = Engine(worker)

    async def scenario() -> None:
        root = Root()
        root.add_dependency(engine)
        await root.start()
        async with asyncio.timeout(60):
            while "in-0 from offset 0 (in hand: offset 0)" not in engine.unfinished():  # noqa: ASYNC110 - the condition is another thread's
                await asyncio.sleep(0.005)
            assert "hanging (" in engine.unfinished()
            going_on.set()
            await root.stop()

    asyncio.run(scenario())
    assert engine.unfinished() == "all is committed"


def test_it_stops_in_the_midst_of_a_batch_and_commits_what_it_has_done() -> None:
    stopping, seen = threading.Event(), 0

    def slow(_key: object, _value: object) -> bool:
        nonlocal seen
        seen += 1
        # As slow as it may be: the rest of the batch is not waited for.
        return seen < 10 or stopping.wait(60)

    broker = MemoryBroker(SystemClock())
    worker = memory_worker(slow, broker)
    produce(broker, 900)
    engine = Engine(worker)

    async def scenario() -> None:
        root = Root()
        root.add_dependency(engine)
        await root.start()
        async with asyncio.timeout(60):
            while seen < 10:  # noqa: ASYNC110 - the condition is another thread's
                await asyncio.sleep(0.005)
            engine.halt()
            stopping.set()
            await root.stop()

    asyncio.run(scenario())
    assert 10 <= seen < 200
    assert [committed.offset for committed in broker.committed("engine").values()] == [seen]
    assert len(broker.records("out")) == seen


def test_changes_of_state_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    broker = MemoryBroker(SystemClock())
    broker.reachable = False
    worker = memory_worker(lambda _key, _value: True, broker)

    def said(text: str) -> bool:
        return any(text in record.getMessage() for record in caplog.records)

    asyncio.run(run(Engine(worker), lambda: said("connecting at memory")))
    reports = [record for record in caplog.records if "at memory" in record.getMessage()]
    assert len(reports) <= 2
    assert reports[-1].levelno == logging.WARNING or len(reports) == 1


def test_stopping_before_the_start_waits_for_nothing() -> None:
    engine = Engine(memory_worker(lambda _key, _value: True, MemoryBroker(SystemClock())))

    async def scenario() -> None:
        async with asyncio.timeout(5):
            await engine.stop()

    asyncio.run(scenario())
    assert not engine.alive


def test_what_exists_at_the_start_is_not_collected_again() -> None:
    engine = Engine(memory_worker(lambda _key, _value: True, MemoryBroker(SystemClock())))
    gc.unfreeze()
    asyncio.run(run(engine, lambda: engine.alive))
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (WORKING, "running at host:9092, 3 tasks"),
        (
            replace(WORKING, state="connecting", problem="no broker answers", tasks=0),
            "connecting at host:9092, 0 tasks: no broker answers",
        ),
    ],
)
def test_the_log_line(status: WorkerStatus, line: str) -> None:
    assert summary(status) == line


def test_an_error_of_ours_is_logged_with_the_frames_of_its_cause_only() -> None:
    def users() -> None:
        raise ValueError("the user's")

    outer, inner = StreamsError("outer"), ProcessingError("inner")
    try:
        users()
    except ValueError as cause:
        outer.__cause__, inner.__cause__ = inner, cause
        outer.__traceback__ = cause.__traceback__
    shown = readable(outer)
    assert shown.__traceback__ is None
    assert isinstance(shown.__cause__, ValueError)
    assert shown.__cause__.__traceback__ is not None
    other = ValueError("a defect")
    assert readable(other) is other
