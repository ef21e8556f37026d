"""Percentiles, and the page that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from benchmarks.live.feed import Fed
from benchmarks.live.reader import Arrivals
from benchmarks.page import Page, median_of, spread, verdict
from benchmarks.picture import Bar, Group

_MS: Final = 1_000
#: Milliseconds at the percentile 99.
GOAL_MS: Final = 15.0
_OURS: Final = "Headrace"
#: Of the others' p99, at most.
_GOAL_OF: Final = {"hand-written": 1.5, "Kafka Streams": 0.2}


class Latency(NamedTuple):
    """What one contender came to in one run, at one pace.

    Attributes:
        name: of the contender.
        run: its number.
        rate: events a second.
        capacity: what it can take, in events a second; 0: the pace does not follow from that.
        p50, p99, p999: milliseconds.
        late_ms: how far the feeder was behind its pace, at most.
    """

    name: str
    run: int
    rate: float
    capacity: float
    p50: float
    p99: float
    p999: float
    late_ms: float

    def line(self) -> str:
        """Return it for the eye."""
        return (
            f"run {self.run}, {self.name}, {self.rate:,.0f}/s: p50 {self.p50:.1f}, p99 {self.p99:.1f}, "
            f"p99.9 {self.p999:.1f} ms; the feeder was {self.late_ms:.0f} ms late at most"
        )


def latency_of(
    name: str, run: int, rate: float, capacity: float, fed: Fed, arrivals: Arrivals, seconds: float
) -> Latency:
    """Return the percentiles of what was produced in the last `seconds`."""
    last = arrivals.moments[-1] - arrivals.ages[-1] / 1e6
    counted = sorted(
        age
        for moment, age in zip(arrivals.moments, arrivals.ages, strict=True)
        if moment - age / 1e6 > last - seconds
    )
    p50, p99, p999 = (percentile(counted, share) / _MS for share in (0.5, 0.99, 0.999))
    return Latency(name, run, rate, capacity, p50, p99, p999, fed.late_ms)


def percentile(ascending: Sequence[int], share: float) -> int:
    """Return the least value that `share` of the values do not exceed.

    >>> percentile([1, 2, 3, 4], 0.5), percentile([1, 2, 3, 4], 0.99)
    (2, 4)
    """
    return ascending[max(0, -int(-share * len(ascending) // 1) - 1)]


def page(found: Sequence[Latency], rate: float, runs: int, seconds: float) -> Page:
    """Return the page."""
    names = list(dict.fromkeys(each.name for each in found))
    rows, groups = [], []
    for half in (False, True) if any(each.capacity for each in found) else (False,):
        runs_of = {name: [e for e in found if e.name == name and bool(e.capacity) == half] for name in names}
        by_name = {name: _merged(each) for name, each in runs_of.items()}
        what = "half of its capacity" if half else f"{rate:,.0f}/s"
        rows += [
            (
                what,
                each.name,
                f"{each.rate:,.0f}",
                f"{each.p50:.1f}",
                f"{each.p99:.1f}",
                spread([run.p99 for run in runs_of[each.name]], 1),
                f"{each.p999:.1f}",
                "" if half else _goals(each, by_name),
            )
            for each in by_name.values()
        ]
        bars = [Bar(each.name, each.p99, f"{each.p99:.1f}") for each in by_name.values()]
        groups.append(Group(f"p99 at {what}, ms", bars, None if half else GOAL_MS))
    text = (
        f"from `produce` to the reader of the result, through Apache Kafka: {seconds:g} s at a steady pace, "
        f"medians of {runs} runs in turns, each result checked. Every process has its defaults; half of its "
        "capacity is half of the pace at which it works off a backlog in the same run."
    )
    work = "work: route (decode, filter, mask e-mails, encode, produce), 190 bytes of JSON, 4 partitions"
    age = (
        f"the feeder was behind its pace by {max(each.late_ms for each in found):.0f} ms at most; age counts "
        "from the call of `produce`, which sends at once (`linger.ms=0`)"
    )
    return Page(
        title="End-to-end latency",
        command="python -m benchmarks.latency",
        text=text,
        header=("pace", "contender", "events/s", "p50 ms", "p99 ms", "min-max", "p99.9 ms", "goals for p99"),
        texts=2,
        rows=rows,
        groups=groups,
        notes=(work, age),
    )


def _merged(runs: Sequence[Latency]) -> Latency:
    fields = ("rate", "capacity", "p50", "p99", "p999", "late_ms")
    return Latency(runs[0].name, runs[0].run, *(median_of(runs, field) for field in fields))


def _goals(ours: Latency, by_name: dict[str, Latency]) -> str:
    if ours.name != _OURS:
        return ""
    texts = [verdict(ours.p99, GOAL_MS)]
    for name, most in _GOAL_OF.items():
        if name in by_name:
            ratio = ours.p99 / by_name[name].p99
            texts.append(f"{ratio:.2f} of {name}: {verdict(ratio, most)}")
    return "; ".join(texts)
