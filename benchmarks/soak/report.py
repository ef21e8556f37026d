"""What a soak showed, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from benchmarks.machine import describe_machine, describe_versions
from benchmarks.soak.feeder import VALUE_BYTES
from benchmarks.soak.observer import Sample

_MIB: Final = 1024 * 1024
_MB: Final = 1_000_000
_ROWS: Final = 16


class Plan(NamedTuple):
    """What is done.

    Attributes:
        seconds: how long events are sent.
        rate: events a second.
        stalls: from which second to which the sink is stalled.
    """

    seconds: int
    rate: int
    stalls: tuple[tuple[float, float], ...]

    def is_stalled(self, second: float) -> bool:
        """Whether the sink is stalled then."""
        return any(begin <= second < end for begin, end in self.stalls)


class Result(NamedTuple):
    """What was seen.

    Attributes:
        samples: one a second, from the start of the feeding until lag was back to zero.
        idle: resident memory before the first event, bytes.
        bounds: the declared bounds of memory by name, bytes.
        sent: events sent.
        written: records in the sink.
        counted: sum of the counts in the store.
    """

    samples: Sequence[Sample]
    idle: int
    bounds: dict[str, int]
    sent: int
    written: int
    counted: int

    @property
    def peak(self) -> int:
        """Largest resident memory."""
        return max(sample.resident for sample in self.samples)

    @property
    def declared(self) -> int:
        """What memory may come to: the bounds, and what the process takes without any event."""
        return self.idle + sum(self.bounds.values())


def problems(plan: Plan, result: Result) -> list[str]:
    """Return what is not as it should be."""
    stalled = [sample for sample in result.samples if plan.is_stalled(sample.second)]
    last = result.samples[-1]
    checks = {
        f"memory came to {result.peak // _MIB} MiB, declared are {result.declared // _MIB}": result.peak
        <= result.declared,
        f"lag is {last.sent - last.done} at the end": last.sent == last.done,
        # At least once: what was written since the last commit is written again when a stall has lasted so
        # long that the worker takes new clients.
        f"{result.written} of {result.sent} events are in the sink": result.written >= result.sent,
        f"{result.counted} of {result.sent} events are counted": result.counted == result.sent,
        "the worker never said that the sink was stalled": any(sample.problem for sample in stalled),
        "nothing was in the way while the sink was stalled": len({sample.done for sample in stalled})
        < max(2, len(stalled) // 2),
    }
    return [what for what, holds in checks.items() if not holds]


def report(plan: Plan, result: Result) -> str:
    """Return the page."""
    rate = plan.rate * VALUE_BYTES / _MB
    found = problems(plan, result)
    bounds = "; ".join(f"{name} {size // _MIB}" for name, size in result.bounds.items())
    stalls = ", ".join(f"{begin:.0f} to {end:.0f} s" for begin, end in plan.stalls)
    last = result.samples[-1]
    return f"""# Soak

`python -m benchmarks.soak` sends {rate:g} MB/s (1 TB a day is 11.6) to a worker that masks and writes every
event, and counts it by user and minute. Its sink is stalled meanwhile: the broker is there, and takes none.

* {describe_machine()}
* {describe_versions()}
* {plan.seconds} s, {result.sent:,} events of {VALUE_BYTES} bytes; the sink was stalled {stalls}

| | |
| --- | --: |
| resident memory before the first event | {result.idle // _MIB} MiB |
| at most, later | {result.peak // _MIB} MiB |
| declared: that before, and {bounds} | {result.declared // _MIB} MiB |
| largest lag | {max(sample.sent - sample.done for sample in result.samples):,} events |
| lag at the end, {last.second - plan.seconds:.0f} s after the last event | {last.sent - last.done:,} |
| events in the sink | {result.written:,} |
| of these written again after a stall (at least once) | {result.written - result.sent:,} |
| events counted | {result.counted:,} |

{"Everything held." if not found else "**Did not hold:** " + "; ".join(found)}

| second | sink | sent | committed | lag | resident MiB | the worker says |
| --: | --- | --: | --: | --: | --: | --- |
{"".join(_row(plan, sample) for sample in _some(plan, result.samples))}"""


def _some(plan: Plan, samples: Sequence[Sample]) -> list[Sample]:
    """Return some samples: at even distances, and the last of each stall."""
    step = max(1, len(samples) // _ROWS)
    chosen = set(samples[::step]) | {samples[-1]}
    for _begin, end in plan.stalls:
        during = [sample for sample in samples if sample.second < end]
        chosen |= set(during[-1:])
    return sorted(chosen)


def _row(plan: Plan, sample: Sample) -> str:
    sink = "stalled" if plan.is_stalled(sample.second) else ""
    said = (sample.problem or "").partition(": check")[0].replace("|", "/")
    return (
        f"| {sample.second:.0f} | {sink} | {sample.sent:,} | {sample.done:,} | {sample.sent - sample.done:,} "
        f"| {sample.resident // _MIB} | {said} |\n"
    )
