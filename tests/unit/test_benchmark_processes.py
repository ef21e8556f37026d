"""Benchmarks of whole processes: memory, scaling, HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.http.__main__ import Answered, questions
from benchmarks.http.__main__ import page as http_page
from benchmarks.http.__main__ import parse as parse_http
from benchmarks.http.client import AnswerError, Client, Question
from benchmarks.live.proc import cpu_seconds, peak_resident, resident
from benchmarks.memory.__main__ import Held
from benchmarks.memory.__main__ import page as memory_page
from benchmarks.memory.__main__ import parse as parse_memory
from benchmarks.scaling.__main__ import Scaled
from benchmarks.scaling.__main__ import page as scaling_page
from benchmarks.scaling.__main__ import parse as parse_scaling
from benchmarks.scaling.rates import Look, pace


def test_what_the_system_says_of_this_process() -> None:
    before = cpu_seconds(os.getpid())
    assert 0 < before <= cpu_seconds(os.getpid())
    assert 1 << 20 < resident(os.getpid()) <= peak_resident(os.getpid()) + (1 << 20)


@given(
    rate=st.integers(1_000, 200_000),
    interval=st.sampled_from([1.0, 0.7]),
    begin=st.floats(0, 1),
    partitions=st.integers(1, 8),
)
def test_a_pace_does_not_depend_on_where_between_two_commits_one_looks(
    rate: int, interval: float, begin: float, partitions: int
) -> None:
    ends = [rate * 10 // partitions] * partitions
    looks = []
    for step in range(300):
        second = begin + step * 0.05
        # What is processed is committed once an interval.
        done = int(second // interval * interval * rate / partitions)
        looks.append(Look(second, [min(done, ends[0])] * partitions, second * 2))
    measured = pace(looks, ends)
    # Two looks are 50 ms apart: so exact is the time between commits that are seconds apart.
    assert measured.rate == pytest.approx(rate, rel=0.03)
    assert measured.cpu_us == pytest.approx(2 / rate * 1e6, rel=0.03)


def test_a_pace_needs_two_commits() -> None:
    looks = [Look(0.0, [0], 0.0), Look(1.0, [10], 0.1), Look(2.0, [20], 0.2)]
    with pytest.raises(ValueError, match="give more records"):
        pace(looks, [20])


@pytest.mark.parametrize(("two", "said"), [(140_000, ">= 1.4 met"), (139_000, ">= 1.4 MISSED")])
def test_the_page_of_scaling_compares_with_one_worker(two: float, said: str) -> None:
    found = [Scaled("count", 1, 100_000, 10.0), Scaled("count", 2, two, 11.0), Scaled("count", 4, 9e5, 12.0)]
    text = scaling_page(found, 1, 1_000).markdown("picture.svg")
    assert "| count | 1 | 100 | 100-100 | 1.00 | 10.00 | 100 |  |" in text
    assert f"| {two / 100_000:.2f} | 11.00 | 182 | {said} |" in text
    assert "| count | 4 | 900 | 900-900 | 9.00 | 12.00 | 333 |  |" in text, "simulated: 4 * 100 * 10 / 12"


def test_without_one_worker_nothing_is_simulated() -> None:
    text = scaling_page([Scaled("count", 4, 9e5, 12.0)], 1, 1_000).markdown("picture.svg")
    assert "| count | 4 | 900 | 900-900 |  | 12.00 |  |  |" in text


@pytest.mark.parametrize(
    ("ours", "streams", "said"),
    [
        (300, 900, "<= 300 met; 0.33 of Kafka Streams: <= 0.35 met"),
        (301, 800, "<= 300 MISSED; 0.38 of Kafka Streams: <= 0.35 MISSED"),
    ],
)
def test_the_page_of_memory_judges_the_most_keys(ours: float, streams: float, said: str) -> None:
    found = [
        Held("Headrace", 1_000, 100, 90),
        Held("Headrace", 10_000, ours, ours),
        Held("Kafka Streams", 1_000, 700, 700),
        Held("Kafka Streams", 10_000, streams, streams),
    ]
    text = memory_page(found, 1, "64m").markdown("picture.svg")
    assert "| 1,000 | Headrace | 100 | 100-100 | 90 |  |" in text
    assert f"| 10,000 | Headrace | {ours} | {ours}-{ours} | {ours} | {said} |" in text
    assert text.count(" met") + text.count("MISSED") == 2


@pytest.mark.parametrize(("slowest", "said"), [(40_000, "<= 40 met"), (41_000, "<= 40 MISSED")])
def test_the_page_of_http_takes_all_runs_together(slowest: int, said: str) -> None:
    asked = {"a key": [2_000] * 98 + [slowest], "a page": [3_000]}
    found = [Answered(asked, {"a key": [1_000], "a page": [1_000]}, 10, 0.9)]
    text = http_page(found, 1_000).markdown("picture.svg")
    assert "| a page | 1 | 3.0 | 3.0 | 3.0-3.0 | 3.0 | 1.0 | 1.0 |  |" in text
    assert text.splitlines()[text[: text.index("all together")].count("\n")].endswith("<= 40 met |")
    found = [Answered({"a key": [slowest] * 3}, {"a key": [1_000]}, 10, 0.9)]
    assert f"| {said} |" in http_page(found, 1_000).markdown("picture.svg")


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b'{"value": 3}'
        self.send_response(404 if "unknown" in self.path else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_client_asks_in_turns_and_refuses_errors() -> None:
    kinds = [Question("one", lambda number: f"/{number}"), Question("two", lambda _number: "/two")]
    with serving() as port, closing(Client(port)) as client:
        rest = iter(range(7))
        found = client.ask(kinds, 0.001, lambda: next(rest, None) is None)
        assert {kind: len(ages) for kind, ages in found.items()} == {"one": 4, "two": 3}
        assert all(age > 0 for ages in found.values() for age in ages)
        assert client.body("/known")["value"] == 3
        with pytest.raises(AnswerError, match="/unknown: 404"):
            client.body("/unknown")
        with pytest.raises(AnswerError, match="404"):
            client.ask([Question("bad", lambda _number: "/unknown")], 0.001, lambda: False)


def test_questions_go_round_the_users() -> None:
    first, *_ = questions(["ann", "bob"])
    assert [first.path(number)[-3:] for number in range(3)] == ["ann", "bob", "ann"]


#: What measures: a harness that runs one measuring process, which says its number and waits for ever.
_HARNESS = """
import signal, sys
from benchmarks.contenders.contender import Contender
from benchmarks.measurement import Job
from benchmarks.processes import measure

