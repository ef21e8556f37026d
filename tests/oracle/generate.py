"""Seeded random cases: the same seed and number give the same case, always."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from tests.oracle.cases import Case
from tests.oracle.families import FAMILIES, settle
from tests.oracle.inputs import inputs
from tests.oracle.maker import Maker
from tests.oracle.order import defined


def case(seed: int, number: int, families: Sequence[str]) -> Case:
    """Return one random case; the families take turns."""
    random = Random(f"{seed}/{number}")
    family = families[number % len(families)]
    while True:
        make = Maker(random)
        FAMILIES[family](make)
        settle(make)
        if defined(make.nodes):
            in_memory = random.random() < 0.95
            return Case(family, make.nodes, inputs(random, make.nodes, make.scale), in_memory)


def cases(seed: int, count: int, families: Sequence[str]) -> Iterator[Case]:
    """Iterate random cases."""
    return (case(seed, number, families) for number in range(count))
