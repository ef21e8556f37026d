"""Seeded random cases: the same seed and number give the same case, always."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from random import Random

from tests.oracle.cases import Case
from tests.oracle.families import FAMILIES, settle
from tests.oracle.inputs import inputs
from tests.oracle.maker import Maker
from tests.oracle.order import defined
from tests.oracle.support import supported

#: A family that is not supported once in so many tries is not there yet.
_TRIES = 300


def case(seed: int, number: int, families: Sequence[str]) -> Case:
    """Return one random case; the families take turns.

    Raises:
        ValueError: our DSL does not have the operators of the family.
    """
    random = Random(f"{seed}/{number}")
    family = families[number % len(families)]
    for _ in range(_TRIES):
        make = Maker(random)
        FAMILIES[family](make)
        settle(make)
        if supported(make.nodes) and defined(make.nodes):
            in_memory = random.random() < 0.95
            return Case(family, make.nodes, inputs(random, make.nodes, make.scale), in_memory)
    raise ValueError(f"no case of family {family!r} can be declared: see support.py")


def cases(seed: int, count: int, families: Sequence[str]) -> Iterator[Case]:
    """Iterate random cases."""
    return (case(seed, number, families) for number in range(count))


@cache
def available() -> tuple[str, ...]:
    """Return the families that our DSL has the operators of."""
    found = []
    for family in FAMILIES:
        try:
            case(0, 0, [family])
        except ValueError:
            continue
        found.append(family)
    return tuple(found)
