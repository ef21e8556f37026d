"""The container files hold the commands that the tests run; they are not run themselves."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo import topics, traffic
from demo.worker import worker_command, worker_environment

ROOT = Path(__file__).parents[2]
BROKER = "kafka:9092"
WORKERS = {"worker-1": 6066, "worker-2": 6067}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = compose["services"]
    return found


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_syntax_is_what_docker_compose_takes() -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed: its own check of the syntax was not made")
    done = subprocess.run(
        [program, "-f", str(ROOT / "docker-compose.yml"), "config", "--services"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {"kafka", "topics", "generator", *WORKERS}


def test_kafka_is_the_version_that_the_tests_run_on(services: dict[str, Any]) -> None:
    lock = (ROOT / "pipeline" / "testing" / "kafka-jars.lock").read_text(encoding="utf-8")
    tested = re.search(r"^org\.apache\.kafka:kafka_2\.13:(\S+)", lock, re.MULTILINE)
    assert tested
    assert services["kafka"]["image"] == f"apache/kafka:{tested[1]}"


@pytest.mark.parametrize(("name", "port"), WORKERS.items())
def test_a_worker_is_started_as_the_demo_starts_it(services: dict[str, Any], name: str, port: int) -> None:
    worker = services[name]
    assert worker["command"] == worker_command()
    assert worker["environment"] == worker_environment(BROKER, "/var/lib/headrace", port, "0.0.0.0")  # noqa: S104 (within the container)
    assert worker["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert worker["volumes"] == [f"{name}:/var/lib/headrace"]
    assert worker["healthcheck"]["test"] == ["CMD", "python", "-m", "demo.ready"]


def test_topics_and_generator_are_commands_of_the_demo(services: dict[str, Any]) -> None:
    python, switch, module, *arguments = services["topics"]["command"]
    assert (python, switch, module) == ("python", "-m", topics.__name__)
    assert topics.arguments().parse_args(arguments).broker == BROKER
    python, switch, module, *arguments = services["generator"]["command"]
    assert (python, switch, module) == ("python", "-m", traffic.__name__)
    options = traffic.arguments().parse_args(arguments)
    assert (options.broker, options.rate) == (BROKER, traffic.DEFAULT_RATE)


def test_each_starts_when_what_it_needs_is_there(services: dict[str, Any]) -> None:
    assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert "healthcheck" in services["kafka"]
    for name in ("generator", *WORKERS):
        assert services[name]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


def test_the_image_runs_a_worker_and_not_as_root(dockerfile: str) -> None:
    command = re.search(r"^CMD (.+)$", dockerfile, re.MULTILINE)
    assert command
    assert json.loads(command[1]) == worker_command()
    user = re.search(r"^USER (\S+)$", dockerfile, re.MULTILINE)
    assert user
    assert user[1] not in ("root", "0")
    assert dockerfile.index("USER") > dockerfile.rindex("RUN")


def test_what_the_image_copies_exists_and_is_not_ignored(dockerfile: str) -> None:
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == kept
    for source in copied:
        assert (ROOT / source).exists(), source
