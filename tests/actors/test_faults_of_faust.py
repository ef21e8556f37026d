"""What stock Faust answers wrongly, and what is answered here: one case for each fault.

Each names where the fault lies in faust-streaming 0.15.3, and, where users met it, the issue in its
repository (or in that of the project that it was forked from, robinhood/faust).
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import App
from pipeline.actors.window_table import WindowedTable
from pipeline.agents.stream import AgentStream
from pipeline.record import TopicPartition
from pipeline.state.provider import MemoryProvider, RocksDBProvider
from pipeline.testing.driver import TopologyTestDriver
from tests.operators.cluster import Cluster

DAY_S = 86_400
#: A day of last year, in seconds.
LAST_YEAR = 1_700_000_000


@dataclass(frozen=True)
class Fault:
    """One fault; the rule that it breaks is its name.

    Attributes:
        faust: where it lies, and what comes of it.
        shows: what is answered here; it is given a folder.
        right: what that is to be.
    """

    faust: str
    shows: Callable[[Path], Any]
    right: Any


# Events and offsets


def numbers(app: App, **options: Any) -> None:
    """An agent that raises on 3, and yields all other numbers."""

    @app.agent(app.topic("in", value_type=int), sink=[app.topic("out", value_type=int)], **options)
    async def agent(stream: AgentStream[int]) -> Any:
        async for number in stream:
            if number == 3:
                raise ValueError(number)
            yield number


def raising(*, dead_letter: bool) -> Any:
    app = App("app", dead_letter="dead" if dead_letter else None)
    numbers(app)
    cluster = Cluster(
        app.topology, {"in": 1, "out": 1, "dead": 1}, dead_letter=app.streams_config.dead_letter
    )
    for number in range(6):
        cluster.send("in", None, value=b"%d" % number)
    worker = cluster.worker("a")
    try:
        cluster.run(worker)
    except Exception as error:  # noqa: BLE001 - what stops the worker is a part of what is compared
        stopped = type(error).__name__
    else:
        stopped = ""
    finally:
        worker.abort()
    values = {
        topic: [message.value for message in cluster.broker.records(topic)] for topic in ("out", "dead")
    }
    committed = cluster.broker.committed("app").get(TopicPartition("in", 0))
    comes_again = committed is None or committed.offset <= 3
    return values["out"], values["dead"], stopped, comes_again


def gap(_folder: Path) -> int:
    """The first of four records waits, the others are done: return the offset that is committed."""
    app = App("app")

    @app.agent(app.topic("in", value_type=float), concurrency=4)
    async def agent(stream: AgentStream[float]) -> None:
        async for seconds in stream:
            await asyncio.sleep(seconds)

    cluster = Cluster(app.topology, {"in": 1})
    for key, seconds in (("a", b"1000"), ("b", b"0"), ("c", b"0"), ("d", b"0")):
        cluster.send("in", key, value=seconds)
    worker = cluster.worker("a")
    cluster.run(worker)
    worker.abort()
    committed = cluster.broker.committed("app").get(TopicPartition("in", 0))
    return 0 if committed is None else committed.offset


def killed(guarantee: str) -> tuple[dict[str, int], list[Any]]:
    """A worker is gone before it commits two of four records; return the counts, and what was yielded."""
    app = App("app")
    counts = app.Table("counts", default=int)

    @app.agent(app.topic("in", key_type=str), sink=["out"])
    async def agent(stream: AgentStream[Any]) -> Any:
        async for key, _value in stream.items():
            counts[key] += 1
            yield counts[key]

    cluster = Cluster(app.topology, {"in": 1, "out": 1}, processing_guarantee=guarantee)
    disk = MemoryProvider()
    for key in ("a", "b"):
        cluster.send("in", key)
    worker = cluster.worker("a", disk)
    # No commit is due.
    cluster.run(worker, turns=20, advance_ms=1)
    assert worker.status().metrics["records_processed"] == 2
    worker.abort()
    for key in ("a", "b"):
        cluster.send("in", key)
    heir = cluster.worker("b", disk)
    cluster.run(heir, turns=60)
    found = {key: count for store in heir.registry.open("counts").values() for key, count in store.all()}
    heir.abort()
    sent = [message.value for each in cluster.broker.partitions("out") for message in each.committed()]
    return found, sent


# Tables


def using(
    make: Callable[[Any], Any],
    use: Callable[[Any, Any], Any],
    *events: tuple[float, Any],
    table: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[list[Any], TopologyTestDriver]:
    """Use a table at each event (time in seconds, value); return what that returned, and the driver."""
    app, seen = App("app"), []
    used = make(app.Table("t", default=int, **(table or {})))

    @app.agent("in", tables=[used])
    async def agent(stream: AgentStream[Any]) -> None:
        async for event in stream.events():
            seen.append(use(used, event))

    driver = TopologyTestDriver(app, **options)
    pipe(driver, *events)
    return seen, driver


def pipe(driver: TopologyTestDriver, *events: tuple[float, Any]) -> None:
    for time, value in events:
        driver.input_topic("in").pipe("x", value, round(time * 1_000))


def lose_the_disk(driver: TopologyTestDriver) -> None:
    driver.restart(crash=True, stores=MemoryProvider())


def add(table: Any, _event: Any = None) -> Any:
    table["k"] += 1
    return table["k"].current() if isinstance(table, WindowedTable) else table["k"]


def seen_after_recovery(_folder: Path) -> list[int]:
    """Count in a window, lose the disk, count on in it."""
    seen, driver = using(lambda t: t.tumbling(10, expires=DAY_S), add, (1, 0), (2, 0))
    with driver:
        lose_the_disk(driver)
        pipe(driver, (3, 0))
    return seen


def closed_after_recovery(_folder: Path) -> list[Any]:
    """Lose the disk between a window's changes and its end; return the windows that were closed."""
    closed: list[Any] = []
    on_close = {"on_window_close": lambda key, value: closed.append((key[0], tuple(key[1]), value))}
    _, driver = using(lambda t: t.tumbling(10, expires=5), add, (1, 0), (2, 0), table=on_close)
    with driver:
        lose_the_disk(driver)
        pipe(driver, (40, 0))
    return closed


