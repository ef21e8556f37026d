"""Windowed joins of two streams: rules a4 and a7, the tables of b1 and b2, deviations 1, 3 and 6.

Where a table of Kafka Streams' own tests differs, it is because its emission of unmatched rows is
throttled by wall clock, or by deviation 3: a row comes out when stream time first exceeds the end
of its window plus grace, whichever side's record advances it.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.dsl.builder import StreamsBuilder
from tests.semantics.timed import Declare, Step, check, joined, ms

INPUT_II = [
    *("L k:∅@1", "R k:∅@2", "L k:A@3", "R k:a@4", "L k:B@5", "R k:b@6", "L k:∅@7", "R k:∅@8", "L k:C@9"),
    *("R k:c@10", "R k:∅@11", "L k:∅@12", "R k:∅@13", "R k:d@14", "L k:D@15", "L ∅:E@16", "R ∅:e@17"),
]
INNER_II = {
    4: "k:A-a@4",
    5: "k:B-a@5",
    6: "k:A-b@6 k:B-b@6",
    9: "k:C-a@9 k:C-b@9",
    10: "k:A-c@10 k:B-c@10 k:C-c@10",
    14: "k:A-d@14 k:B-d@14 k:C-d@14",
    15: "k:D-a@15 k:D-b@15 k:D-c@15 k:D-d@15",
}


def join(within: timedelta | tuple[timedelta, timedelta], grace: int = 0, *, left: bool = False) -> Declare:
    def declare(builder: StreamsBuilder) -> None:
        one, other = builder.stream("L", key=str, value=str), builder.stream("R", key=str, value=str)
        method = one.left_join if left else one.join
        method(other, joined, within=within, grace=ms(grace), name="j", value=str).to("out")

    return declare


def repartitioned(*, left: bool) -> Declare:
    """As the `...Repartitioned` variants of Kafka Streams' tests: the key is changed on both sides."""

    def declare(builder: StreamsBuilder) -> None:
        one = builder.stream("L", key=str, value=str).map(lambda k, v: (k, v), key=str, value=str)
        other = builder.stream("R", key=str, value=str).select_key(lambda k, _: k, key=str)
        method = one.left_join if left else one.join
        method(other, joined, within=ms(10_000), grace=timedelta(days=1), name="j", value=str).to("out")

    return declare


def numbered(inputs: list[str], expected: dict[int, str]) -> list[Step]:
    return [(given, expected.get(number, "")) for number, given in enumerate(inputs, start=1)]


@pytest.mark.parametrize(
    ("declare", "expected"),
    [
        pytest.param(join(ms(10_000), 86_400_000), INNER_II, id="b1-inner"),
        pytest.param(join(ms(10_000), 86_400_000, left=True), INNER_II | {16: "∅:E-null@16"}, id="b1-left"),
        pytest.param(repartitioned(left=False), INNER_II, id="b1-inner-repartitioned"),
        pytest.param(repartitioned(left=True), INNER_II | {16: "∅:E-null@16"}, id="b1-left-repartitioned"),
    ],
)
@pytest.mark.parametrize("partitions", [1, 3])
def test_input_ii(declare: Declare, expected: dict[int, str], partitions: int) -> None:
    check(declare, numbered(INPUT_II, expected), partitions={"L": partitions, "R": partitions})


def test_b1_self_join() -> None:
    """Unoptimised: this record with the others, then the others with this one."""

    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("L", key=str, value=str)
        stream.join(stream, joined, within=ms(10_000), name="j", value=str).to("out")

    check(
        declare,
        [
            ("L k:∅@1", ""),
            ("L k:A@2", "k:A-A@2"),
            ("L k:B@3", "k:B-A@3 k:A-B@3 k:B-B@3"),
            ("L k:∅@4", ""),
            ("L k:C@5", "k:C-A@5 k:C-B@5 k:A-C@5 k:B-C@5 k:C-C@5"),
            ("L k:∅@6", ""),
            ("L k:D@7", "k:D-A@7 k:D-B@7 k:D-C@7 k:A-D@7 k:B-D@7 k:C-D@7 k:D-D@7"),
        ],
    )


AFTER_100 = (ms(0), ms(100))
BEFORE_100 = (ms(100), ms(0))
FOUR = [("L 0:A0@1000", ""), ("L 1:A1@1001", ""), ("L 2:A2@1002", ""), ("L 3:A3@1003", "")]

