"""The inputs that the rule book's tables of joins share (b1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: 23 steps, out of order on purpose: L is the left side, R the right one.
INPUT_I = [
    *("L k:∅@1", "R k:∅@2", "L k:A@3", "R k:a@4", "L k:B@5", "R k:b@6", "L k:∅@7", "R k:∅@8", "L k:C@9"),
    *("R k:c@10", "R k:∅@11", "L k:∅@12", "R k:∅@13", "R k:d@7", "L k:D@6", "L k:∅@2", "R k:∅@3"),
    *("R k:e@14", "L k:E@15", "L k:∅@10", "R k:∅@9", "L k:F@4", "R k:f@3"),
]
#: In order of time, with records that have no key at the end.
INPUT_II = [*INPUT_I[:13], "R k:d@14", "L k:D@15", "L ∅:E@16", "R ∅:e@17"]


def steps(given: Sequence[str], expected: Mapping[int, str]) -> list[tuple[str, str]]:
    """Return each step with its outputs: `expected` has those of the steps that give any, counted from 1."""
    return [(step, expected.get(number, "")) for number, step in enumerate(given, start=1)]


def expected(text: str) -> dict[int, str]:
    """Return the outputs of the steps that give any, written as in the rule book (`4: k:A-a@4 · 5: ...`)."""
    numbered = (entry.strip().partition(": ") for entry in text.split("·"))
    return {int(number): outputs for number, _, outputs in numbered}
