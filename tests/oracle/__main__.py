"""Compare Headrace with Kafka Streams on random cases: `python -m tests.oracle --seed 7 --cases 1000`."""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.oracle.cases import Case, load
from tests.oracle.check import Verdict, check, check_all
from tests.oracle.families import FAMILIES
from tests.oracle.generate import case
from tests.oracle.kafka_streams import KafkaStreams
from tests.oracle.report import Tally
from tests.oracle.shrink import shrunk

_HERE = Path(__file__).parent


def main(arguments: Sequence[str]) -> int:
    """Run cases, print what differs, and return 1 if anything does."""
    chosen = _parsed(arguments)
    logging.disable(logging.CRITICAL)  # what is dropped is no news here
    seed = secrets.randbelow(1_000_000) if chosen.seed is None else chosen.seed
    families = chosen.family or list(FAMILIES)
    print(f"seed {seed}, {chosen.cases} cases of: {', '.join(families)}", flush=True)
    tally = Tally(seed)
    with KafkaStreams() as kafka:
        numbers = range(chosen.first, chosen.first + chosen.cases)
        made: Iterator[Case] = (
            map(load, chosen.file) if chosen.file else (case(seed, number, families) for number in numbers)
        )
        for number, verdict in zip(numbers, check_all(kafka, made), strict=False):
            tally.add(verdict)
            if verdict.failed:
                _print_failure(kafka, verdict, seed, number, shrink=not chosen.no_shrink)
                if len(tally.failed) >= chosen.failures:
                    break
    print(tally.summary())
    if chosen.report:
        chosen.report.write_text(tally.markdown(), encoding="utf-8")
    return 1 if tally.failed else 0


def _print_failure(kafka: KafkaStreams, verdict: Verdict, seed: int, number: int, *, shrink: bool) -> None:
    print(f"--- case {number} of seed {seed}, family {verdict.case.family}")
    if shrink:
        declared = _is_declared(verdict)

        def fails(smaller: Case) -> bool:
            found = check(kafka, smaller)
            return found.failed and _is_declared(found) == declared

        verdict = check(kafka, shrunk(verdict.case, fails))
    print(verdict.case.text(), end="")
    print(verdict.difference, flush=True)


def _is_declared(verdict: Verdict) -> bool:
    """Whether the topology of a failing case can be declared on both sides."""
    return "error: " not in (verdict.difference or "") and "Headrace fails" not in (verdict.difference or "")


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the random cases; a fresh one is printed")
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument(
        "--family", action="append", choices=FAMILIES, help="only this family; may be given again"
    )
    parser.add_argument("--failures", type=int, default=10, help="stop after so many")
    parser.add_argument("--no-shrink", action="store_true", help="print failing cases as they were made")
    parser.add_argument("--report", type=Path, help="write the counts to this Markdown file")
    parser.add_argument("file", type=Path, nargs="*", help="cases to run instead of random ones")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
