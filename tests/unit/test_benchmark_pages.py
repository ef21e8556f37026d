from __future__ import annotations

import xml.etree.ElementTree as ET
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.digest import Digest
from benchmarks.events import make_events, random_users
from benchmarks.latency.__main__ import parse as parse_latency
from benchmarks.latency.__main__ import routed_of
from benchmarks.latency.report import Latency, latency_of, percentile
from benchmarks.latency.report import page as latency_page
from benchmarks.live.contenders import word_of
from benchmarks.live.feed import Fed, age_us, fingerprint, now_us, stamped, tick_after
from benchmarks.live.job import LiveJob
from benchmarks.live.reader import Arrivals
from benchmarks.page import Page, spread, table, verdict
from benchmarks.picture import Bar, Group, picture
from benchmarks.start.__main__ import Start
from benchmarks.start.__main__ import page as start_page
from benchmarks.start.__main__ import parse as parse_start
from benchmarks.turns import turns
from benchmarks.works.work import ResultError


def test_turns_hit_all_alike() -> None:
    assert list(turns(["a", "b", "c"], 2)) == [(1, "a"), (1, "b"), (1, "c"), (2, "c"), (2, "b"), (2, "a")]


@pytest.mark.parametrize(
    ("value", "goal", "at_most", "text"),
    [
        (15.0, 15.0, True, "<= 15 met"),
        (15.1, 15.0, True, "<= 15 MISSED"),
        (1.4, 1.4, False, ">= 1.4 met"),
        (1.3, 1.4, False, ">= 1.4 MISSED"),
    ],
)
def test_a_verdict(value: float, goal: float, at_most: bool, text: str) -> None:  # noqa: FBT001
    assert verdict(value, goal, at_most=at_most) == text


def test_a_page_has_table_picture_and_conditions(tmp_path: Path) -> None:
    page = Page(
        title="How fast & how far",
        command="python -m benchmarks.far",
        text="as far as it goes.",
        header=("who", "km"),
        texts=1,
        rows=[("Headrace", "3")],
        groups=[Group("km", [Bar("Headrace", 3, "3 km"), Bar("hand-written", 0, "0 km")], goal=4)],
        notes=["uphill"],
    )
    page.publish(tmp_path / "far" / "far.md")
    text = (tmp_path / "far" / "far.md").read_text()
    assert "| who | km |\n| --- | --: |\n| Headrace | 3 |\n" in text
    assert "![How fast & how far](far.svg)" in text
    assert "* uphill\n" in text
    assert "cores" in text
    drawing = (tmp_path / "far" / "far.svg").read_text()
    root = ET.fromstring(drawing)  # noqa: S314 - it was just made
    bars = [float(each.attrib["width"]) for each in root if each.tag.endswith("rect")][1:]
    assert bars == [pytest.approx(430 * 3 / 4), 1.0]
    assert "3 km" in drawing


def test_a_picture_of_nothing_is_no_error() -> None:
    ET.fromstring(picture("none", [Group("nothing", [])]))  # noqa: S314 - likewise


def test_spread_and_table() -> None:
    assert spread([3.0, 1.25, 2.0], 1) == "1.2-3.0"
    assert table(("a", "b"), 1, []) == "| a | b |\n| --- | --: |\n"


@pytest.mark.parametrize(
    ("name", "word"), [("Headrace", "headrace"), ("Headrace, exactly-once", "headrace--exactly-once")]
)
def test_a_name_as_it_stands_in_topics(name: str, word: str) -> None:
    assert word_of(name) == word


def test_a_process_is_told_its_job_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    job = LiveJob(work="route", address="a:1", application_id="app", source="in", target="out")
    name, _, value = job.assignment().partition("=")
    monkeypatch.setenv(name, value)
    assert LiveJob.of_environment() == job


@given(sent=st.integers(0, 10**10 - 1), age=st.integers(0, 10**9))
def test_an_event_tells_its_age_although_its_clock_begins_anew(sent: int, age: int) -> None:
    (event,) = make_events(1, 0, 10, random_users())
    value = stamped(event.value, sent)
    assert len(value) == len(event.value)
    assert age_us(value, (sent + age) % 10**10) == age


def test_now_goes_on() -> None:
    first = now_us()
    assert 0 <= (now_us() - first) % 10**10 < 10**9


def test_a_fingerprint_leaves_out_the_moment() -> None:
    first, second, other = Digest(), Digest(), Digest()
    (event,) = make_events(1, 0, 10, random_users())
    fingerprint(first, b"k", stamped(event.value, 1))
    fingerprint(second, b"k", stamped(event.value, 2))
    fingerprint(other, b"k", stamped(event.value, 2)[:-1])
    assert first == second != other


