"""Windowed left joins of two streams: rules a4 and a7, the tables of b2, deviations 3, 6 and 7.

Where a table of Kafka Streams' own tests differs, it is because its emission of unmatched rows is
throttled by wall clock, or by deviation 3: a row comes out when stream time first exceeds the end
of its window plus grace, whichever side's record advances it.
"""

from __future__ import annotations

import pytest

from tests.semantics.joins import AFTER_100, BEFORE_100, BOUNDS, join, wave
from tests.semantics.timed import Declare, Step, check, ms

B2: dict[str, tuple[Declare, list[Step]]] = {
    "b2-runLeftJoin: whoever has found a partner never comes out alone": (
        join(ms(100), kind="left_join"),
        [
            ("L 0:A0@0 1:A1@0", ""),
            ("R 0:a0@0 1:a1@0", "0:A0-a0@0 1:A1-a1@0"),
            ("L 0:B0@0 1:B1@0 2:B2@0", "0:B0-a0@0 1:B1-a1@0"),
            (wave("R", "b", 0), "0:A0-b0@0 0:B0-b0@0 1:A1-b1@0 1:B1-b1@0 2:B2-b2@0"),
            (wave("L", "C", 0), "0:C0-a0@0 0:C0-b0@0 1:C1-a1@0 1:C1-b1@0 2:C2-b2@0 3:C3-b3@0"),
            ("L 0:dummy@1000", ""),
        ],
    ),
    "b2-testWindowing: rows wait for the end of their window, and come out at once if it has passed": (
        join(ms(100), kind="left_join"),
        [
            ("L 0:A0@0 1:A1@0", ""),
            (wave("R", "a", 0), "0:A0-a0@0 1:A1-a1@0"),
            (wave("R", "b", 1000, step=1), ""),
            *BOUNDS,
            ("L 0:dummy@1203", "0:dummy-null@1203"),
        ],
    ),
    "b2-testRightNonJoinedRecordsAreNeverEmittedByTheLeftProcessor": (
        join(ms(100), kind="left_join"),
        [
            ("R 0:A0@1 1:A1@2 0:A0-0@3", ""),
            ("L 1:a1@3", "1:a1-A1@3"),
            ("L 2:dummy@401", ""),
            ("R 2:dummy@402", "2:dummy-dummy@402"),
        ],
    ),
    "b2-testRightNonJoinedRecordsAreNeverEmittedByTheRightProcessor": (
        join(ms(100), kind="left_join"),
        [
            ("R 0:A0@1 1:A1@2 0:A0-0@3", ""),
            ("L 1:a1@3", "1:a1-A1@3"),
            ("R 2:dummy@401", ""),
            ("L 2:dummy@402", "2:dummy-dummy@402"),
        ],
    ),
    "b2-testLeftJoinedRecordsWithZeroAfterAreEmitted: late right records pair with rows that came out": (
        join(BEFORE_100, kind="left_join"),
        [
            (wave("L", "A", 1000, step=1), "0:A0-null@1000 1:A1-null@1001 2:A2-null@1002"),
            (wave("R", "a", 999), "0:A0-a0@1000 1:A1-a1@1001 2:A2-a2@1002 3:A3-a3@1003"),
            (wave("R", "b", 1000), "0:A0-b0@1000 1:A1-b1@1001 2:A2-b2@1002 3:A3-b3@1003"),
            (wave("R", "c", 1001), "1:A1-c1@1001 2:A2-c2@1002 3:A3-c3@1003"),
            (wave("R", "d", 1002), "2:A2-d2@1002 3:A3-d3@1003"),
            (wave("R", "e", 1003), "3:A3-e3@1003"),
            (wave("R", "f", 1100), ""),
        ],
    ),
    "b2-shouldNotEmitLeftJoinResultForAsymmetricWindow": (
        join(AFTER_100, kind="left_join"),
        [("L 0:A0@0 1:A1@1", ""), ("R 0:a0@100", "0:A0-a0@100"), ("R 1:a1@102", "1:A1-null@1")],
    ),
    "b2-shouldThrottleEmitNonJoinedOuterRecords, deviation3: nothing waits for the wall clock": (
        join(ms(100), kind="left_join"),
        [
            ("L k:A@0", ""),
            ("R z:_@101", "k:A-null@0"),
            ("L k:B@102", ""),
            ("R z:_@203", "k:B-null@102"),
            ("clock 2000", ""),
            ("R z:_@204", ""),
        ],
    ),
    "b2-testOrdering: unmatched rows before the record's own pairs": (
        join(ms(100), kind="left_join"),
        [("L 0:A0@0", ""), ("L 1:A1@100", ""), ("R 1:a1@110", "0:A0-null@0 1:A1-a1@110")],
    ),
    "b2-testGracePeriod: nothing before end plus grace is exceeded": (
        join(ms(100), 10, kind="left_join"),
        [
            ("L 0:A0@0", ""),
            ("L 1:A1@0", ""),
            ("R 0:a0@101", ""),
            ("R 1:a1@101", ""),
            ("R 2:a2@110", ""),
            ("R 3:a3@111", "0:A0-null@0 1:A1-null@0"),
        ],
    ),
    "b2-testLeftJoinDuplicates: entries of one time and key, in order": (
        join(ms(100), 10, kind="left_join"),
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
    "b2-expired-rows-emitted-by-the-left-side": (
        join(ms(100), kind="left_join"),
        [
            ("L 0:A0@1", ""),
            ("L 1:A1@2", ""),
            ("L 0:A0-0@3", ""),
            ("R 1:a1@3", "1:A1-a1@3"),
            ("L 2:dummy@401", "0:A0-null@1 0:A0-0-null@3"),
        ],
    ),
    "b2-expired-rows-emitted-by-the-right-side": (
        join(ms(100), kind="left_join"),
        [
            ("L 0:A0@1", ""),
            ("L 1:A1@2", ""),
            ("L 0:A0-0@3", ""),
            ("R 1:a1@3", "1:A1-a1@3"),
            ("R 2:dummy@401", "0:A0-null@1 0:A0-0-null@3"),
        ],
    ),
    "b2-zero-after: look-back of a left row is after, not before": (
        join(BEFORE_100, kind="left_join"),
        [("L 0:A0@0", ""), ("L 0:A1@1", "0:A0-null@0"), ("R 0:a@1", "0:A1-a@1")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), B2.values(), ids=B2.keys())
def test_kafka_streams_own_cases(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


LEFT: dict[str, tuple[Declare, list[Step]]] = {
    "a4.8-strictly-greater: not at the end of the window": (
        join(ms(100), kind="left_join"),
        [("L k:A@0", ""), ("R z:_@100", ""), ("R z:_@101", "k:A-null@0")],
    ),
    "a4.8-order-is-time-then-key-bytes": (
        join(ms(10), kind="left_join"),
        [
            ("L b:B@2", ""),
            ("L c:C@1", ""),
            ("L a:A@2", ""),
            ("R z:_@13", "c:C-null@1 a:A-null@2 b:B-null@2"),
        ],
    ),
    "a4.7-a-match-cancels-the-unmatched-row": (
        join(ms(10), kind="left_join"),
        [("L k:A@0", ""), ("R k:a@5", "k:A-a@5"), ("R z:_@1000", "")],
    ),
    "a4.7-a-match-on-arrival-leaves-no-unmatched-row": (
        join(ms(10), kind="left_join"),
        [("R k:a@5", ""), ("L k:A@0", "k:A-a@5"), ("R z:_@1000", "")],
    ),
    "a4.4-left-null-key-is-emitted-at-once (KIP-962); right null key is dropped": (
        join(ms(10), kind="left_join"),
        [("L ∅:A@5", "∅:A-null@5"), ("R ∅:a@5", ""), ("L ∅:∅@5", "")],
    ),
    "a4.4-a-null-value-is-dropped-but-advances-stream-time": (
        join(ms(10), kind="left_join"),
        [("L k:A@0", ""), ("L k:∅@11", "k:A-null@0"), ("R k:∅@12", ""), ("R k:a@12", "")],
    ),
    "a4.4-a-null-key-advances-stream-time": (
        join(ms(10), kind="left_join"),
        [("L k:A@0", ""), ("R ∅:a@11", "k:A-null@0")],
    ),
    "a4.11-stream-time-is-shared-by-both-sides": (
        join(ms(10), kind="left_join"),
        [
            ("R z:_@100", ""),
            ("L k:A@89", "k:A-null@89"),
            ("L k:B@90", ""),
            ("L z:_@101", "k:B-null@90 z:_-_@101"),
        ],
    ),
    "a4.9-late-and-unmatched-on-arrival-is-emitted-at-once": (
        join(ms(10), 5, kind="left_join"),
        [("R z:_@100", ""), ("L k:A@84", "k:A-null@84"), ("L k:B@85", ""), ("R z:_@101", "k:B-null@85")],
    ),
    "deviation3-never-before-grace-is-over: Kafka Streams emits on arrival, without grace (a4.9)": (
        join(ms(10), 50, kind="left_join"),
        [("R z:_@100", ""), ("L k:A@50", ""), ("R k:a@55", "k:A-a@55"), ("R z:_@1000", "")],
    ),
    "deviation3-whichever-side-advances-time: asymmetric windows do not wait for the other side": (
        join((ms(0), ms(5)), kind="left_join"),
        [("L k:A@0", ""), ("L z:_@6", "k:A-null@0")],
    ),
    "deviation3-never-later: a second row right after the first scan is not held back by a throttle": (
        join(ms(10), kind="left_join"),
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
        join(ms(10), kind="left_join"),
        [("L k:A@5", ""), ("R z:_@16", "k:A-null@5"), ("R k:a@15", "k:A-a@15")],
    ),
    "deviation6-negative-after: a left row whose window has passed comes out on arrival": (
        join((ms(10), ms(-5)), kind="left_join"),
        [("L k:A@100", "k:A-null@100"), ("R k:a@150", ""), ("L k:B@155", "k:B-a@155")],
    ),
    "deviation7-rows-wait-across-a-restart-and-come-once": (
        join(ms(10), kind="left_join"),
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
        join(ms(10), kind="left_join"),
        [
            ("R z:_@100", ""),
            ("restart", ""),
            ("L k:A@0", "k:A-null@0"),
            ("move", ""),
            ("L k:B@1", "k:B-null@1"),
        ],
    ),
    "deviation7-pairs-are-found-across-restarts": (
        join(ms(10), kind="left_join"),
        [("L k:A@0", ""), ("move", ""), ("R k:a@5", "k:A-a@5"), ("move", ""), ("L k:B@6", "k:B-a@6")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), LEFT.values(), ids=LEFT.keys())
def test_left(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)
