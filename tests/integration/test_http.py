"""`faust -A module worker`, as a user runs it: a process, a broker, HTTP, signals, exit codes."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.testing.brokers import EmbeddedBroker
from pipeline.testing.process import free_port
from tests.integration.faust_process import FaustProcess

START = 1_674_981_720_000  # 2023-01-29T08:42:00Z

TOPOLOGY = """
from datetime import timedelta
from pipeline import App, tumbling

def check(key, event):
    if event.get("poison"):
        raise ValueError("poisoned event")
    return True

app = App("{name}", broker="kafka://localhost:1", commit_interval=0.1)
events = app.stream("{name}.events", key=str, value=dict, timestamp=lambda r, _: r.value["at"])
events = events.filter(check)
events.group_by_key().count(name="counts")
minutes = tumbling(timedelta(minutes=1), grace=timedelta(hours=1))
events.group_by_key().windowed_by(minutes).count(name="per-minute")
app.table("{name}.users", name="users", key=tuple[str, int], value=dict)
"""


def worker(folder: Path, broker: str, name: str) -> FaustProcess:
    return FaustProcess(
        folder, "-D", "state", "worker", "-l", "info", broker=broker, topology=TOPOLOGY.format(name=name)
    )


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        yield broker.address


@pytest.fixture
def name(request: pytest.FixtureRequest, address: str) -> str:
    """Topics of this test's own, with the first events in them."""
    found: str = request.node.name.removeprefix("test_")[:40]
    admin = KafkaBroker(address).admin()
    admin.create_topics([TopicSpec(f"{found}.events", 2, {}), TopicSpec(f"{found}.users", 1, {})])
    admin.close()
    produce(address, f"{found}.events", [(f"k{i % 5}", {"at": START + i * 20_000}) for i in range(15)])
    produce(address, f"{found}.users", [('["é/b",2]', {"name": "Bo"})])
    return found


def produce(address: str, topic: str, records: list[tuple[str, dict[str, Any]]]) -> None:
    producer = KafkaBroker(address).producer("test")
    for key, value in records:
        producer.produce(topic, json.dumps(value).encode(), key.encode(), -1, START, ())
    assert not producer.flush(30)
    producer.close()


@pytest.mark.embedded
def test_a_worker_serves_its_tables_and_keeps_them(tmp_path: Path, address: str, name: str) -> None:
    with worker(tmp_path, address, name) as first:
        first.wait_ready()
        first.wait_for("/stores/counts/keys/k4", lambda status, body: status == 200 and body["value"] == 3)
        windows = first.wait_for(
            "/stores/per-minute/keys/k0?from=2023-01-29T08:43:00Z",
            lambda status, body: status == 200 and len(body["windows"]) == 2,
        )
        assert [window["window"]["start"] for window in windows["windows"]] == [
            START + 60_000,
            START + 180_000,
        ]
        first.wait_for("/stores/counts", lambda _, body: len(body["rows"]) == 5)
        _, page = first.get("/stores/counts?limit=3")
        assert [row["key"] for row in page["rows"]] == ["k0", "k1", "k2"]
        _, rest = first.get(f"/stores/counts?limit=3&after={page['next']}")
        assert ([row["key"] for row in rest["rows"]], rest["next"]) == (["k3", "k4"], None)
        composite = quote('["é/b",2]', safe="")
        first.wait_for(f"/stores/users/keys/{composite}", lambda _, body: body.get("value") == {"name": "Bo"})
        assert first.get("/health")[0] == 200
        processed = f'kafka_streams_stream_thread_metrics_process_total{{application="{name}"}} 16.0'
        first.wait_for("/metrics", lambda _, body: processed in body)
        assert first.terminate() == 0
        assert "Traceback" not in first.output
    produce(address, f"{name}.events", [("k4", {"at": START + 400_000})])
    with worker(tmp_path, address, name) as second:
        second.wait_ready()
        second.wait_for("/stores/counts/keys/k4", lambda status, body: status == 200 and body["value"] == 4)
        assert second.get("/stores/counts/keys/k0")[1]["value"] == 3
        assert second.terminate(signal.SIGINT) == 0


@pytest.mark.embedded
def test_an_error_of_the_users_code_ends_the_process_and_says_where(
    tmp_path: Path, address: str, name: str
) -> None:
    with worker(tmp_path, address, name) as running:
        running.wait_ready()
        produce(address, f"{name}.events", [("k0", {"at": START, "poison": True})])
        assert running.end() == 1
        assert f"{name}.events" in running.output
        assert running.output.count("\nValueError: poisoned event") == 1
        assert "never retrieved" not in running.output
        assert "topo.py" in running.output


def test_without_a_broker_it_lives_says_so_and_ends_in_order(tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    with worker(tmp_path, nobody, "alone") as running:
        running.wait_for("/health", lambda status, _: status == 200)
        body = running.wait_for("/ready", lambda status, body: status == 503 and nobody in body["error"])
        assert body["state"] == "connecting"
        assert running.get("/stores/counts/keys/k0")[0] == 503
        assert running.terminate() == 0
        assert nobody in running.output


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    with worker(tmp_path / "one", nobody, "first") as first:
        first.wait_for("/health", lambda status, _: status == 200)
        second = FaustProcess(
            tmp_path / "two", "worker", port=first.port, topology=TOPOLOGY.format(name="second")
        )
        with second:
            assert second.end() == 1
        assert f"HTTP port 0.0.0.0:{first.port} is in use" in second.output
        assert "--web-port" in second.output
        assert "Traceback" not in second.output
        assert first.terminate() == 0


@pytest.mark.parametrize("command", ["worker", "describe"])
@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("app.stream('in').group_by(lambda k, v: v)", "group_by at topo.py:3 needs name="),
        ("pass", "reads no topic, and has no timer"),
        ("App('x', comit_interval=1)", "did you mean commit_interval"),
        ("app.LiveCheck('t')", "app.LiveCheck is not available"),
    ],
)
def test_a_topology_that_cannot_run_is_one_message(
    tmp_path: Path, command: str, declaration: str, message: str
) -> None:
    topology = f"from pipeline import App\napp = App('wrong')\n{declaration}\n"
    with FaustProcess(tmp_path, command, topology=topology) as process:
        assert process.end() == 1
    (line,) = process.output.splitlines()
    assert line.startswith("Error: ")
    assert message in line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["describe"], "Application: described"),
        (["limits"], "cache_entries"),
        (["describe", "--format", "text"], "Application: described"),
        (["describe", "--format", "dot"], 'digraph "described" {'),
        (["describe", "--format", "mermaid"], "flowchart TB"),
        (["--help"], "describe"),
    ],
)
def test_what_describes_the_application_needs_no_broker(
    tmp_path: Path, arguments: list[str], line: str
) -> None:
    with FaustProcess(tmp_path, *arguments, topology=TOPOLOGY.format(name="described")) as process:
        assert process.end() == 0
    assert any(found.strip().startswith(line) for found in process.output.splitlines()), process.output