def closed_by(*times: float) -> list[Any]:
    """Return start and value of the windows that were closed, a year after the events by the clock."""
    closed: list[Any] = []
    on_close = {"on_window_close": lambda key, value: closed.append((key[1][0] - LAST_YEAR, value))}
    _, driver = using(
        lambda t: t.tumbling(10, expires=20),
        add,
        *((LAST_YEAR + time, 0) for time in times),
        table=on_close,
        clock_ms=(LAST_YEAR + 365 * DAY_S) * 1_000,
    )
    with driver:
        return closed


def waiting_to_close(_folder: Path) -> int:
    """Change three keys a hundred times each; return how much waits for their window's close."""

    def change(table: Any, _event: Any) -> None:
        for key in "abc":
            table[key] += 1

    on_close = {"on_window_close": lambda _key, _value: None}
    _, driver = using(lambda t: t.tumbling(10, expires=5), change, *([(1, 0)] * 100), table=on_close)
    with driver:
        return len(driver.broker.records("app-t-closing-changelog"))


def expired_after_recovery(_folder: Path) -> list[Any]:
    """A window expires, and then the disk is lost; return what is found in it before and after."""

    def use(table: Any, _event: Any) -> Any:
        table["k"] += 1
        return table["k"].delta(50)

    seen, driver = using(lambda t: t.tumbling(10, expires=5), use, (1, 0), (51, 0))
    with driver:
        lose_the_disk(driver)
        pipe(driver, (51, 0))
    return seen


def by_the_clock(_folder: Path) -> list[int]:
    """Three events, ten seconds apart by the clock; return what each finds in the present window."""

    def use(table: Any, _event: Any) -> Any:
        table["k"] += 1
        return table["k"].now()

    seen, driver = using(lambda t: t.tumbling(10).relative_to_now(), use, clock_ms=100_000)
    with driver:
        for _ in range(3):
            pipe(driver, (0, 0))
            driver.advance_wall_clock(timedelta(seconds=10))
    return seen


