"""How the process ends: told to stop, within a bound, whatever hangs; with an exit code that says how."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.record import TopicPartition
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.testing.brokers import ApacheKafka, EmbeddedBroker
from tests.integration.faust_process import FaustProcess
from tests.integration.flagship.broker import project_directory
from tests.integration.flagship.waiting import wait_until

KINDS = [
    pytest.param("embedded", marks=pytest.mark.embedded),
    pytest.param("kafka", marks=pytest.mark.kafka),
]

#: Records are committed when the worker stops, and not before.
TOPOLOGY = """
import time
from pathlib import Path
from pipeline import App

app = App("{name}", shutdown_timeout={timeout}, commit_interval=3600)

def hang(key, value):
    while value == "hang":
        Path("hangs").touch()
        time.sleep(0.1)
    return True

words = app.stream("{name}-in", key=str, value=str).filter(hang)
words.group_by_key().count(name="counts").to_stream().to("{name}-out")
"""


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    kind = {"embedded": "embedded_broker", "kafka": "apache_kafka"}[request.param]
    found: str = request.getfixturevalue(kind).address
    return found


@contextmanager
def own_broker(kind: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield a broker's address, and what takes it away."""
    if kind == "embedded":
        with EmbeddedBroker() as embedded:
            yield embedded.address, embedded.stop
    else:
        with project_directory(), ApacheKafka() as kafka:
            yield kafka.address, lambda: kafka.kill(0)


def prepare(address: str, name: str) -> None:
    with closing(KafkaBroker(address).admin()) as admin:
        admin.create_topics([TopicSpec(f"{name}-in", 1, {}), TopicSpec(f"{name}-out", 1, {})])


def send(address: str, name: str, *values: str) -> None:
    with closing(KafkaBroker(address).producer("test")) as producer:
        for value in values:
            producer.produce(f"{name}-in", value.encode(), b"key", 0, 1_000, ())
        assert not producer.flush(60)


def committed(address: str, name: str) -> int:
    """Return how many records of the input are committed."""
    partition = TopicPartition(f"{name}-in", 0)
    with closing(KafkaBroker(address).consumer(name, "test")) as consumer:
        found = consumer.committed([partition])
    return found[partition].offset if partition in found else 0


def results(address: str, name: str) -> int:
    partition = TopicPartition(f"{name}-out", 0)
    with closing(KafkaBroker(address).admin()) as admin:
        return admin.end_offsets([partition])[partition]


def worker(folder: Path, address: str, name: str, timeout: int) -> FaustProcess:
    topology = TOPOLOGY.format(name=name, timeout=timeout)
    return FaustProcess(folder, "-D", "state", "worker", broker=address, topology=topology)


def wait_read(process: FaustProcess, count: int) -> None:
    """Wait until the worker has taken so many records."""
    line = re.compile(
        rf"^kafka_streams_stream_thread_metrics_process_total{{[^}}]*}} {count}\.0$", re.MULTILINE
    )
    process.wait_for("/metrics", lambda status, text: status == 200 and line.search(text) is not None)


@pytest.mark.parametrize("address", KINDS, indirect=True)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_everything_committed(
    tmp_path: Path, address: str, topic: str, how: signal.Signals
) -> None:
    prepare(address, topic)
    send(address, topic, "a", "b", "c")
    with worker(tmp_path, address, topic, 100) as running:
        wait_read(running, 3)
        assert committed(address, topic) == 0
        assert running.terminate(how) == 0
        assert "Error" not in running.output
    assert committed(address, topic) == 3
    assert results(address, topic) == 1


@pytest.mark.parametrize("address", KINDS, indirect=True)
def test_a_function_that_hangs_ends_it_at_the_bound_and_is_named(
    tmp_path: Path, address: str, topic: str
) -> None:
    prepare(address, topic)
    send(address, topic, "a", "b", "hang")
    with worker(tmp_path, address, topic, 3) as running:
        wait_until((tmp_path / "hangs").exists, "the function hangs")
        clock = SystemClock()
        begun = clock.now_ms()
        assert running.terminate() == 3
        assert clock.now_ms() - begun >= 2_900
        assert running.output.splitlines()[-1].startswith(
            "Error: it did not end within 3 s (shutdown_timeout)"
        )
        assert (
            f"not committed, so it comes again: {topic}-in-0 from offset 0 (in hand: offset 2)"
            in running.output
        )
        assert "hang (topo.py:" in running.output
    assert committed(address, topic) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_broker_it_ends_at_the_bound_and_says_what_comes_again(
    tmp_path: Path, kind: str, topic: str
) -> None:
    with own_broker(kind) as (address, take_away):
        prepare(address, topic)
        send(address, topic, "a", "b", "c")
        with worker(tmp_path, address, topic, 5) as running:
            wait_read(running, 3)
            take_away()
            assert running.terminate() == 3
            assert f"not committed, so it comes again: {topic}-in-0 from offset 0" in running.output
            assert address in running.output.splitlines()[-1]


@pytest.mark.parametrize("address", KINDS, indirect=True)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(
    tmp_path: Path, address: str, topic: str, how: signal.Signals
) -> None:
    prepare(address, topic)
    send(address, topic, "hang")
    with worker(tmp_path, address, topic, 600) as running:
        wait_until((tmp_path / "hangs").exists, "the function hangs")
        running.process.send_signal(how)
        wait_until(lambda: "a second signal ends it at once" in running.output, "the first is heard")
        assert running.terminate(how) == -how


@pytest.mark.embedded
def test_what_only_the_topics_show_to_be_wrong_is_one_line(
    tmp_path: Path, embedded_broker: EmbeddedBroker
) -> None:
    with worker(tmp_path, embedded_broker.address, "absent", 30) as running:
        assert running.end() == 1
        (line,) = [line for line in running.output.splitlines() if "do not exist" in line]
        assert line.startswith("Error: topics do not exist, create them first: source-1 (topo.py:")
        assert "Traceback" not in running.output
