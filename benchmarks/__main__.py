"""`python -m benchmarks`: measure side by side, check, and write a page and a picture for each table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.contenders import CONTENDERS
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.page import contenders_page
from benchmarks.goals import GOALS, outcomes
from benchmarks.machine import describe_versions
from benchmarks.measurement import Measurement
from benchmarks.page import table
from benchmarks.report import page_of, rows_of
from benchmarks.results import OURS, Results, Row
from benchmarks.tables import TABLES, Table, title_of
from benchmarks.turns import turns
from benchmarks.works import WORKS, on_fresh_broker
from benchmarks.works.work import Case, ResultError

#: Measures with commands, goals and pages of their own.
_OTHERS: Final = ("latency", "start", "memory", "http", "scaling", "metrics")


def main() -> None:
    """Measure the tables that were asked for, and write them; then write the goals of all that are there."""
    options = parse()
    contenders = [CONTENDERS[name] for name in options.contender or CONTENDERS]
    options.output.mkdir(parents=True, exist_ok=True)
    for name, asked in tables_of(options).items():
        results = measure_table(asked, contenders, options.runs, options.records)
        write(results, options.output, name, quick=options.quick)
    write_goals(options.output)
    (options.output / "contenders.md").write_text(contenders_page(CONTENDERS.values()), encoding="utf-8")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options.

    Args:
        arguments: instead of those of the command line.

    Raises:
        SystemExit: they are wrong, or help was asked for; it has been printed.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--table", choices=list(TABLES), action="append", help="measure this table alone; may be repeated"
    )
    parser.add_argument(
        "--contender", choices=list(CONTENDERS), action="append", help="measure this one alone; likewise"
    )
    parser.add_argument("--runs", type=_positive, default=3, help="runs of each contender (3)")
    parser.add_argument(
        "--records",
        type=_positive,
        default=2_000_000,
        help="of a run; slow works and slow contenders get a share of them (2000000)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only the works that goals are about",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("docs/benchmarks"), help="folder for the pages (docs/benchmarks)"
    )
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def tables_of(options: argparse.Namespace) -> dict[str, Table]:
    """Return the tables to measure, with the works that were asked for."""
    tables = {name: TABLES[name] for name in options.table or TABLES}
    if not options.quick:
        return tables
    decisive = {goal.case for goal in GOALS}
    quick = {
        name: each._replace(cases=tuple(case for case in each.cases if case in decisive))
        for name, each in tables.items()
    }
    return {name: each for name, each in quick.items() if each.cases}


def measure_table(asked: Table, contenders: Sequence[Contender], runs: int, records: int) -> Results:
    """Measure every work of a table, each on a fresh broker."""
    titles = {contender.name: contender.title for contender in contenders}
    # The page names what ours and the hand-written loop run on.
    notes = [
        f"{contender.title}: {contender.versions()}"
        for contender in contenders
        if contender.versions is not describe_versions
    ]
    rows = []
    for case in asked.cases:
        rows.append(measure_case(case, contenders, runs, records // asked.share))
        _say("\n".join(" | ".join(cells) for cells in rows_of(rows[-1], titles)))
    goals = outcomes({row.title: row for row in rows})
    return Results(asked.title, runs, notes, titles, rows, goals)


def measure_case(case: Case, contenders: Sequence[Contender], runs: int, records: int) -> Row:
    """Measure one work; the contenders take turns."""
    only = WORKS[case.work].only
    contenders = [contender for contender in contenders if only is None or contender.name in only]
    refusals = {
        contender.name: reason
        for contender in contenders
        if (reason := contender.refusal(case.work, case.format, exactly_once=case.exactly_once))
    }
    able = [contender for contender in contenders if contender.name not in refusals]
    measured: dict[str, list[Measurement]] = {contender.name: [] for contender in able}
    with on_fresh_broker(case) as work:
        for number, contender in turns(able, runs):
            if contender.name in refusals:
                continue
            try:
                measurement = work.run(contender, records // contender.share, number)
            except ResultError as error:
                if contender.name == OURS:
                    raise
                # The page says so in place of its times, and the others' count.
                refusals[contender.name] = f"a result was wrong, so no time counts: {error}"
                del measured[contender.name]
                continue
            measured[contender.name].append(measurement)
            _say(f"{title_of(case)}, run {number}, {contender.name}: {measurement.rate:,.0f}/s")
    return Row(title_of(case), measured, refusals)


def write(results: Results, folder: Path, name: str, *, quick: bool) -> None:
    """Write a table's page, its picture, and what was measured, which the goals are read from."""
    command = f"python -m benchmarks --table {name}{' --quick' * quick}"
    (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    page_of(results, command).publish(folder / f"{name}.md")


def write_goals(folder: Path) -> None:
    """Write the page of all goals that the tables in a folder decide."""
    goals = [
        (goal.work, goal.goal, goal.measured, "yes" if goal.reached else "**no**")
        for path in sorted(folder.glob("*.json"))
        for goal in msgspec.json.decode(path.read_bytes(), type=Results).goals
    ]
    lines = table(("work", "goal", "measured", "reached"), 2, goals)
    others = "".join(f"* [{name}]({name}.md)\n" for name in _OTHERS if (folder / f"{name}.md").exists())
    more = f"\nPages of their own say which of the other goals are met:\n\n{others}" if others else ""
    if (folder / "profile.md").exists():
        more += "\nWhere a record's time goes, and what the loop by hand needs: [profile](profile.md).\n"
    (folder / "goals.md").write_text(f"# Goals of throughput\n\n{lines}{more}", encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
