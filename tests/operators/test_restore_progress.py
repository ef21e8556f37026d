"""How far restoring has come: in the log, in the status, on a terminal."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.restore_bar import RestoreBar
from pipeline.runtime.restore_progress import Restoring
from pipeline.state.provider import MemoryProvider
from pipeline.topology import Topology
from tests.operators.cluster import Cluster

RECORDS = 1_000
PER_STEP = 100


def counting() -> Topology:
    builder = StreamsBuilder("app")
    builder.stream("in", key=str, value=str).group_by_key().count(name="counts")
    return builder.build()


def loading() -> Topology:
    builder = StreamsBuilder("app")
    rows = builder.global_table("R", name="rows", value=str)
    words = builder.stream("in", key=str, value=str)
    joined = words.join(rows, lambda _key, value, _row: value, key_mapper=lambda key, _: key, name="joined")
    joined.to("out", value=str)
    return builder.build()


def restarting(topology: Topology, topic: str) -> Cluster:
    cluster = Cluster(topology, {"in": 1, "R": 1, "out": 1}, restore_records=PER_STEP)
    worker = cluster.worker("a")
    cluster.run(worker, turns=4)
    for number in range(RECORDS):
        cluster.send(topic, f"key-{number}")
    cluster.run(worker, turns=20)
    worker.close()
    return cluster


@pytest.mark.parametrize(
    ("topology", "topic"), [(counting, "in"), (loading, "R")], ids=["task", "global table"]
)
def test_records_rate_and_time_left_are_told(
    topology: Callable[[], Topology], topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = restarting(topology(), topic)
    worker = cluster.worker("b", MemoryProvider())
    seen: list[Restoring] = []
    with caplog.at_level(logging.INFO, logger="pipeline.runtime.restore_progress"):
        for _ in range(30):
            worker.step()
            status = worker.status()
            if status.restoring is not None and status.restoring.restored:
                seen.append(status.restoring)
                assert status.state == "restoring"
            cluster.clock.advance(1_000)
    assert worker.status().restoring is None
    assert [progress.restored for progress in seen] == list(range(PER_STEP, RECORDS, PER_STEP))
    assert {(progress.stores, progress.total) for progress in seen} == {(1, RECORDS)}
    # A global table is begun when its topic is asked for, one step before the first record is read.
    for seconds, progress in enumerate(seen[1:], start=2 if topic == "R" else 1):
        assert progress.rate == pytest.approx(progress.restored / seconds)
        assert progress.left_s == pytest.approx((RECORDS - progress.restored) / progress.rate)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "restoring 1 store: 1,000 records"
    assert lines[-1].startswith("restored 1,000 records in ")
    assert len(lines) == 3  # One between, for more than five seconds have gone by.
    assert "left" in lines[1]


def test_a_task_that_goes_away_meanwhile_is_no_longer_waited_for() -> None:
    cluster = restarting(counting(), "in")
    worker = cluster.worker("b", MemoryProvider())
    cluster.run(worker, turns=3)
    assert worker.status().restoring is not None
    cluster.broker.expire("app", "b")
    cluster.run(cluster.worker("a"), worker, turns=4)
    assert worker.status().restoring is None
    assert worker.status().tasks == 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [Terminal(), io.StringIO()])
def test_a_bar_is_drawn_on_a_terminal_alone(terminal: io.StringIO) -> None:
    bar = RestoreBar(terminal)
    bar.show(None)
    assert terminal.getvalue() == ""
    bar.show(Restoring(2, 500, 2_000, 100.0, 15.0))
    drawn = terminal.getvalue()
    assert ("restoring [#######....." in drawn) == terminal.isatty()
    bar.show(None)
    bar.show(None)
    assert terminal.getvalue() == (drawn and f"{drawn}\x1b[K\r")
    assert "\n" not in terminal.getvalue()
