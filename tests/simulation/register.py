"""An application whose agent numbers visits by visitor in a global table; a visitor's are in one partition.

Whoever takes a partition over must know what its last owner wrote. With exactly-once the numbers are 1, 2, 3
and so on, whoever gave them, and the table holds the last ones on every worker.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any, Final

import msgspec

from pipeline import App
from pipeline.agents.stream import AgentStream
from pipeline.testing.simulation import Input, Outcome

VISITS: Final = "visits"
NUMBERED: Final = "numbered"
TABLE: Final = "register-visits-changelog"
_VISITORS: Final = 7


def _app() -> App:
    app = App("register")
    register = app.GlobalTable("visits", default=int, partitions=2)

    @app.agent(app.topic(VISITS, key_type=str, value_type=int), sink=[app.topic(NUMBERED)])
    async def number(stream: AgentStream[int]) -> AsyncIterator[Any]:
        async for event in stream.events():
            register[event.key] += 1
            yield [register[event.key], event.value]

    return app


TOPOLOGY: Final = _app().topology


class Register:
    """The input, and what is to come of it.

    Args:
        seed: of the input.
        visits: how many.
    """

    def __init__(self, seed: int, visits: int) -> None:
        random = Random(seed)
        self._visits = [f"visitor-{random.randrange(_VISITORS)}" for _ in range(visits)]

    def inputs(self) -> Iterator[Input]:
        """Yield each visit."""
        for number, visitor in enumerate(self._visits):
            yield Input(VISITS, visitor.encode(), b"%d" % number, 1_000 + number)

    def lost(self, outcome: Outcome) -> list[str]:
        """Return the visits that nobody numbered: there is none, whatever the guarantee."""
        numbered = {visit for found in _numbered(outcome).values() for _number, visit in found}
        missing = set(range(len(self._visits))) - numbered
        return [f"{NUMBERED}: lost {sorted(missing)}"] if missing else []

    def differences(self, outcome: Outcome) -> list[str]:
        """Return what is not exactly as it would be if nothing had gone wrong."""
        expected: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for visit, visitor in enumerate(self._visits):
            expected[visitor].append((len(expected[visitor]) + 1, visit))
        found = _numbered(outcome)
        lines = [
            f"{NUMBERED}, {visitor}: {found[visitor]} instead of {visits}"
            for visitor, visits in expected.items()
            if found[visitor] != visits
        ]
        counts = {visitor.encode(): b"%d" % count for visitor, count in Counter(self._visits).items()}
        if (table := outcome.last_values(TABLE)) != counts:
            lines.append(f"{TABLE}: {table} instead of {counts}")
        return lines


def _numbered(outcome: Outcome) -> defaultdict[str, list[tuple[int, int]]]:
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for message in outcome.records(NUMBERED):
        number, visit = msgspec.json.decode(message.value or b"")
        found[(message.key or b"").decode()].append((number, visit))
    return found