INNER: dict[str, tuple[Declare, list[Step]]] = {
    "a4.1-both-ends-are-inside": (
        join(ms(10)),
        [
            ("L k:A@100", ""),
            ("R k:a@89", ""),
            ("R k:b@90", "k:A-b@100"),
            ("R k:c@110", "k:A-c@110"),
            ("R k:d@111", ""),
        ],
    ),
    "a4.1-b2-asymmetric-after-lower-end": (
        join(AFTER_100, 2000),
        [*FOUR, ("R 0:b0@999", ""), ("R 0:b0@1000", "0:A0-b0@1000"), ("R 1:b1@1000", "")],
    ),
    "a4.1-b2-asymmetric-after-upper-end": (
        join(AFTER_100),
        [
            *FOUR,
            ("R 0:b0@1100", "0:A0-b0@1100"),
            ("R 0:b0@1101", ""),
            ("R 1:b1@1101", "1:A1-b1@1101"),
            ("R 3:b3@1103", "3:A3-b3@1103"),
            ("R 3:b3@1104", ""),
        ],
    ),
    "a4.1-b2-asymmetric-before": (
        join(BEFORE_100, 2000),
        [
            *FOUR,
            ("R 0:b0@899", ""),
            ("R 0:b0@900", "0:A0-b0@1000"),
            ("R 3:b3@1003", "3:A3-b3@1003"),
            ("R 3:b3@1004", ""),
        ],
    ),
    "a4.1-negative-after: right must precede left by 5 to 10": (
        join((ms(10), ms(-5)), 100),
        [
            ("R k:a@90", ""),
            ("L k:A@94", ""),
            ("L k:B@95", "k:B-a@95"),
            ("L k:C@100", "k:C-a@100"),
            ("L k:D@101", ""),
        ],
    ),
    "deviation6-negative-before-near-zero: bounds are not clamped into a match": (
        join((ms(-5), ms(10)), 100),
        [("L k:A@0", ""), ("R k:a@0", ""), ("R k:b@4", ""), ("R k:c@5", "k:A-c@5"), ("R k:d@10", "k:A-d@10")],
    ),
    "a4.2-duplicates-are-kept": (
        join(ms(10)),
        [("L k:A@1", ""), ("L k:A@1", ""), ("L k:B@1", ""), ("R k:a@1", "k:A-a@1 k:A-a@1 k:B-a@1")],
    ),
    "a4.3-pairs-in-the-other-sides-time-order-then-as-inserted": (
        join(ms(10)),
        [
            ("L k:late@7", ""),
            ("L k:early@3", ""),
            ("L k:early2@3", ""),
            ("R k:a@5", "k:early-a@5 k:early2-a@5 k:late-a@7"),
        ],
    ),
    "a1.7-time-of-a-pair-is-the-later-one": (
        join(ms(10)),
        [("L k:A@8", ""), ("R k:a@5", "k:A-a@8"), ("R k:b@9", "k:A-b@9")],
    ),
    "a4.1-keys-do-not-mix": (
        join(ms(10)),
        [("L k:A@1", ""), ("R kk:a@1", ""), ("R k:a@1", "k:A-a@1")],
    ),
    "a4.4-null-key-and-null-value-are-dropped": (
        join(ms(10)),
        [("L k:∅@1", ""), ("L ∅:A@1", ""), ("R k:a@1", ""), ("R ∅:a@1", ""), ("L k:B@1", "k:B-a@1")],
    ),
    "a4.5-late-is-what-the-other-side-has-forgotten: retention is before+after+grace of that side's time": (
        join(ms(10), 5),
        [
            ("L k:A@0", ""),
            ("L z:_@24", ""),
            ("R k:a@0", "k:A-a@0"),
            ("L z:_@25", ""),
            ("R k:a@0", ""),
        ],
    ),
    "a4.5-lateness-is-measured-per-side: right's time does not expire left's records": (
        join(ms(10)),
        [("L k:A@0", ""), ("R z:_@1000", ""), ("R k:a@0", "k:A-a@0")],
    ),
    "deviation1-accepted-means-counted: the last millisecond of a window that lies on one side": (
        join(AFTER_100),
        [
            ("L k:A@0", ""),
            ("L z:_@100", ""),
            ("R k:a@100", "k:A-a@100"),
            ("L z:_@101", ""),
            ("R k:b@100", ""),
        ],
    ),
    "deviation6-negative-after-finds-what-is-far-back": (
        join((ms(10), ms(-5))),
        [("R k:a@90", ""), ("R z:_@100", ""), ("L k:A@100", "k:A-a@100")],
    ),
    "deviation1-zero-width-window-with-grace-takes-a-late-record": (
        join(ms(0), 5),
        [("L k:A@5", ""), ("L z:_@10", ""), ("R k:a@5", "k:A-a@5"), ("L z:_@11", ""), ("R k:b@5", "")],
    ),
    "deviation1-zero-width-window-without-grace-matches-equal-times": (
        join(ms(0)),
        [("L k:A@5", ""), ("R k:a@5", "k:A-a@5"), ("R k:b@6", ""), ("L k:B@6", "k:B-b@6")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), INNER.values(), ids=INNER.keys())
def test_inner(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


LEFT: dict[str, tuple[Declare, list[Step]]] = {
    "a4.8-b2-testOrdering: unmatched rows before the record's own pairs": (
        join(ms(100), left=True),
        [("L 0:A0@0", ""), ("L 1:A1@100", ""), ("R 1:a1@110", "0:A0-null@0 1:A1-a1@110")],
    ),
    "a4.8-b2-testGracePeriod: nothing before end plus grace is exceeded": (
        join(ms(100), 10, left=True),
        [
            ("L 0:A0@0", ""),
            ("L 1:A1@0", ""),
            ("R 0:a0@101", ""),
            ("R 1:a1@101", ""),
            ("R 2:a2@110", ""),
            ("R 3:a3@111", "0:A0-null@0 1:A1-null@0"),
        ],
    ),
    "a4.8-strictly-greater: not at the end of the window": (
        join(ms(100), left=True),
        [("L k:A@0", ""), ("R z:_@100", ""), ("R z:_@101", "k:A-null@0")],
    ),
    "a4.8-b2-testLeftJoinDuplicates: entries of one time and key, in order": (
        join(ms(100), 10, left=True),
        [
            ("L 0:A0@0", ""),
            ("L 0:A0-0@0", ""),
            ("R 1:a0@111", "0:A0-null@0 0:A0-0-null@0"),
            ("R 2:dummy@500", ""),
            ("L 2:A2@1000", ""),
            ("L 2:A2-0@1000", ""),
            ("R 2:a2@1001", "2:A2-a2@1001 2:A2-0-a2@1001"),
            ("R 3:a3@315", ""),
        ],
    ),
    "a4.8-b2-expired-rows-emitted-by-the-left-side": (
        join(ms(100), left=True),
        [
            ("L 0:A0@1", ""),
            ("L 1:A1@2", ""),
            ("L 0:A0-0@3", ""),
            ("R 1:a1@3", "1:A1-a1@3"),
            ("L 2:dummy@401", "0:A0-null@1 0:A0-0-null@3"),
        ],
    ),
    "a4.8-b2-expired-rows-emitted-by-the-right-side": (
        join(ms(100), left=True),
        [
            ("L 0:A0@1", ""),
            ("L 1:A1@2", ""),
            ("L 0:A0-0@3", ""),
            ("R 1:a1@3", "1:A1-a1@3"),
            ("R 2:dummy@401", "0:A0-null@1 0:A0-0-null@3"),
        ],
    ),
    "a4.8-b2-zero-after: look-back of a left row is after, not before": (
        join((ms(100), ms(0)), left=True),
        [("L 0:A0@0", ""), ("L 0:A1@1", "0:A0-null@0"), ("R 0:a@1", "0:A1-a@1")],
    ),
    "a4.8-b2-testLeftJoinedRecordsWithZeroBefore": (
        join((ms(0), ms(100)), left=True),
        [
            ("L 0:A0@0", ""),
            ("L 1:A1@1", ""),
            ("R 0:a0@100", "0:A0-a0@100"),
            ("R 1:a1@102", "1:A1-null@1"),
        ],
    ),
    "a4.8-order-is-time-then-key-bytes": (
        join(ms(10), left=True),
        [
            ("L b:B@2", ""),
            ("L c:C@1", ""),
            ("L a:A@2", ""),
            ("R z:_@13", "c:C-null@1 a:A-null@2 b:B-null@2"),
        ],
    ),
    "a4.7-a-match-cancels-the-unmatched-row": (
        join(ms(10), left=True),
        [("L k:A@0", ""), ("R k:a@5", "k:A-a@5"), ("R z:_@1000", "")],
    ),
    "a4.7-a-match-on-arrival-leaves-no-unmatched-row": (
        join(ms(10), left=True),
        [("R k:a@5", ""), ("L k:A@0", "k:A-a@5"), ("R z:_@1000", "")],
    ),
    "a4.4-left-null-key-is-emitted-at-once (KIP-962); right null key is dropped": (
        join(ms(10), left=True),
        [("L ∅:A@5", "∅:A-null@5"), ("R ∅:a@5", ""), ("L ∅:∅@5", "")],
    ),
    "a4.4-a-null-value-is-dropped-but-advances-stream-time": (
        join(ms(10), left=True),
        [("L k:A@0", ""), ("L k:∅@11", "k:A-null@0"), ("R k:∅@12", ""), ("R k:a@12", "")],
    ),
    "a4.4-a-null-key-advances-stream-time": (
        join(ms(10), left=True),
        [("L k:A@0", ""), ("R ∅:a@11", "k:A-null@0")],
    ),
    "a4.11-stream-time-is-shared-by-both-sides": (
        join(ms(10), left=True),
        [
            ("R z:_@100", ""),
            ("L k:A@89", "k:A-null@89"),
            ("L k:B@90", ""),
            ("L z:_@101", "k:B-null@90 z:_-_@101"),
        ],
    ),
    "a4.9-late-and-unmatched-on-arrival-is-emitted-at-once": (
        join(ms(10), 5, left=True),
        [("R z:_@100", ""), ("L k:A@84", "k:A-null@84"), ("L k:B@85", ""), ("R z:_@101", "k:B-null@85")],
    ),
    "deviation3-never-before-grace-is-over: Kafka Streams emits on arrival, without grace (a4.9)": (
        join(ms(10), 50, left=True),
        [("R z:_@100", ""), ("L k:A@50", ""), ("R k:a@55", "k:A-a@55"), ("R z:_@1000", "")],
    ),
    "deviation3-whichever-side-advances-time: asymmetric windows do not wait for the other side": (
        join((ms(0), ms(5)), left=True),
        [("L k:A@0", ""), ("L z:_@6", "k:A-null@0")],
    ),
    "deviation3-never-later: a second row right after the first scan is not held back by a throttle": (
        join(ms(10), left=True),
        [
            ("L a:A@0", ""),
            ("L b:B@1", ""),
            ("L c:C@2", ""),
            ("R z:_@11", "a:A-null@0"),
            ("R z:_@12", "b:B-null@1"),
            ("R z:_@13", "c:C-null@2"),
        ],
    ),
    "a4.5-after-the-unmatched-row-a-late-right-record-still-finds-it: inner matches know no lateness": (
        join(ms(10), left=True),
        [("L k:A@5", ""), ("R z:_@16", "k:A-null@5"), ("R k:a@15", "k:A-a@15")],
    ),
    "deviation6-negative-after: a left row whose window has passed comes out on arrival": (
        join((ms(10), ms(-5)), left=True),
        [("L k:A@100", "k:A-null@100"), ("R k:a@150", ""), ("L k:B@155", "k:B-a@155")],
    ),
    "deviation7-rows-wait-across-a-restart-and-come-once": (
        join(ms(10), left=True),
        [
            ("L a:A@0", ""),
            ("L b:B@1", ""),
            ("restart", ""),
            ("R z:_@11", "a:A-null@0"),
            ("restart", ""),
            ("R z:_@11", ""),
            ("crash", ""),
            ("R z:_@12", "b:B-null@1"),
            ("move", ""),
            ("R z:_@1000", ""),
        ],
    ),
    "deviation7-stream-time-survives: after a restart, a late left record is still late": (
        join(ms(10), left=True),
        [
            ("R z:_@100", ""),
            ("restart", ""),
            ("L k:A@0", "k:A-null@0"),
            ("move", ""),
            ("L k:B@1", "k:B-null@1"),
        ],
    ),
    "deviation7-pairs-are-found-across-restarts": (
        join(ms(10), left=True),
        [("L k:A@0", ""), ("move", ""), ("R k:a@5", "k:A-a@5"), ("move", ""), ("L k:B@6", "k:B-a@6")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), LEFT.values(), ids=LEFT.keys())
def test_left(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)