def delta_by_field(_folder: Path) -> list[int]:
    """The field says when; return what is in the window ten seconds before."""

    def use(table: Any, _event: Any) -> Any:
        table["k"] += 1
        return table["k"].delta(10)

    seen, driver = using(
        lambda t: t.tumbling(10).relative_to_field(lambda value: value), use, (5, 1), (5, 2), (5, 15)
    )
    with driver:
        return seen


def windows_of(size: float, step: float, *times: float) -> list[Any]:
    """Return the starts, in seconds, of the windows that hold each time."""

    def starts(table: Any, event: Any) -> list[float]:
        return [start / 1_000 for start in table.windows.starts(event.timestamp)]

    seen, driver = using(lambda t: t.hopping(size, step), starts, *((time, 0) for time in times))
    with driver:
        return seen


def whole_window(_folder: Path) -> list[Any]:
    def use(table: Any, _event: Any) -> Any:
        table["k"] += 1
        return sorted(table.items()), sorted(table.keys())

    seen, driver = using(lambda t: t.tumbling(10), use, (1, 0), (2, 0), (12, 0))
    with driver:
        return seen


def bytes_keys(folder: Path) -> list[Any]:
    def use(table: Any, _event: Any) -> Any:
        table[b"\xff"] += 1
        return table[b"\xff"].current()

    disk = RocksDBProvider(folder, "app")
    seen, driver = using(
        lambda t: t.tumbling(10), use, (1, 0), (2, 0), table={"key_type": bytes}, stores=disk
    )
    with driver:
        return seen


def falsy_after_a_tombstone(_folder: Path) -> Any:
    """Delete a key and put zero under it, in one batch; lose the disk."""

    def use(table: Any, event: Any) -> Any:
        if event.value == "put":
            table["k"] = 7
            del table["k"]
            table["k"] = 0
        return dict(table.items())

    seen, driver = using(lambda t: t, use, (1, "put"))
    with driver:
        lose_the_disk(driver)
        pipe(driver, (2, "look"))
    return seen


def cleared(folder: Path) -> list[Any]:
    def use(table: Any, event: Any) -> Any:
        if event.value == "clear":
            table.clear()
        else:
            table[event.value] = 1
        return dict(table.items())

    disk = RocksDBProvider(folder, "app")
    seen, driver = using(lambda t: t, use, (1, "a"), (2, "b"), (3, "clear"), (4, "c"), stores=disk)
    with driver:
        return seen


def without_records(_folder: Path) -> list[Any]:
    """A table that nothing was written to yet is restored, and used."""
    seen, driver = using(lambda t: t, add)
    with driver:
        lose_the_disk(driver)
        pipe(driver, (1, 0))
    return seen


