"""No record is tried for ever: what is lost again and again stops the worker, which says where it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import StuckError, UnhandledRecordError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Committed
from pipeline.topology import Topology
from tests.contract.broker_clients import Listener, until
from tests.operators.cluster import Cluster


def filtering(predicate: Callable[[Any, Any], bool]) -> Topology:
    builder = StreamsBuilder("app")
    builder.stream("in", key=str, value=bytes).filter(predicate).to("out")
    return builder.build()


def test_a_record_that_takes_longer_than_the_group_waits_is_tried_so_often_and_then_named() -> None:
    tries = 0

    def slow(key: str, _value: bytes) -> bool:
        nonlocal tries
        if key == "slow":
            tries += 1
            cluster.broker.expire("app", "a")
        return True

    cluster = Cluster(filtering(slow), {"in": 1, "out": 1}, max_rewinds=4)
    worker = cluster.worker("a")
    cluster.run(worker, turns=5)
    cluster.send("in", "quick")
    cluster.run(worker, turns=5)
    cluster.send("in", "slow")
    with pytest.raises(
        StuckError, match=r"4 times in a row \(max_rewinds\).*begins again at in-0 from offset 1;"
    ):
        cluster.run(worker, turns=50, advance_ms=0)
    assert tries == 4


def test_so_is_one_that_takes_longer_than_its_transaction_may() -> None:
    tries = 0

    def slow(key: str, _value: bytes) -> bool:
        nonlocal tries
        if key == "slow":
            tries += 1
            cluster.clock.advance(20_000)
        return True

    settings = {"processing_guarantee": "exactly_once", "transaction_timeout_ms": 10_000}
    cluster = Cluster(filtering(slow), {"in": 1, "out": 1}, max_rewinds=3, **settings)
    worker = cluster.worker("a")
    cluster.run(worker, turns=5)
    for key in ("quick", "slow"):
        cluster.send("in", key)

    def run() -> None:
        for _ in range(100):
            worker.step()
            cluster.broker.time_out_transactions()
            cluster.clock.advance(1_000)

    with pytest.raises(StuckError, match=r"3 times in a row.*begins again at in-0 from offset 0;.*fenced"):
        run()
    assert tries == 3


def test_what_is_lost_now_and_then_is_not_counted_together() -> None:
    cluster = Cluster(filtering(lambda _key, _value: True), {"in": 1, "out": 1}, max_rewinds=2)
    worker = cluster.worker("a")
    for number in range(6):
        cluster.send("in", f"k{number}")
        cluster.run(worker, turns=1, advance_ms=0)
        cluster.broker.expire("app", "a")
        cluster.run(worker, turns=6)
    assert len({message.key for message in cluster.broker.records("out")}) == 6


def test_a_broker_that_is_away_for_long_is_waited_for() -> None:
    builder = StreamsBuilder("app")
    builder.stream("in", key=str, value=bytes).to(lambda key, _value: f"out-{key}")
    cluster = Cluster(builder.build(), {"in": 1, "out-x": 1}, max_rewinds=2)
    worker = cluster.worker("a")
    cluster.run(worker, turns=5)
    cluster.send("in", "x")
    for _ in range(20):
        cluster.broker.reachable = False
        cluster.run(worker, turns=3, advance_ms=20_000)
        assert worker.status().problem is not None
        cluster.broker.reachable = True
        worker.step()
    cluster.run(worker, turns=10)
    assert cluster.read("out-x") == [b"x"]


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_a_poisoned_record_stops_the_worker_which_says_how_to_go_past_it(guarantee: str) -> None:
    tried: list[str] = []

    def poisoned(key: str, _value: bytes) -> bool:
        tried.append(key)
        if key == "poison":
            raise ValueError("no")
        return True

    cluster = Cluster(filtering(poisoned), {"in": 1, "out": 1}, processing_guarantee=guarantee)
    for key in ("before", "poison", "after"):
        cluster.send("in", key)
    for _ in range(2):
        # Started again, it meets the same.
        worker = cluster.worker("a")
        with pytest.raises(UnhandledRecordError) as raised:
            cluster.run(worker)
        worker.abort()
    assert tried == ["before", "poison"] * 2
    says = str(raised.value)
    assert [
        part
        for part in ("dead_letter=", 'on_processing_error="continue"', "in-0 offset 1")
        if part not in says
    ] == []
    assert "--group app --topic in:0 --reset-offsets --to-offset 2 --execute" in says

    # What that command does: it commits the offset, with no metadata.
    listener, partition = Listener(), TopicPartition("in", 0)
    with closing(cluster.broker.consumer("app", "tool")) as tool:
        tool.subscribe(["in"], listener)
        until(lambda: bool(listener.owned), tool)
        tool.commit({partition: Committed(2)})
    cluster.run(cluster.worker("a"))
    assert tried[-1] == "after"
    assert b"after" in cluster.read("out")
