"""`python -m demo` and the commands of docker-compose.yml, as real processes."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from demo.topics import RAW_LOGS, RAW_SPANS, SERVICE_OWNERS, topic_specs
from pipeline.clock import SystemClock
from pipeline.record import TopicPartition
from pipeline.runtime.kafka import KafkaBroker
from pipeline.testing.brokers import EmbeddedBroker
from pipeline.testing.process import accepts_connections, free_port

ROOT = Path(__file__).parents[2]
NEZHA = ROOT / "tests" / "data" / "nezha"
DEADLINE_MS = 60_000
STOP_S = 30

pytestmark = pytest.mark.embedded


class Demo:
    """A demonstration in a session of its own, as a terminal would have it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        # Temporary directories are made below this one, so that leftovers can be seen.
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "demo", *arguments],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.temporary)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._clock = SystemClock()
        self.output = ""

    @property
    def pid(self) -> int:
        """Process id, which is that of its process group too."""
        return self._process.pid

    def wait_for(self, text: str) -> None:
        """Read until `text` was printed."""
        assert self._process.stdout is not None
        deadline = self._clock.now_ms() + DEADLINE_MS
        descriptor = self._process.stdout.fileno()
        while text not in self.output:
            left_ms = deadline - self._clock.now_ms()
            assert left_ms > 0, f"{text!r} was not printed in time:\n{self.output}"
            readable, _, _ = select.select([descriptor], [], [], left_ms / 1_000)
            if readable:
                chunk = os.read(descriptor, 65_536)
                assert chunk, f"it ended before it printed {text!r}:\n{self.output}"
                self.output += chunk.decode()

    def end(self) -> int:
        """Wait for its end, and return its exit code."""
        rest, _ = self._process.communicate(timeout=STOP_S)
        self.output += rest.decode()
        return self._process.returncode

    def close(self) -> None:
        """End it however the test went. Its children end with it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def processes(self) -> list[str]:
        """Return the command lines of it and of all that it started: they inherit its environment."""
        marker = f"TMPDIR={self.temporary}".encode()
        found = []
        for process in Path("/proc").iterdir():
            if process.name.isdecimal():
                try:
                    if marker in (process / "environ").read_bytes().split(b"\0"):
                        found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
                except (FileNotFoundError, PermissionError, ProcessLookupError):
                    continue  # it ended, or is not ours
        return found


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="demo-test-") as name:
        yield Path(name)


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[Demo]:
    running = Demo(folder, *arguments)
    try:
        yield running
    finally:
        running.close()


def curl(line: str) -> Any:
    """Do what a printed curl line does."""
    url = urlsplit(line)
    assert url.hostname
    connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=10)
    try:
        connection.request("GET", f"{url.path}?{url.query}" if url.query else url.path)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    assert response.status == 200, body
    return json.loads(body)


def ports(output: str) -> list[int]:
    return [int(port) for port in re.findall(r"^(?:broker|views) +127\.0\.0\.1:(\d+)", output, re.MULTILINE)]


def assert_all_gone(stopped: Demo) -> None:
    assert stopped.processes() == []
    assert [port for port in ports(stopped.output) if accepts_connections(port)] == []
    assert list(stopped.temporary.iterdir()) == []
    assert "Traceback" not in stopped.output


def test_from_nothing_to_answers_and_back_with_both_ports_taken(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker, socket.create_server(("127.0.0.1", 0)) as views:
        taken = [broker.getsockname()[1], views.getsockname()[1]]
        with demo(folder, "--port", str(taken[0]), "--web-port", str(taken[1])) as running:
            running.wait_for("Ctrl-C stops everything.")
            assert f"(port {taken[0]} is taken by another process)" in running.output
            assert f"(port {taken[1]} is taken by another process)" in running.output
            assert not set(taken) & set(ports(running.output))

            lines = re.findall(r"^  curl -s '([^']+)'$", running.output, re.MULTILINE)
            errors, requests, user = (curl(line) for line in lines)
            assert errors["windows"][0]["value"] >= 1
            assert requests["rows"][0]["value"]["requests"] >= 1
            assert user["key"].startswith("user-")
            assert user["windows"][0]["value"] >= 1
            assert len(running.processes()) >= 3

            # Ctrl-C in a terminal reaches the whole foreground process group.
            os.killpg(running.pid, signal.SIGINT)
            assert running.end() == 0, running.output
            assert running.output.endswith("Stopping traffic, worker and broker.\nStopped.\n")
            assert_all_gone(running)


@pytest.mark.parametrize("step", ["input ", "broker ", "topics ", "worker "])
def test_it_can_be_stopped_while_it_starts(folder: Path, step: str) -> None:
    with demo(folder, "--port", str(free_port()), "--web-port", str(free_port())) as running:
        running.wait_for(step)
        # An impatient user: the second one must not disturb the first.
        for _ in range(2):
            os.killpg(running.pid, signal.SIGINT)
        assert running.end() == 0, running.output
        assert running.output.endswith("Stopped.\n")
        assert_all_gone(running)


def test_files_are_fed_and_sigterm_stops_it_too(folder: Path) -> None:
    state = folder / "state-data"
    arguments = ["--port", str(free_port()), "--web-port", str(free_port())]
    with demo(folder, "--input", str(NEZHA), "--datadir", str(state), *arguments) as running:
        running.wait_for("records are sent")
        assert any(state.iterdir())
        lines = re.findall(r"^  curl -s '([^']+)'$", running.output, re.MULTILINE)
        assert len(lines) == 3
        answers = [curl(line) for line in lines]
        requests = next(answer for answer in answers if answer["store"] == "requests-per-minute")
        assert requests["rows"][0]["key"][0].startswith("ts-")

        os.kill(running.pid, signal.SIGTERM)
        assert running.end() == 0, running.output
        assert_all_gone(running)
        assert not state.exists()


def test_lines_that_are_no_json_are_shown_as_dead_letters(folder: Path) -> None:
    events = folder / "app.log"
    events.write_text("plain line\n", encoding="utf-8")
    with demo(
        folder, "--input", str(events), "--port", str(free_port()), "--web-port", str(free_port())
    ) as running:
        running.wait_for("1 dead letters in dead.letters; one of raw.logs: ")
        running.wait_for("\n  plain line\n")
        os.killpg(running.pid, signal.SIGINT)
        assert running.end() == 0, running.output


def test_a_worker_that_ends_early_ends_the_demo_and_shows_its_log(folder: Path) -> None:
    (folder / "broken.py").write_text("raise RuntimeError('this topology is broken')\n", encoding="utf-8")
    (folder / "tmp").mkdir()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "demo",
            "--topology",
            "broken",
            "--port",
            str(free_port()),
            "--web-port",
            str(free_port()),
        ],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "the worker ended with exit code 1. The end of its log:" in done.stderr
    assert "this topology is broken" in done.stderr
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "absent"], "error: absent does not exist: give a file or a directory"),
        (["--rate", "0"], "error: --rate is 0: give a number of records a second above 0"),
        (["--datadir", "demo"], "error: --datadir demo is not empty"),
    ],
)
def test_what_cannot_work_is_one_line(arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1


def compose_command(service: str, broker: str) -> list[str]:
    """Return a command of docker-compose.yml, for another broker."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    python, *arguments = compose["services"][service]["command"]
    assert python == "python"
    return [sys.executable, *(broker if each == "kafka:9092" else each for each in arguments)]