# Who is started in the background does not hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)
waits = "import os, sys, threading; print(os.getpid(), file=open(sys.argv[1], 'w')); threading.Event().wait()"
command = [sys.executable, "-c", waits, sys.argv[1]]
names = dict.fromkeys(("contender", "address", "application_id", "source", "state_dir"), "")
job = Job(work="read", records=1, results=1, grace_ms=0, **names)
measure(Contender("", "", lambda _job: command, str), job)
"""


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended may still be listed until it is waited for."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _until(condition: Callable[[], object]) -> None:
    waiting = threading.Event()
    for _ in range(6_000):
        if condition():
            return
        waiting.wait(0.02)
    raise AssertionError("two minutes were not enough")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_who_measures_ends_with_the_harness(number: signal.Signals, tmp_path: Path) -> None:
    said = tmp_path / "pid"
    harness = subprocess.Popen([sys.executable, "-c", _HARNESS, str(said)])
    try:
        _until(lambda: harness.poll() is not None or (said.exists() and said.read_text(encoding="utf-8")))
        measuring = int(said.read_text(encoding="utf-8"))
        assert _alive(measuring)
    finally:
        harness.send_signal(number)
        harness.wait()
    _until(lambda: not _alive(measuring))


def test_options() -> None:
    assert parse_memory([]).keys is None
    options = parse_memory(["--keys", "5", "--keys", "7", "--ours", "--heap", "48m"])
    assert (options.keys, options.ours, options.heap) == ([5, 7], True, "48m")
    assert parse_scaling(["--workers", "2", "--work", "route"]).work == ["route"]
    assert parse_scaling([]).records == 3_000_000
    assert parse_http(["--output", "http.md"]).output == Path("http.md")
