"""From sampled stacks to what a record's time is spent on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_STATE: Final = "stores and their caches"
_RUNTIME: Final = "runtime and operators"
_BY_HAND: Final = "the loop itself"

#: What a sample is spent on, in the order of a record's way, and what a frame of it matches then. At most one
#: does; where none does, whose Python it is decides.
LAYERS: Final[Mapping[str, re.Pattern[str] | None]] = {
    "fetching": re.compile(
        r"Consumer_(consume|poll)|Message_dealloc|(poll|fetch) \(.*kafka/(consumer|reader|fetching)\.py"
    ),
    "decoding JSON": re.compile(r"JSONDecoder_decode"),
    _RUNTIME: None,
    _BY_HAND: None,
    "the user's functions": re.compile(
        r"(benchmarks/(masking|redaction|topologies)|observability/(redact|patterns))\.py"
    ),
    _STATE: None,
    "RocksDB": re.compile(r"\(rocksdict/"),
    "encoding JSON": re.compile(r"JSONEncoder_encode"),
    "producing": re.compile(r"Producer_produce |(produce|produce_waiting|log) \(.*kafka/producer\.py"),
    "waiting for acknowledgements": re.compile(
        r"Producer_(flush|commit_tr|send_offsets)|Consumer_(commit|offsets_for_times)|wait \(.*threading\.py"
    ),
}

#: Within these a record is worked on: what lies outside is start and end.
_MEASURED: Final = re.compile(
    r"^(_process|restore) \(.*benchmarks/engine\.py|^\w+ \(.*benchmarks/handwritten/"
)
#: These read back what came of it, when the time has been taken.
_CHECKED: Final = re.compile(r"^(_stored \(.*benchmarks/engine|windows_digest \(.*benchmarks/windows)\.py")
#: Or what was made of several of these (`pipeline.plan.fusion`).
_PYTHON: Final = re.compile(r"(\.py|\(<fused .*>):\d+\)$")
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
    if began is None or any(_IMPORTED.search(frame) or _CHECKED.search(frame) for frame in stack[began:]):
        return None
    inner = stack[began + 1 :]
    for layer, pattern in LAYERS.items():
        if pattern is not None and any(map(pattern.search, inner)):
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
