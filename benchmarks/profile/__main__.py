"""`python -m benchmarks.profile`: microseconds of a record, by what they are spent on; see its page."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Final, NamedTuple

from benchmarks.contenders import CONTENDERS
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.environment import python_of
from benchmarks.page import Page, page_options
from benchmarks.picture import Bar, Group
from benchmarks.profile.layers import LAYERS, shares
from benchmarks.results import BY_HAND, OURS
from benchmarks.tables import title_of
from benchmarks.works import on_fresh_broker
from benchmarks.works.work import Case

#: The works of which a goal compares with the loop by hand; and the same exactly-once, which it does not do.
_CASES: Final = (
    Case("decode"),
    Case("route"),
    Case("count"),
    Case("count", exactly_once=True),
    Case("restore"),
)
_SAMPLES_A_SECOND: Final = 250


class Profile(NamedTuple):
    """Where a contender's time went.

    Attributes:
        case: the work.
        contender: by name.
        layers: microseconds of a record, by layer.
    """

    case: Case
    contender: str
    layers: Mapping[str, float]


def main() -> None:
    """Measure, print the page, write it to a file if told to."""
    parser = page_options("profile", __doc__, 2)
    parser.add_argument("--records", type=int, default=2_000_000, help="of a run (2000000)")
    options = parser.parse_args()
    found = [each for case in _CASES for each in measure(case, options.runs, options.records)]
    page(found, options.runs).publish(options.output)


def measure(case: Case, runs: int, records: int) -> list[Profile]:
    """Return where the time goes of each contender that can be looked into.

    Args:
        case: the work.
        runs: of each contender, without and with its stacks being sampled.
        records: of a run.
    """
    found = []
    with on_fresh_broker(case) as work, tempfile.TemporaryDirectory(prefix="headrace-profile-") as folder:
        for name in (OURS, BY_HAND):
            contender, output = CONTENDERS[name], Path(folder) / f"{name}.raw"
            if contender.refusal(case.work, case.format, exactly_once=case.exactly_once):
                continue
            rates, parts = [], []
            # A work prepares a contender in its run 1.
            for run in range(1, 2 * runs, 2):
                rates.append(work.run(contender, records, run).rate)
                work.run(_sampled(contender, output), records, run + 1)
                with output.open(encoding="utf-8") as lines:
                    parts.append(shares(lines))
            record_us = 1e6 / median(rates)
            layers = {
                layer: record_us * mean(part.get(layer, 0.0) for part in parts)
                for layer in LAYERS
                if any(layer in part for part in parts)
            }
            found.append(Profile(case, name, layers))
    return found


def _sampled(contender: Contender, output: Path) -> Contender:
    """Return a contender whose stacks are sampled."""
    sampler = python_of(Path(__file__).parent).with_name("py-spy")
    # Waiting counts; and what a thread does in a library of C or Rust is told from what is waited for there.
    options = [
        "--native",
        "--idle",
        "--rate",
        str(_SAMPLES_A_SECOND),
        "--format",
        "raw",
        "--output",
        str(output),
    ]
    command = contender.command
    return replace(contender, command=lambda job: [str(sampler), "record", *options, "--", *command(job)])


def page(found: list[Profile], runs: int) -> Page:
    """Return the page."""
    rows, groups = [], []
    for case in dict.fromkeys(each.case for each in found):
        of_case = {each.contender: each.layers for each in found if each.case == case}
        title = title_of(case)
        for layer in LAYERS:
            times = [layers.get(layer) for layers in (of_case[OURS], of_case.get(BY_HAND, {}))]
            if any(time is not None for time in times):
                rows.append([title, layer, *("" if time is None else f"{time:.2f}" for time in times)])
        totals = [sum(layers.values()) for layers in (of_case[OURS], of_case.get(BY_HAND, {}))]
        rows.append([title, "**together**", *(f"**{total:.2f}**" if total else "" for total in totals)])
        bars = [Bar(layer, time, f"{time:.2f}") for layer, time in of_case[OURS].items()]
        groups.append(Group(f"{title}: microseconds of a record, Headrace", bars))
    return Page(
        title="Where a record's time goes",
        command="python -m benchmarks.profile",
        text=(
            "microseconds of the thread that records go through, by what they are spent on: shares of stacks "
            f"sampled {_SAMPLES_A_SECOND} times a second (py-spy, native frames included), of the time a "
            f"record takes in runs without sampling; {runs} runs of each. Beside it the loop by hand at the "
            "same work, on the same client and libraries: what it takes, nothing in Python goes below."
        ),
        header=("work", "spent on", "Headrace, us", "by hand, us"),
        texts=2,
        rows=rows,
        groups=groups,
    )


if __name__ == "__main__":
    main()
