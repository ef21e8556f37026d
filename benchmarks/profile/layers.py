"""From sampled stacks to what a record's time is spent on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

#: What a sample is spent on, and what a frame of it matches then. The first that matches has the sample.
_NATIVE: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "waiting for acknowledgements",
        re.compile(r"Producer_flush|_commit |_commit_tr|_offsets_to_tr"),
    ),
    ("producing", re.compile(r"Producer_produce |kafka/producer\.py")),
    ("fetching", re.compile(r"Consumer_consume|Consumer_poll|Message_dealloc|kafka/consumer\.py")),
    ("decoding JSON", re.compile(r"JSONDecoder_decode")),
    ("encoding JSON", re.compile(r"JSONEncoder_encode")),
    ("RocksDB", re.compile(r"\(rocksdict/")),
    ("the user's functions", re.compile(r"benchmarks/(masking|topologies)\.py")),
)
_STATE: Final = "stores and their caches"
_RUNTIME: Final = "runtime and operators"
_BY_HAND: Final = "the loop itself"

LAYERS: Final = (
    "fetching",
    "decoding JSON",
    _RUNTIME,
    _BY_HAND,
    "the user's functions",
    _STATE,
    "RocksDB",
    "encoding JSON",
    "producing",
    "waiting for acknowledgements",
)

#: Within these a record is worked on: what lies outside is start and end.
_MEASURED: Final = re.compile(
    r"^(_process|restore) \(.*benchmarks/engine\.py|^\w+ \(.*benchmarks/handwritten/"
)
_PYTHON: Final = re.compile(r"\.py:\d+\)$")
_IMPORTED: Final = re.compile(r"^<module> ")


def layer_of(stack: Sequence[str]) -> str | None:
    """Return what a sample is spent on; None if it is not about records.

    Args:
        stack: the frames from the outermost on, as `function (file:line)` or `function (library)`.

    >>> layer_of(["_process (benchmarks/engine.py:88)", "apply (pipeline/state/window.py:120)"])
    'stores and their caches'
    >>> layer_of(["main (benchmarks/measure.py:37)", "run (benchmarks/engine.py:37)"]) is None
    True
    """
    began = next((place for place, frame in enumerate(stack) if _MEASURED.search(frame)), None)
    if began is None or any(map(_IMPORTED.search, stack[began:])):
        return None
    inner = stack[began + 1 :]
    for layer, pattern in _NATIVE:
        if any(map(pattern.search, inner)):
            return layer
    last = next((frame for frame in reversed(inner) if _PYTHON.search(frame)), stack[began])
    if "pipeline/" not in last:
        return _BY_HAND if "benchmarks/handwritten/" in stack[began] else _RUNTIME
    return _STATE if "pipeline/state/" in last else _RUNTIME


def shares(lines: Iterable[str]) -> dict[str, float]:
    """Return each layer's share of the samples that are about records.

    Args:
        lines: of `py-spy record --format raw`: frames from the outermost on, and how many samples.
    """
    found: Counter[str] = Counter()
    for line in lines:
        frames, _, count = line.rpartition(" ")
        if (layer := layer_of(frames.split(";"))) is not None:
            found[layer] += int(count)
    return {layer: count / found.total() for layer, count in found.items()}