def test_ticks_begin_at_whole_ones() -> None:
    assert tick_after(0.0) == pytest.approx(0.002)
    assert tick_after(0.0031) == pytest.approx(0.004)


def test_wrong_results_do_not_count() -> None:
    fed = Fed(seconds=1, late_ms=0, routed=2, checksum=5)
    fed.check(Digest(2, 5), "Headrace")
    with pytest.raises(ResultError, match="records routed by Headrace"):
        fed.check(Digest(2, 6), "Headrace")


@given(events=st.integers(0, 3_000))
def test_how_many_the_route_writes(events: int) -> None:
    made = make_events(events, 0, 1_000, random_users())
    assert routed_of(events) == sum(event.routed is not None for event in made)


@pytest.mark.parametrize(
    ("count", "share", "found"),
    [(1, 0.5, 1), (4, 0.5, 2), (100, 0.99, 99), (101, 0.99, 100), (1_000, 0.999, 999), (10, 1.0, 10)],
)
def test_percentile(count: int, share: float, found: int) -> None:
    assert percentile(range(1, count + 1), share) == found


def test_latency_leaves_out_the_warming_up() -> None:
    # A record a second, the first three as late as five seconds.
    ages = array("q", [5_000_000] * 3 + [1_000] * 4)
    moments = array("d", [second + age / 1e6 for second, age in enumerate(ages)])
    fed = Fed(seconds=7, late_ms=1, routed=7, checksum=0)
    arrivals = Arrivals(Digest(7, 0), moments, ages)
    assert latency_of("Headrace", 1, 1, 0, fed, arrivals, 4).p999 == 1.0
    assert latency_of("Headrace", 1, 1, 0, fed, arrivals, 5).p999 == 5_000.0


def latency_run(name: str, p99: float, capacity: float = 0) -> Latency:
    return Latency(name, 1, 5_000, capacity, p99 / 2, p99, p99 * 2, 1)


@pytest.mark.parametrize(
    ("ours", "hand", "streams", "goals"),
    [
        (10, 8, 100, "<= 15 met; 1.25 of hand-written: <= 1.5 met; 0.10 of Kafka Streams: <= 0.2 met"),
        (
            16,
            8,
            40,
            "<= 15 MISSED; 2.00 of hand-written: <= 1.5 MISSED; 0.40 of Kafka Streams: <= 0.2 MISSED",
        ),
    ],
)
def test_the_page_of_latency_says_which_goals_are_met(
    ours: float, hand: float, streams: float, goals: str
) -> None:
    found = [
        *(latency_run("Headrace", p99) for p99 in (1, ours, 1_000)),
        latency_run("hand-written", hand),
        latency_run("Kafka Streams", streams),
        latency_run("Headrace", 70, capacity=100_000),
        latency_run("hand-written", 60, capacity=200_000),
        latency_run("Kafka Streams", 60, capacity=200_000),
    ]
    text = latency_page(found, 5_000, 3, 20).markdown("picture.svg")
    assert f"| 5,000/s | Headrace | 5,000 | {ours / 2:.1f} | {ours:.1f} | 1.0-1000.0 |" in text
    assert f"| {goals} |" in text
    assert "| half of its capacity | Headrace | 5,000 | 35.0 | 70.0 |" in text


@pytest.mark.parametrize(("again", "said"), [(1.5, "<= 1.5 met"), (1.6, "<= 1.5 MISSED")])
def test_the_page_of_starts_judges_the_slower_one(again: float, said: str) -> None:
    found = [Start("Headrace", 1.0, 0.3, again, 0.6), Start("hand-written", 9.0, 0.1, 9.0, 0.1)]
    text = start_page(found, 1).markdown("picture.svg")
    assert (
        f"| Headrace | 1.00 | 1.00-1.00 | {again:.2f} | {again:.2f}-{again:.2f} | 0.60 | 0.30 | {said} |"
        in text
    )


def test_options() -> None:
    options = parse_latency(["--contender", "Headrace", "--runs", "2", "--output", "a.md"])
    assert (options.contender, options.runs, options.output) == (["Headrace"], 2, Path("a.md"))
    assert (parse_latency([]).rate, parse_latency([]).backlog) == (5_000, 300_000)
    assert parse_start([]).runs == 5
    with pytest.raises(SystemExit):
        parse_start(["--contender", "nobody"])
