"""Counting verdicts by family, and writing the counts down."""

from __future__ import annotations

from collections import Counter

from tests.oracle.check import Verdict
from tests.oracle.improvements import IMPROVEMENTS
from tests.semantics.improvements import IMPROVEMENTS as REASONS


class Tally:
    """Counts of one run.

    Args:
        seed: of its random cases.

    Attributes:
        failed: the verdicts with a difference that nothing explains.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.failed: list[Verdict] = []
        self._cases: Counter[str] = Counter()
        self._equal: Counter[str] = Counter()
        self._explained: dict[str, Counter[int]] = {}

    def add(self, verdict: Verdict) -> None:
        """Count a case."""
        family = verdict.case.family
        self._cases[family] += 1
        if verdict.failed:
            self.failed.append(verdict)
        elif verdict.improvements:
            self._explained.setdefault(family, Counter()).update(verdict.improvements)
        else:
            self._equal[family] += 1

    def _rows(self) -> list[tuple[str, int, int, int, str]]:
        """Return family, cases, equal ones, failing ones, and how many each improvement explains."""
        failed = Counter(verdict.case.family for verdict in self.failed)
        return [
            (
                family,
                count,
                self._equal[family],
                failed[family],
                ", ".join(
                    f"{n}: {times}" for n, times in sorted(self._explained.get(family, Counter()).items())
                ),
            )
            for family, count in self._cases.items()
        ]

    def _totals(self) -> str:
        total, equal = sum(self._cases.values()), sum(self._equal.values())
        explained = total - equal - len(self.failed)
        return (
            f"{total} cases: {equal} equal, {explained} explained by a documented improvement, "
            f"{len(self.failed)} different"
        )

    def summary(self) -> str:
        """Return the counts for reading."""
        lines = [
            f"{family:20} {cases:6} cases {equal:6} equal {failed:4} different   "
            f"by improvement: {explained or '-'}"
            for family, cases, equal, failed, explained in self._rows()
        ]
        return "\n".join([*lines, self._totals()])

    def markdown(self) -> str:
        """Return the counts as a page."""
        rows = "".join(
            f"| {family} | {cases} | {equal} | {cases - equal - failed} | {explained} | {failed} |\n"
            for family, cases, equal, failed, explained in self._rows()
        )
        reasons = "".join(
            f"{number}. {REASONS[number]} Kafka Streams is given: {improvement.correction}.\n"
            for number, improvement in IMPROVEMENTS.items()
        )
        return _PAGE.format(
            seed=self.seed,
            cases=sum(self._cases.values()),
            totals=self._totals(),
            rows=rows,
            reasons=reasons,
        )


_PAGE = """# Headrace and Kafka Streams

Random topologies and inputs, run by Headrace and by Kafka Streams 4.3.0 in its own `TopologyTestDriver`
(`tests/oracle`), compared in every output record (key, value, timestamp, headers, order by key, after which
input) and in every store at the end. To make this page again:
`python -m tests.oracle --seed {seed} --cases {cases} --report docs/oracle.md`.

**{totals}.**

An improvement explains a difference if Headrace does exactly what Kafka Streams does when it is corrected
as the improvement demands.

| family | cases | equal | explained | by improvement: cases | different |
| --- | --: | --: | --: | --- | --: |
{rows}
## Improvements

The numbers are those of the [README](../README.md#what-you-can-rely-on).

{reasons}
## What is not compared

Stream time after a restart (7) and idle sources (8): its test driver cannot show them. Rows that a
foreign-key join must take back although its answer is stale (11), and old rows of a join of one table (12):
Kafka Streams loses the first and makes the second up, and no correction of it is known; cases that would
show them are not made. The order of different keys in one flush of a cache, where what follows depends on
it. How far back retention reaches beyond what is accepted. The bytes that `suppress` counts. Headers of
sessions without a cache, which Kafka Streams drops.
"""
