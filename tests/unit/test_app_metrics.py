"""`GET /metrics`: what makes each metric move, and that the catalogue, the answer and the page agree."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from mode import Service

from pipeline.engine import Engine
from pipeline.runtime.metrics.catalog import CATALOG
from pipeline.web.metrics import render
from tests.unit.app_in_memory import ask, produce, step
from tests.unit.metrics_page import PAGE, page
from tests.unit.metrics_scenarios import SCENARIOS, event, place, scrape, told

NO_LABELS: Final[Mapping[str, str]] = {}


class Moved(NamedTuple):
    """A sample that a scenario brings about.

    Attributes:
        metric: key in the catalogue.
        at_least: what it is then, or more.
        labels: of the sample.
        exactly: whether it is that and no more.
    """

    metric: str
    at_least: float
    labels: Mapping[str, str] = NO_LABELS
    exactly: bool = False


def counts(group: str, **numbers: float) -> list[Moved]:
    return [Moved(f"{group}:{name.replace('_', '-')}", number) for name, number in numbers.items()]


THREAD: Final = "stream-thread-metrics"
TASK: Final = "stream-task-metrics"
NODE: Final = "stream-processor-node-metrics"
TOPIC: Final = "stream-topic-metrics"
STATE: Final = "stream-state-metrics"
TICK_MS: Final = 0.001
TINY: Final = 1e-12
DROPPED: Final = f"{TASK}:dropped-records-total"
DEAD: Final = "headrace:dead-letters-total"

MOVED: Final[dict[str, list[Moved]]] = {
    "busy": [
        Moved("headrace:state", 1, {"state": "running"}),
        Moved("headrace:state", 0, {"state": "restoring"}, exactly=True),
        Moved("headrace:tasks", 1, exactly=True),
        *counts(THREAD, task_created_total=1, thread_start_time=1_674_981_720_000, process_total=700),
        *(
            moved
            for name in ("process", "poll", "commit", "punctuate")
            for moved in counts(
                THREAD,
                **{f"{name}_latency_avg": TICK_MS, f"{name}_latency_max": TICK_MS, f"{name}_ratio": TINY},
            )
        ),
        *counts(THREAD, process_records_avg=0.1, process_records_max=100),
        *counts(THREAD, poll_total=2, poll_records_avg=0.1, poll_records_max=100, commit_total=1),
        *counts(THREAD, punctuate_total=1),
        *counts("consumer-coordinator-metrics", rebalance_total=1, assigned_partitions=2),
        Moved(f"{TOPIC}:records-consumed-total", 700, {"topic_name": "events"}, exactly=True),
        Moved(f"{TOPIC}:bytes-consumed-total", 700 * 22, {"topic_name": "events"}),
        Moved(f"{TOPIC}:records-produced-total", 700, {"topic_name": "out"}, exactly=True),
        Moved(f"{TOPIC}:bytes-produced-total", 700 * 22, {"topic_name": "out"}),
        Moved(f"{TOPIC}:records-produced-total", 7, {"topic_name": "web-per-minute-changelog"}),
        Moved(f"{TASK}:process-total", 700, {"task_id": "0_0"}, exactly=True),
        *counts(TASK, process_latency_avg=TICK_MS, process_latency_max=TICK_MS),
        Moved(f"{TASK}:active-process-ratio", 1, {"task_id": "0_0"}, exactly=True),
        Moved(f"{NODE}:process-total", 1, {"processor_node_id": "filter-1"}),
        Moved(f"{NODE}:process-total", 1, {"processor_node_id": "per-minute"}),
        Moved(f"{NODE}:process-total", 1, {"processor_node_id": "to-stream-1"}),
        *counts(NODE, process_latency_avg=TICK_MS, process_latency_max=TICK_MS),
        *counts("headrace", node_process_time_ns_total=1_000),
        Moved(f"{NODE}:record-e2e-latency-min", 1, {"processor_node_id": "source-1"}),
        *counts(NODE, record_e2e_latency_avg=1, record_e2e_latency_max=1),
        Moved("stream-record-cache-metrics:hit-ratio-avg", 0.1, {"store": "per-minute"}),
        Moved("headrace:store-reads-total", 1, {"store": "per-minute"}),
        Moved(f"{STATE}:estimate-num-keys", 7, {"store": "per-minute", "task_id": "0_0"}),
        Moved(f"{STATE}:estimate-num-keys", 1, {"store": "rates", "task_id": "global"}),
        *counts(STATE, num_entries_active_mem_table=1, cur_size_all_mem_tables=1, size_all_mem_tables=1),
        *counts(STATE, total_sst_files_size=1, live_sst_files_size=1, estimate_live_data_size=1),
        *counts(STATE, num_live_versions=1, estimate_table_readers_mem=0),
        # What is idle and whole says 0 of these.
        *counts(STATE, num_immutable_mem_table=0, num_running_compactions=0, compaction_pending=0),
        *counts(STATE, estimate_pending_compaction_bytes=0, background_errors=0),
        *counts(STATE, block_cache_capacity=1_048_576, block_cache_usage=1, block_cache_pinned_usage=0),
    ],
    "bad": [
        Moved(DROPPED, 1, {"task_id": "0_0", "reason": "late"}, exactly=True),
        Moved(DROPPED, 1, {"task_id": "0_0", "reason": "null_key"}, exactly=True),
        Moved(DROPPED, 1, {"task_id": "0_0", "reason": "decode_error"}, exactly=True),
        Moved(DROPPED, 1, {"task_id": "0_0", "reason": "processing_error"}, exactly=True),
        *counts(TASK, record_lateness_max=0, record_lateness_avg=0),
    ],
    "late": [*counts(TASK, record_lateness_max=1_000, record_lateness_avg=1)],
    "put_aside": [
        Moved(DEAD, 1, {"topic_name": "events", "reason": "decode"}, exactly=True),
        Moved(DEAD, 1, {"topic_name": "events", "reason": "processing"}, exactly=True),
        Moved(DEAD, 1, {"topic_name": "events", "reason": "null_key"}, exactly=True),
    ],
    "restored": counts("headrace", restored_records_total=10, restore_time_ns_total=1_000),
    "restoring": [
        Moved("headrace:state", 1, {"state": "restoring"}),
        Moved("headrace:store-restore-remaining-records", 1, {"store": "per-minute", "partition": "0"}),
    ],
    "waiting": [
        Moved(f"{TASK}:active-buffer-count", 5, {"task_id": "0_0"}),
        Moved("consumer-fetch-manager-metrics:records-lag", 12, {"topic": "events", "partition": "0"}),
        Moved("consumer-fetch-manager-metrics:records-lag", 0, {"topic": "others", "partition": "0"}),
    ],
    "unreachable": [
        Moved("headrace:commit-failures-total", 1),
        Moved("headrace:producer-queue-records", 1),
        Moved("headrace:store-uncommitted-entries", 0),
    ],
    "uncommitted": [Moved("headrace:store-uncommitted-entries", 1, {"store": "per-minute"}, exactly=True)],
    "shared": [
        Moved(f"{THREAD}:task-closed-total", 1),
        Moved("headrace:revocations-uncommitted-total", 1),
    ],
    "lost": [Moved("headrace:offsets-reset-total", 1)],
    "global_rows": [Moved("headrace:global-records-total", 2, exactly=True)],
}


@pytest.mark.parametrize("scenario", MOVED)
def test_what_moves(scenario: str, tmp_path: Path) -> None:
    scraped = SCENARIOS[scenario](tmp_path)
    for metric, at_least, labels, exactly in MOVED[scenario]:
        numbers = told(scraped, metric, **labels)
        assert numbers, f"{metric} {labels} is not told"
        assert max(numbers) >= at_least, f"{metric} {labels}"
        assert not exactly or sum(numbers) == at_least, f"{metric} {labels}"
        if CATALOG[metric].rate and at_least:
            rates = told(scraped, CATALOG[metric].as_rate.key, **labels)
            assert max(rates) > 0, f"rate of {metric} {labels}"


def test_whatever_is_told_is_moved_by_a_test() -> None:
    moved = {each.metric for table in MOVED.values() for each in table}
    rates = {CATALOG[key].as_rate.key for key in moved if CATALOG[key].rate}
    assert CATALOG.keys() - moved - rates == {"stream-metrics:alive-stream-threads"}


def test_whether_the_thread_is_alive() -> None:
    seen: list[str] = []

    async def run() -> None:
        engine, root = Engine(place().worker), Service()
        seen.append(render("web", engine))
        root.add_dependency(engine)
        await root.start()
        seen.append(render("web", engine))
        await root.stop()
        seen.append(render("web", engine))

    asyncio.run(run())
    name = 'kafka_streams_stream_metrics_alive_stream_threads{application="web"}'
    for alive, text in zip((0.0, 1.0, 0.0), seen, strict=True):
        assert f"{name} {alive}" in text


def test_every_metric_says_what_it_is() -> None:
    ((_, body, _),) = ask(place().app, "/metrics")
    assert "# HELP headrace_tasks Tasks held by this worker. [tasks]" in body["text"]
    assert "# TYPE headrace_tasks gauge" in body["text"]


def test_names_are_those_of_kafka_and_unique() -> None:
    assert (
        CATALOG["stream-task-metrics:process-total"].prometheus
        == "kafka_streams_stream_task_metrics_process_total"
    )
    assert (
        CATALOG["consumer-fetch-manager-metrics:records-lag"].prometheus
        == "kafka_consumer_consumer_fetch_manager_metrics_records_lag"
    )
    names = [metric.prometheus for metric in CATALOG.values()]
    assert len(set(names)) == len(names)


def test_off_is_off() -> None:
    world = place(metrics_recording_level="off")
    produce(world.broker, "events", [event("a")])
    step(world)
    assert {name for name, _ in scrape(world.app)} == {
        "headrace_state",
        "headrace_tasks",
        "kafka_streams_stream_metrics_alive_stream_threads",
    }


def test_topics_beyond_the_bound_are_one() -> None:
    world = place(metrics_topics=2)
    produce(world.broker, "events", [event("a")])
    produce(world.broker, "others", [event("a")])
    produce(world.broker, "rates", [(b"EUR", (1).to_bytes(8, "big"))])
    step(world)
    scraped = scrape(world.app)
    consumed = CATALOG["stream-topic-metrics:records-consumed-total"].prometheus
    topics = {dict(labels)["topic_name"] for name, labels in scraped if name == consumed}
    assert len(topics) == 3
    assert "(other)" in topics
    assert sum(told(scraped, "stream-topic-metrics:records-consumed-total")) == 3


def test_a_snapshot_is_of_the_last_second_and_never_changes() -> None:
    world = place()
    step(world)
    before = world.worker.measured()
    produce(world.broker, "events", [event("a")])
    world.clock.advance(999)
    world.worker.step()
    assert world.worker.measured() is before
    kept = {key: list(samples) for key, samples in before.samples.items()}
    world.clock.advance(1)
    world.worker.step()
    assert world.worker.measured() is not before
    assert str(before.samples) == str(kept)


def test_averages_forget_what_is_two_windows_ago() -> None:
    world = place()
    produce(world.broker, "events", [event("a")])
    step(world)
    assert told(scrape(world.app), "stream-task-metrics:process-latency-max")[0] > 0
    for _ in range(4):
        world.clock.advance(30_000)
        world.worker.step()
    scraped = scrape(world.app)
    assert math.isnan(told(scraped, "stream-task-metrics:process-latency-max")[0])
    assert told(scraped, "stream-task-metrics:process-rate") == [0]
    assert told(scraped, "stream-task-metrics:process-total") == [1]


def test_the_page_lists_what_is_told() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(PAGE.read_text(encoding="utf-8")), "run make metrics"
