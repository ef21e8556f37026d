"""Final results of windows whose end is inside: sliding windows and sessions (rule a3.8, deviation 4).

Such a window takes a record until stream time exceeds its end plus its wait, and goes on no earlier; Kafka
Streams lets it go at that moment, and then once more.
"""

from __future__ import annotations

import pytest

from pipeline import until_window_closes
from pipeline.dsl.builder import StreamsBuilder
from pipeline.windows import SessionWindows, SlidingWindows
from tests.semantics.timed import Declare, Step, check


def final_counts(windows: SlidingWindows | SessionWindows) -> Declare:
    def declare(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=str).group_by_key()
        final = (
            grouped.windowed_by(windows).count(name="counts").suppress(until_window_closes(), name="final")
        )
        stream = final.to_stream(lambda window, _: f"{window.key}[{window.start},{window.end}]", key=str)
        stream.map_values(lambda _, count: str(count), value=str).to("out")

    return declare


CASES: dict[str, tuple[SlidingWindows | SessionWindows, list[Step]]] = {
    "a3.8-deviation4-a-sliding-window-takes-a-record-at-end-plus-grace-and-goes-on-once-after-it": (
        SlidingWindows(10, 5),
        [("in k:_@20", ""), ("in z:_@25", ""), ("in k:_@20", ""), ("in z:_@26", "k[10,20]:2@20")],
    ),
    "a3.8-deviation4-a-session-takes-a-record-at-end-plus-gap-plus-grace-and-goes-on-once-after-it": (
        SessionWindows(5, 1),
        [("in k:_@10", ""), ("in z:_@16", ""), ("in k:_@10", ""), ("in z:_@17", "k[10,10]:2@10")],
    ),
    "a3.8-deviation4-a-session-that-grows-at-the-last-moment-waits-anew": (
        SessionWindows(5, 1),
        [
            ("in k:_@10", ""),
            ("in z:_@16", ""),
            ("in k:_@12", ""),
            ("in z:_@18", ""),
            ("in z:_@19", "k[10,12]:2@12"),
        ],
    ),
    "a3.8-b5-shouldSupportFinalResultsForSlidingWindows": (
        SlidingWindows(5, 15),
        [
            *((f"in k1:_@{time}", "") for time in (10, 11, 10, 13, 10, 24, 5, 7)),
            (
                "in k1:_@90",
                "k1[5,10]:5@10 k1[6,11]:5@11 k1[8,13]:5@13 k1[11,16]:2@13 k1[12,17]:1@13 k1[19,24]:1@24",
            ),
        ],
    ),
    "a3.8-b5-shouldSupportFinalResultsForSessionWindows": (
        SessionWindows(5, 0),
        [
            ("in k1:_@0", ""),
            ("in k1:_@5", ""),
            ("in k1:_@1", ""),
            ("in k2:_@11", "k1[0,5]:3@5"),
            ("in k1:_@5", ""),
            ("in k1:_@30", "k2[11,11]:1@11"),
        ],
    ),
}


@pytest.mark.parametrize(("windows", "steps"), CASES.values(), ids=CASES.keys())
def test_final_counts(windows: SlidingWindows | SessionWindows, steps: list[Step]) -> None:
    check(final_counts(windows), steps)
