"""Options, ratios, goals and pages of the side-by-side tables."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from benchmarks.__main__ import measure_case, parse, tables_of, write, write_goals
from benchmarks.contenders import CONTENDERS
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.page import contenders_page
from benchmarks.goals import GOALS, outcomes
from benchmarks.measurement import Job, Measurement
from benchmarks.report import rows_of
from benchmarks.results import Results, Row
from benchmarks.tables import TABLES, title_of
from benchmarks.works import WORKS
from benchmarks.works.flagship import ARRIVALS, arrivals_of
from benchmarks.works.work import Case, ResultError
from demo.traffic import Traffic
from pipeline.record import NO_HEADERS
from pipeline.testing.driver import TopologyTestDriver
from topologies.observability import ROUTES, app

TITLES = {name: contender.title for name, contender in CONTENDERS.items()}


def runs(*rates: int, cpu_us: float = 5.0) -> list[Measurement]:
    return [Measurement(records=1_000_000, seconds=1_000_000 / rate, cpu_seconds=cpu_us) for rate in rates]


def row(title: str, **measured: list[Measurement]) -> Row:
    return Row(title, {name.replace("_", "-"): found for name, found in measured.items()})


ROUTED = row(
    title_of(Case("route")),
    headrace=runs(90_000, 200_000, 120_000),
    hand_written=runs(240_000, cpu_us=4.0),
    kafka_streams_1=runs(60_000, cpu_us=20.0),
    kafka_streams_2=runs(80_000, 60_000, 100_000, cpu_us=25.0),
    quix=runs(12_000),
)


@pytest.mark.parametrize(
    ("contender", "cells"),
    [
        ("headrace", ("120", "90-200", "1.00", "0.50", "1.50", "5.0", "1,000,000")),
        ("hand-written", ("240", "240-240", "2.00", "1.00", "3.00", "4.0", "1,000,000")),
        ("kafka-streams-1", ("60", "60-60", "0.50", "0.25", "0.75", "20.0", "1,000,000")),
        ("quix", ("12.0", "12.0-12.0", "0.10", "0.05", "0.15", "5.0", "1,000,000")),
    ],
)
def test_a_line_has_median_spread_ratios_and_processor_time(contender: str, cells: tuple[str, ...]) -> None:
    titles = {**TITLES, "quix": "Quix Streams"}
    lines = {line[1]: line for line in rows_of(ROUTED, titles)}
    assert lines[titles[contender]] == (ROUTED.title, titles[contender], *cells)


def test_who_cannot_do_a_work_says_why_in_its_line() -> None:
    refused = Row("sessions", {"headrace": runs(1_000)}, {"bytewax": "no changelog"})
    lines = list(rows_of(refused, {"headrace": "Headrace", "bytewax": "Bytewax"}))
    assert lines[1][:3] == ("sessions", "Bytewax", "no changelog")
    assert lines[0][5:7] == ("", "")


def test_goals_are_ratios_of_medians_with_kafka_streams_at_its_best() -> None:
    found = [
        (outcome.goal, outcome.measured, outcome.reached) for outcome in outcomes({ROUTED.title: ROUTED})
    ]
    assert found == [
        (">= 0.85 of the hand-written loop", "0.50", False),
        (">= 1.2 of Kafka Streams' best", "1.50", True),
        ("<= 0.5 of the processor time of Kafka Streams' best", "0.20", True),
        (">= 5 of Quix", "10.00", True),
    ]


def test_exactly_once_is_compared_with_our_own_at_least_once() -> None:
    rows = [
        row(title_of(Case("count")), headrace=runs(100_000)),
        row(title_of(Case("count", exactly_once=True)), headrace=runs(85_000)),
        row(title_of(Case("restore")), headrace=runs(440_000)),
    ]
    found = [(outcome.measured, outcome.reached) for outcome in outcomes({each.title: each for each in rows})]
    assert found == [("0.85", True), ("440,000", False)]


def test_every_goal_is_of_a_row_of_some_table_and_every_work_has_one() -> None:
    cases = [case for table in TABLES.values() for case in table.cases]
    assert {goal.case for goal in GOALS} <= set(cases)
    assert {case.work for case in cases} == set(WORKS)
    assert len({title_of(case) for case in cases}) == len(cases)


def test_quick_is_what_goals_are_about() -> None:
    tables = tables_of(parse(["--quick"]))
    cases = [case for table in tables.values() for case in table.cases]
    assert set(cases) == {goal.case for goal in GOALS}
    assert all(table.cases for table in tables.values())
    assert set(tables_of(parse(["--table", "windows"]))) == {"windows"}
    assert tables_of(parse(["--table", "windows"]))["windows"] == TABLES["windows"]


@pytest.mark.parametrize("option", ["", " --quick"])
def test_a_table_is_a_page_a_picture_and_a_part_of_the_page_of_goals(tmp_path: Path, option: str) -> None:
    goals = outcomes({ROUTED.title: ROUTED})
    results = Results("Route", 3, ["Quix: 1"], {**TITLES, "quix": "Quix"}, [ROUTED], goals)
    write(results, tmp_path, "route", quick=bool(option))
    write_goals(tmp_path)
    page = (tmp_path / "route.md").read_text()
    assert page.startswith(f"# Route\n\n`python -m benchmarks --table route{option}`: ")
    assert "medians of 3 runs" in page
    assert "* Quix: 1\n" in page
    assert "120" in (tmp_path / "route.svg").read_text()
    goals_page = (tmp_path / "goals.md").read_text()
    assert f"| {ROUTED.title} | >= 0.85 of the hand-written loop | 0.50 | **no** |\n" in goals_page


def test_the_page_of_settings_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "benchmarks" / "contenders.md"
    assert page.read_text() == contenders_page(CONTENDERS.values()), "write it with: make bench"


def test_what_must_arrive_of_the_flagships_events_does() -> None:
    sent = list(islice(Traffic(7, 1_700_000_040_000, 50.0), 3_000))
    expected = arrivals_of(sent)
    with TopologyTestDriver(app, partitions=4, topics=(*ROUTES.destinations, *ARRIVALS)) as driver:
        for record in sent:
            driver.pipe(record.topic, record.key, record.value, record.at_ms or 0, NO_HEADERS)
        arrived = [len(driver.output_topic(topic, key=bytes, value=bytes).read_all()) for topic in ARRIVALS]
    assert arrived == expected
    assert all(expected)


@pytest.mark.parametrize(
    "arguments",
    [["--records", "0"], ["--runs", "-1"], ["--table", "sort"], ["--contender", "x"]],
)
def test_bad_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        parse(arguments)
    assert refusal.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.kafka
def test_contenders_do_the_same_work_on_apache_kafka() -> None:
    names = ["headrace", "hand-written"]
    if shutil.which("javac") is not None:
        names.append("kafka-streams-2")
    measured = measure_case(Case("route"), [CONTENDERS[name] for name in names], runs=1, records=2_000)
    assert {name: found[0].records for name, found in measured.runs.items()} == dict.fromkeys(names, 2_000)


def wrong(_job: Job) -> list[str]:
    """Return a command that says it has routed nothing, in no time."""
    said = msgspec.json.encode(Measurement(records=1, seconds=0.001, cpu_seconds=0.001)).decode()
    return [sys.executable, "-c", f"print({said!r})"]


@pytest.mark.kafka
def test_a_wrong_result_has_no_time_and_the_others_count() -> None:
    liar = Contender("liar", "Liar", wrong, lambda: "none")
    measured = measure_case(Case("decode"), [CONTENDERS["headrace"], liar], runs=1, records=2_000)
    assert list(measured.runs) == ["headrace"]
    assert "a result was wrong" in measured.refusals["liar"]


@pytest.mark.kafka
def test_a_wrong_result_of_ours_ends_the_run() -> None:
    ours = dataclasses.replace(CONTENDERS["headrace"], command=wrong)
    with pytest.raises(ResultError):
        measure_case(Case("decode"), [ours], runs=1, records=2_000)
