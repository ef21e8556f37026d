"""Feed every serde with poison: `python -m tests.poison --inputs 100000 --report docs/poison.md`."""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.poison.inputs import KINDS
from tests.poison.run import Result, feed
from tests.poison.serdes import SERDES

_HEAD: Final = """\
# Poison

What became of {inputs:,} inputs for each serde, as key and as value: valid ones, and what truncation, flipped
bits and worse make of them. Every input is in the output or in the dead-letter topic, once; those in
the output read back the same, the dead letters have key, value, headers and timestamp as they came; the
valid ones all pass. No worker stopped.

    python -m tests.poison --inputs {inputs} --seed {seed} --report docs/poison.md
"""


def main(arguments: Sequence[str]) -> int:
    """Feed, print what became of it, and return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.poison", description=__doc__)
    parser.add_argument("--inputs", type=int, default=5_000, help="for each serde")
    parser.add_argument("--seed", type=int, help="of the inputs; a fresh one is printed")
    parser.add_argument("--serde", action="append", choices=SERDES, help="only this; may be given again")
    parser.add_argument("--report", type=Path, help="write the counts to this Markdown file")
    chosen = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # dead letters are no news here
    seed = secrets.randbelow(1_000_000) if chosen.seed is None else chosen.seed
    print(f"seed {seed}, {chosen.inputs} inputs for each serde", flush=True)
    results = []
    for name in chosen.serde or SERDES:
        try:
            results.append(feed(name, chosen.inputs, seed))
        except Exception as error:  # noqa: BLE001 - whatever ends the worker is what is looked for
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            continue
        inputs, written, dead = results[-1].row()
        print(f"{name}: {inputs} inputs, {written} in the output, {dead} dead letters", flush=True)
    if chosen.report:
        chosen.report.write_text("\n".join(_report(results, chosen.inputs, seed)) + "\n", encoding="utf-8")
    return len(results) != len(chosen.serde or SERDES)


def _report(results: Sequence[Result], inputs: int, seed: int) -> Iterator[str]:
    yield _HEAD.format(inputs=inputs, seed=seed)
    yield from _table("serde", [(result.name, result.row()) for result in results])
    yield ""
    kinds = [(kind, [result.row(kind) for result in results]) for kind in KINDS]
    yield from _table("made by", [(kind, tuple(map(sum, zip(*rows, strict=True)))) for kind, rows in kinds])


def _table(what: str, rows: Sequence[tuple[str, Sequence[int]]]) -> Iterator[str]:
    yield f"| {what} | inputs | output | dead letters |"
    yield "| --- | --: | --: | --: |"
    for name, counts in rows:
        yield f"| {name} | {' | '.join(f'{count:,}' for count in counts)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
