"""Runs cases through Headrace, in its TopologyTestDriver."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pipeline.errors import StreamsError
from pipeline.state.provider import MemoryProvider, RocksDBProvider, StoreProvider
from pipeline.testing.driver import TestOutputTopic, TopologyTestDriver
from tests.oracle.cases import Case, Input, Output, Result, Row
from tests.oracle.declare import declare
from tests.oracle.functions import text
from tests.oracle.probes import Probe, probe

#: What happens to a worker: it ends in order and starts again; it is killed; it is killed, and starts on a
#: machine without its state.
Event: TypeAlias = Literal["restart", "crash", "move"]


def run(case: Case, partitions: int = 1, events: Mapping[int, Event] | None = None) -> Result:
    """Return what our side makes of a case.

    Args:
        case: the case.
        partitions: of every topic.
        events: what happens to the worker after the input of this number.
    """
    result = Result()
    with ExitStack() as machines, suppress(StreamsError):
        try:
            with _driver(case, partitions, machines) as driver:
                topics = {sink: driver.output_topic(sink, key=bytes, value=bytes) for sink in case.sinks()}
                for number, record in enumerate(case.inputs):
                    _pipe(driver, number, record)
                    if events and number in events:
                        _befall(driver, events[number], case, machines)
                    result.outputs.append(list(_read(topics)))
                result.stores = _contents(driver, case, partitions)
        except StreamsError as error:
            result.error = f"{type(error).__name__}: {error}"
            raise
    return result


def topics(
    case: Case, partitions: int = 1, events: Mapping[int, Event] | None = None
) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that the topics hold that a case writes to, and its repartition topics, at the end."""
    with ExitStack() as machines:
        driver = _driver(case, partitions, machines)
        with suppress(StreamsError), driver:
            for number, record in enumerate(case.inputs):
                _pipe(driver, number, record)
                if events and number in events:
                    _befall(driver, events[number], case, machines)
        written = [name for name in driver.broker.topics() if name.endswith("-repartition")]
        return {
            name: [
                (m.partition, m.offset, m.key, m.value, m.timestamp, m.headers)
                for m in driver.broker.records(name)
            ]
            for name in [*case.sinks(), *written]
        }


def _driver(case: Case, partitions: int, machines: ExitStack) -> TopologyTestDriver:
    stores = _machine(case, machines)
    return TopologyTestDriver(declare(case), partitions=partitions, topics=case.sinks(), stores=stores)


def _machine(case: Case, machines: ExitStack) -> StoreProvider:
    """Return where a worker keeps its state: in memory, or in a folder of its own."""
    if case.in_memory:
        return MemoryProvider()
    folder = machines.enter_context(tempfile.TemporaryDirectory(prefix="headrace-oracle-"))
    return machines.enter_context(closing(RocksDBProvider(Path(folder), "oracle")))


def _befall(driver: TopologyTestDriver, event: Event, case: Case, machines: ExitStack) -> None:
    """Stop the worker and start another one."""
    driver.restart(crash=event != "restart", stores=_machine(case, machines) if event == "move" else None)


def _pipe(driver: TopologyTestDriver, number: int, record: Input) -> None:
    """Write one record, or advance the wall clock."""
    if len(record) == 1:
        driver.advance_wall_clock(timedelta(milliseconds=record[0]))
        return
    topic, key, value, timestamp = record
    driver.pipe(topic, _bytes(key), _bytes(value), timestamp, (("input", str(number).encode()),))


def _bytes(string: str | None) -> bytes | None:
    return None if string is None else string.encode()


def _read(topics: dict[str, TestOutputTopic]) -> Iterator[Output]:
    """Iterate what has come out since the last call."""
    for name, topic in topics.items():
        for record in topic.read_all():
            headers = " ".join((value or b"").decode() for _, value in record.headers)
            yield Output(name, record.key, record.value, record.timestamp, headers)


def _contents(driver: TopologyTestDriver, case: Case, partitions: int = 1) -> dict[str, list[Row]]:
    """Return what the user's stores hold, all partitions together."""
    probed = probe(case)
    everywhere = {node["id"] for node in case.nodes if node["op"] == "global_table"}
    return {
        name: [
            row
            for number in range(1 if name in everywhere else partitions)
            for row in _rows(driver.store(name, number), kind, probed)
        ]
        for name, kind in stores(case).items()
    }


def stores(case: Case) -> dict[str, str]:
    """Return the user's stores by name: key-value, window, session or versioned."""
    return {node["id"]: kind for node in case.nodes if (kind := _store_kind(node)) is not None}


def _store_kind(node: dict[str, Any]) -> str | None:
    op = node["op"]
    if op == "process":
        return "key-value" if node["fn"].startswith("previous") else None
    always = {
        "table",
        "global_table",
        "aggregate",
        "cogroup",
        "table_aggregate",
        "foreign_key_join",
        "to_table",
    }
    if op not in always and not node.get("materialized"):
        return None
    if "history" in node:
        return "versioned"
    return {"none": "key-value", "session": "session"}.get(
        node.get("windows", {}).get("kind", "none"), "window"
    )


def _rows(store: Any, kind: str, probed: Probe) -> Iterator[Row]:
    match kind:
        case "key-value":
            for key, found in store.committed_scan():
                yield text(store.key_serde.deserialize(key)), text(found.value), found.timestamp
        case "window":
            for key, start, found in store.committed_scan():
                yield text(store.key_serde.deserialize(key)), start, text(found.value), found.timestamp
        case "session":
            for key, start, end, found in store.committed_scan():
                yield text(store.key_serde.deserialize(key)), start, end, text(found.value)
        case _:
            for key in probed.keys:
                for asked in (-1, *probed.times):
                    found = store.get(key) if asked == -1 else store.get(key, asked)
                    if found is not None:
                        yield key, asked, text(found.value), found.timestamp
