"""Cut into partitions or by restarts, cases give the same results: `independence` says what is claimed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

import pytest

from tests.oracle import headrace
from tests.oracle.cases import Case, Result
from tests.oracle.compare import difference, store_difference
from tests.oracle.families import FAMILIES
from tests.oracle.generate import case
from tests.oracle.headrace import stores
from tests.oracle.independence import advanced, by_key, independent, restartable, undriven, waiting
from tests.oracle.shrink import shrunk

_CASES = 150
#: Each record of them is led by records for every partition of every topic.
_DRIVEN_CASES = 25
_EVENTS: tuple[headrace.Event, ...] = ("restart", "crash", "move")


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> int:
    """A fresh seed, printed."""
    fresh = secrets.randbelow(1_000_000)
    with capsys.disabled():
        print(f"\n{request.node.name}: seed {fresh}")
    return fresh


def _random_cases(seed: int) -> Iterator[tuple[Random, Case]]:
    """Iterate random cases without end, each with what may be drawn for it."""
    number = 0
    while True:
        yield Random(f"{seed}/{number}/cut"), case(seed, number, tuple(FAMILIES))
        number += 1


def _check(made: Case, differs: Callable[[Case], str | None]) -> None:
    if differs(made) is not None:
        smallest = shrunk(made, lambda smaller: differs(smaller) is not None)
        pytest.fail(f"{smallest.text()}{differs(smallest)}")


def test_restarts_change_nothing(seed: int) -> None:
    for (random, made), _ in zip(_random_cases(seed), range(_CASES), strict=False):
        after = {
            random.randrange(len(made.inputs)): random.choice(_EVENTS) for _ in range(random.randint(1, 4))
        }
        _check(restartable(made), lambda one, after=after: _restarted(one, after))  # type: ignore[misc]


def _restarted(made: Case, after: dict[int, headrace.Event]) -> str | None:
    return difference(made, headrace.run(made, events=after), headrace.run(made))


@pytest.mark.parametrize("driven", [False, True], ids=["in-order", "driven"])
def test_partitions_change_nothing(seed: int, *, driven: bool) -> None:
    done = 0
    for random, made in _random_cases(seed):
        if independent(made, driven=driven) is None:
            continue
        inputs = len(made.inputs)
        after = {random.randrange(inputs): random.choice(_EVENTS) for _ in range(random.randint(0, 2))}
        for partitions in (2, 5):
            cut = _Cut(partitions, after, driven)
            _check(made, cut.difference)
        done += 1
        if done == (_DRIVEN_CASES if driven else _CASES):
            break


class _Cut(NamedTuple):
    """A number of partitions, and what happens to the worker after which input."""

    partitions: int
    after: dict[int, headrace.Event]
    driven: bool

    def difference(self, made: Case) -> str | None:
        """Return what is otherwise than with one partition and without events, for reading."""
        case = independent(made, driven=self.driven)
        found = None if case is None else self._of_rows(case) or self._of_what_came_out(advanced(case))
        return None if found is None else f"{self}: {found}"

    def _run(self, case: Case) -> tuple[Result, Result]:
        """Return what comes of a case cut like this, and uncut."""
        return undriven(headrace.run(case, self.partitions, self.after)), undriven(headrace.run(case))

    def _of_rows(self, case: Case) -> str | None:
        """Compare rows, but of tables to which something is still on its way."""
        late = waiting(case.nodes)
        ours, single = self._run(case)
        kept = {name: rows for name, rows in single.stores.items() if name not in late}
        return store_difference(case, ours.stores, kept)

    def _of_what_came_out(self, case: Case) -> str | None:
        """Compare outputs by key, and the rows of all tables that keep them, when nothing waits any more."""
        ours, single = self._run(case)
        kept = {name: rows for name, rows in single.stores.items() if stores(case)[name] == "key-value"}
        for key, expected in by_key(single).items():
            if by_key(ours).get(key) != expected:
                return f"{key}:\n  {by_key(ours).get(key)}\n  with one: {expected}"
        more = by_key(ours).keys() - by_key(single).keys()
        return f"keys {more}" if more else store_difference(case, ours.stores, kept)


def test_a_replay_gives_the_same_bytes(seed: int) -> None:
    """Topic by topic, record by record: key, value, timestamp, headers, in one order.

    Across restarts too: of one partition, because which of several is read from first is the broker's.
    """
    for (random, made), _ in zip(_random_cases(seed), range(_CASES), strict=False):
        kept = restartable(made)
        after = {random.randrange(len(kept.inputs)): random.choice(_EVENTS) for _ in range(2)}
        first = headrace.topics(kept)
        assert headrace.topics(kept, events=after) == first, f"{after}\n{kept.text()}"
        partitions = random.choice([2, 5])
        assert headrace.topics(kept, partitions) == headrace.topics(kept, partitions), kept.text()