OUT = [b"0", b"1", b"2", b"4", b"5"]
FAULTS = {
    "an event that an agent raises on is not done": Fault(
        "streams.py:1185-1187 acknowledges it in a finally: it is gone, and its offset is committed (#315)",
        lambda _folder: raising(dead_letter=False),
        (OUT[:3], [], "UnhandledRecordError", True),
    ),
    "nor are those after it lost when it is put aside": Fault(
        "the same",
        lambda _folder: raising(dead_letter=True),
        (OUT, [b"3"], "", False),
    ),
    "no offset is committed past a record that is not done": Fault(
        "transport/consumer.py:1138-1141: a fresh group commits past the one that still runs (#606)",
        gap,
        0,
    ),
    "state fits the offsets after a crash, without transactions": Fault(
        "stores/rocksdb.py:474-480 writes before offsets are committed: what is read again is counted twice",
        lambda _folder: killed("at_least_once")[0],
        {"a": 2, "b": 2},
    ),
    "with exactly-once what an agent yields is in the transaction": Fault(
        "transport/consumer.py:285-310: sinks' topics have no transactional producer, what is read again is "
        "written again (#177)",
        lambda _folder: killed("exactly_once"),
        ({"a": 2, "b": 2}, [b"1", b"1", b"2", b"2"]),
    ),
    "windows are the same after a recovery": Fault(
        "tables/base.py:451-460: what a window's end needs is in memory alone (#385)",
        seen_after_recovery,
        [1, 2, 3],
    ),
    "and close after it": Fault("the same (#385)", closed_after_recovery, [("k", (0.0, 10.0), 2)]),
    "a window that has expired does not come back from the changelog": Fault(
        "tables/base.py:427-428 removes it without a tombstone",
        expired_after_recovery,
        [0, 0, 0],
    ),
    "windows of old events are open until the events' time passes": Fault(
        "tables/base.py:387-388 compares with the clock: a replay of last year's expires at once",
        lambda _folder: closed_by(0, 1, 2, 31),
        [(0, 3)],
    ),
    "a window closes although a later one has": Fault(
        "tables/base.py:429 skips windows that are older than the newest that was closed",
        lambda _folder: closed_by(25, 5, 26, 100),
        [(0, 1), (20, 2)],
    ),
    "what waits for a window's close is one entry": Fault(
        "tables/base.py:451-460 keeps one for each change", waiting_to_close, 3
    ),
    "relative_to_now goes by the clock": Fault(
        "tables/base.py:575-580 begins at 0 and feeds itself: all three are in one window",
        by_the_clock,
        [1, 1, 1],
    ),
    "delta goes by the field, too": Fault("it ignores relative_to_field (#428)", delta_by_field, [0, 0, 2]),
    "windows may be finer than a second": Fault(
        "windows.py: int(step) is 0, a ValueError",
        lambda _folder: windows_of(0.5, 0.25, 1, 1.25),
        [[0.75, 1.0], [1.0, 1.25]],
    ),
    "windows of a second and a half do not overlap": Fault(
        "windows.py: int() of their ranges",
        lambda _folder: windows_of(1.5, 1.5, 1.4, 1.5, 2.9, 3),
        [[0.0], [1.5], [1.5], [3.0]],
    ),
    "the last tenth of a second belongs to its window": Fault(
        "types/windows.py:15-18: a window ends a tenth of a second early",
        lambda _folder: windows_of(10, 10, 9.95, 9.999, 10),
        [[0.0], [0.0], [10.0]],
    ),
    "a window can be looked through": Fault(
        "NotImplementedError without a second table (key_index=True)",
        whole_window,
        [([("k", 1)], ["k"]), ([("k", 2)], ["k"]), ([("k", 1)], ["k"])],
    ),
    "keys of windows may be bytes": Fault(
        "stores/rocksdb.py: KeyError 'raw mode only support bytes'", bytes_keys, [1, 2]
    ),
    "zero after a deletion is there": Fault(
        "stores/memory.py:36-40 drops a key that is deleted and put again with a falsy value in one batch",
        falsy_after_a_tombstone,
        [{"k": 0}, {"k": 0}],
    ),
    "a table can be cleared": Fault(
        "stores/rocksdb.py:737 is a TODO", cleared, [{"a": 1}, {"a": 1, "b": 1}, {}, {"c": 1}]
    ),
    "a table that is empty is recovered": Fault(
        "tables/recovery.py:675,723,769 wait for a record that never comes (#597)", without_records, [1]
    ),
}


@pytest.mark.parametrize("rule", FAULTS)
def test_what_stock_faust_answers_wrongly(rule: str, tmp_path: Path) -> None:
    fault = FAULTS[rule]
    assert fault.shows(tmp_path) == fault.right, f"{rule}; Faust: {fault.faust}"


#: Faults that need more around them, and the tests that show what is right.
ELSEWHERE = {
    "app/router.py: table_route hashes another form of the key than the topic has, and the wrong worker "
    "answers the default (#514)": "actors/test_table_route.py::test_whoever_is_asked_the_owner_answers",
    "app/base.py:270-285: views answer before recovery, with defaults": (
        "actors/test_table_route.py::test_a_view_without_a_route_says_what_stores_says"
    ),
    "transport/consumer.py:1080: an offset counts as committed when its commit failed (#611); duplicates and "
    "another order around rebalances (#502)": (
        "simulation/test_simulation.py::test_nothing_is_lost_and_with_exactly_once_nothing_is_there_twice"
    ),
    "joins.py:25-27: a join raises NotImplementedError at the first event": (
        "actors/test_from_faust.py::test_what_is_said_is_so"
    ),
}


@pytest.mark.parametrize("place", ELSEWHERE.values())
def test_what_is_shown_elsewhere_is(place: str) -> None:
    path, _, name = place.partition("::")
    tree = ast.parse((Path(__file__).parent.parent / path).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