def test_the_commands_of_docker_compose_fill_a_broker() -> None:
    with EmbeddedBroker() as embedded:
        for attempt in ("first", "again"):
            done = subprocess.run(
                compose_command("topics", embedded.address),
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, (attempt, done.stderr)
        generator = [*compose_command("generator", embedded.address), "--records", "300"]
        done = subprocess.run(generator, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"300 records sent to {embedded.address}\n"

        admin = KafkaBroker(embedded.address).admin()
        names = [spec.name for spec in topic_specs()]
        assert admin.partition_counts(names) == dict.fromkeys(names, 4)

        def count(topic: str) -> int:
            partitions = [TopicPartition(topic, number) for number in range(4)]
            return sum(admin.end_offsets(partitions).values())

        assert count(RAW_LOGS) + count(RAW_SPANS) == 300
        assert min(count(RAW_LOGS), count(RAW_SPANS)) > 50
        assert count(SERVICE_OWNERS) == 20
        admin.close()


def test_the_generator_ends_in_order_when_it_is_stopped() -> None:
    with EmbeddedBroker() as embedded:
        subprocess.run(compose_command("topics", embedded.address), cwd=ROOT, timeout=60, check=True)
        admin = KafkaBroker(embedded.address).admin()
        partitions = [TopicPartition(RAW_LOGS, number) for number in range(4)]
        clock = SystemClock()
        deadline = clock.now_ms() + DEADLINE_MS
        with subprocess.Popen(
            compose_command("generator", embedded.address), cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as generator:
            try:
                while not sum(admin.end_offsets(partitions).values()):
                    assert clock.now_ms() < deadline
                    assert generator.poll() is None
                generator.terminate()
                output, _ = generator.communicate(timeout=STOP_S)
            finally:
                generator.kill()
        admin.close()
        assert generator.returncode == 0
        assert re.fullmatch(rf"\d+ records sent to {embedded.address}\n", output)
