"""What is looked up in versioned stores, which have no scan: every key and time that a case knows of."""

from __future__ import annotations

from typing import NamedTuple

from tests.oracle.cases import Case


class Probe(NamedTuple):
    """Keys, and times to look each of them up at."""

    keys: list[str]
    times: list[int]


def probe(case: Case) -> Probe:
    """Return the keys of the inputs and of what is made of them, and the times around the inputs'."""
    records = [record for record in case.inputs if len(record) > 1]
    keys = {record[1] for record in records if record[1] is not None}
    keys |= {record[2][:1] for record in records if record[2]}
    times = {record[3] + by for record in records for by in (-1, 0, 1)}
    return Probe(sorted(keys), sorted(times))
