"""Windowed outer joins of two streams: rules a4 and a7, the tables of b2, deviations 3, 6 and 7.

Where a table of Kafka Streams' own tests differs, it is for the reasons given in
`test_stream_stream_left_join`.
"""

from __future__ import annotations

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.joins import AFTER_100, BEFORE_100, BOUNDS, join, wave
from tests.semantics.timed import Declare, Step, check, joined, ms, topology


def without_grace(builder: StreamsBuilder) -> None:
    left, right = builder.stream("L", key=str, value=str), builder.stream("R", key=str, value=str)
    left.outer_join(right, joined, within=ms(100), name="j", value=str).to("out")


B2: dict[str, tuple[Declare, list[Step]]] = {
    "a4.6-b2-testOuterJoinDuplicates: rows of one time and key wait in order": (
        join(ms(100), 10, kind="outer_join"),
        [
            ("L 0:A0@0 0:A0-0@0", ""),
            ("R 1:a@0 1:b@0", ""),
            ("R 1:c@111", "1:null-a@0 1:null-b@0 0:A0-null@0 0:A0-0-null@0"),
            ("R 3:d@211", ""),
            ("L 2:A2@200 2:A2-0@200", ""),
            ("R 2:e@201", "2:A2-e@201 2:A2-0-e@201"),
            ("R 2:f@201", "2:A2-f@201 2:A2-0-f@201"),
            ("R 3:g@1500", "1:null-c@111 3:null-d@211"),
        ],
    ),
    "b2-testLeftExpiredNonJoinedRecordsAreEmittedByTheLeftProcessor": (
        join(ms(100), kind="outer_join"),
        [
            ("L 0:A0@1 1:A1@2 0:A0-0@3", ""),
            ("R 1:a1@3", "1:A1-a1@3"),
            ("L 2:dummy@401", "0:A0-null@1 0:A0-0-null@3"),
            ("R 2:a@401", "2:dummy-a@401"),
        ],
    ),
    "b2-testLeftExpiredNonJoinedRecordsAreEmittedByTheRightProcessor": (
        join(ms(100), kind="outer_join"),
        [
            ("L 0:A0@1 1:A1@2 0:A0-0@3", ""),
            ("R 1:a1@3", "1:A1-a1@3"),
            ("R 2:a@401", "0:A0-null@1 0:A0-0-null@3"),
            ("L 2:dummy@402", "2:dummy-a@402"),
        ],
    ),
    "b2-testRightExpiredNonJoinedRecordsAreEmittedByTheLeftProcessor": (
        join(ms(100), kind="outer_join"),
        [
            ("R 0:a0@1 1:a1@2 0:b0@3", ""),
            ("L 1:A1@3", "1:A1-a1@3"),
            ("L 2:dummy@401", "0:null-a0@1 0:null-b0@3"),
            ("R 2:a@402", "2:dummy-a@402"),
        ],
    ),
    "b2-testRightExpiredNonJoinedRecordsAreEmittedByTheRightProcessor": (
        join(ms(100), kind="outer_join"),
        [
            ("R 0:a0@1 1:a1@2 0:b0@3", ""),
            ("L 1:A1@3", "1:A1-a1@3"),
            ("R 2:a@401", "0:null-a0@1 0:null-b0@3"),
            ("L 2:dummy@402", "2:dummy-a@402"),
        ],
    ),
    "b2-testOrdering: unmatched rows before the record's own pairs": (
        join(ms(100), kind="outer_join"),
        [("L 0:A0@0 1:A1@100", ""), ("R 1:a1@110", "0:A0-null@0 1:A1-a1@110")],
    ),
    "b2-testGracePeriod: nothing before end plus grace is exceeded; right before left": (
        join(ms(100), 10, kind="outer_join"),
        [
            ("L 0:A0@0", ""),
            ("R 1:a1@0", ""),
            ("L 1:A1@101", ""),
            ("R 0:a0@101", ""),
            ("R 0:b0@112", "1:null-a1@0 0:A0-null@0"),
        ],
    ),
    "b2-testEmitAllNonJoinedResultsForAsymmetricWindow: each side waits for its own bound": (
        join((ms(5), ms(20)), kind="outer_join"),
        [
            ("L 0:A0@29 1:A1@30", ""),
            ("R 2:a@31 3:b@36", ""),
            ("R 4:c@37", "2:null-a@31"),
            ("R 5:d@50", "0:A0-null@29 3:null-b@36 4:null-c@37"),
        ],
    ),
    "b2-runOuterJoin: whoever has found a partner never comes out alone": (
        join(ms(100), kind="outer_join"),
        [
            ("L 0:A0@0 1:A1@0", ""),
            ("R 0:a0@0 1:a1@0", "0:A0-a0@0 1:A1-a1@0"),
            ("L 0:B0@0 1:B1@0 2:B2@0", "0:B0-a0@0 1:B1-a1@0"),
            (wave("R", "b", 0), "0:A0-b0@0 0:B0-b0@0 1:A1-b1@0 1:B1-b1@0 2:B2-b2@0"),
            (wave("L", "C", 0), "0:C0-a0@0 0:C0-b0@0 1:C1-a1@0 1:C1-b1@0 2:C2-b2@0 3:C3-b3@0"),
            ("L 0:dummy@400", ""),
        ],
    ),
    "b2-testWindowing: rows wait for the end of their window, and come out at once if it has passed": (
        join(ms(100), kind="outer_join"),
        [
            ("L 0:A0@0 1:A1@0", ""),
            (wave("R", "a", 0), "0:A0-a0@0 1:A1-a1@0"),
            (wave("R", "b", 1000, step=1), "2:null-a2@0 3:null-a3@0"),
            *BOUNDS,
            ("L 0:dummy@1103", "0:dummy-null@1103"),
        ],
    ),
    "b2-testShouldNotEmitLeftJoinResultForAsymmetricBeforeWindow": (
        join(AFTER_100, kind="outer_join"),
        [
            ("L 0:A0@0 1:A1@1", ""),
            ("R 0:a0@100", "0:A0-a0@100"),
            ("R 1:a1@102", "1:A1-null@1"),
            ("R 2:a2@103", "1:null-a1@102"),
            ("L 2:A2@103", "2:A2-a2@103"),
        ],
    ),
    "b2-testShouldNotEmitLeftJoinResultForAsymmetricAfterWindow": (
        join(BEFORE_100, kind="outer_join"),
        [
            ("L 0:A0@0 1:A1@1", "0:A0-null@0"),
            ("R 1:a1@1", "1:A1-a1@1"),
            ("R 2:a2@101 3:a3@101", ""),
            ("L 2:A2@201", "2:A2-a2@201"),
        ],
    ),
    "b2-RelaxedNullKeyRequirementJoinTest.testRelaxedOuterStreamStreamJoin": (
        join(ms(60_000), 10_000, kind="outer_join"),
        [("R ∅:a@1", "∅:null-a@1"), ("L ∅:A@1", "∅:A-null@1")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), B2.values(), ids=B2.keys())
def test_kafka_streams_own_cases(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


OUTER: dict[str, tuple[Declare, list[Step]]] = {
    "a4.8-order-is-time-then-right-before-left-then-key-bytes": (
        join(ms(10), kind="outer_join"),
        [
            ("L b:B@2 c:C@1 a:A@2", ""),
            ("R y:y@2 x:x@2 w:w@3 v:v@1", ""),
            (
                "R z:_@14",
                "v:null-v@1 c:C-null@1 x:null-x@2 y:null-y@2 a:A-null@2 b:B-null@2 w:null-w@3",
            ),
        ],
    ),
    "a4.8-strictly-greater: not at the end of the window, on either side": (
        join(ms(100), kind="outer_join"),
        [
            ("L k:A@0", ""),
            ("R j:a@0", ""),
            ("R z:_@100", ""),
            ("L z:_@101", "j:null-a@0 k:A-null@0 z:_-_@101"),
        ],
    ),
    "a4.7-a-match-cancels-the-unmatched-row-of-the-other-side": (
        join(ms(10), kind="outer_join"),
        [
            ("R k:a@5", ""),
            ("L k:A@0", "k:A-a@5"),
            ("L j:B@5", ""),
            ("R j:b@0", "j:B-b@5"),
            ("R z:_@1000", ""),
        ],
    ),
    "a4.7-one-match-cancels-every-row-of-its-time-and-key, and no other": (
        join(ms(10), kind="outer_join"),
        [
            ("R k:a@5 k:b@5 k:c@12 j:d@5", ""),
            ("L k:A@0", "k:A-a@5 k:A-b@5"),
            ("L z:_@1000", "j:null-d@5 k:null-c@12"),
        ],
    ),
    "a4.4-null-keys-come-out-at-once-on-both-sides (KIP-962), null values never": (
        join(ms(10), kind="outer_join"),
        [("L ∅:A@5", "∅:A-null@5"), ("R ∅:a@5", "∅:null-a@5"), ("L ∅:∅@5", ""), ("R ∅:∅@5", "")],
    ),
    "a4.4-null-values-are-dropped-but-advance-stream-time": (
        join(ms(10), kind="outer_join"),
        [("R k:a@0", ""), ("L k:∅@11", "k:null-a@0"), ("L k:A@11", ""), ("R k:∅@22", "k:A-null@11")],
    ),
    "a4.4-null-keys-advance-stream-time: what is due comes before them": (
        join(ms(10), kind="outer_join"),
        [("R k:a@0", ""), ("L ∅:A@11", "k:null-a@0 ∅:A-null@11")],
    ),
    "a4.11-stream-time-is-shared-by-both-sides": (
        join(ms(10), kind="outer_join"),
        [("L z:_@100", ""), ("R k:a@89", "k:null-a@89"), ("R k:b@90", ""), ("R j:c@101", "k:null-b@90")],
    ),
    "a4.10-no-eager-nulls, and no grace that nobody asked for": (
        without_grace,
        [
            ("L k:A@0", ""),
            ("R j:a@0", ""),
            ("L z:_@100", ""),
            ("R z:_@101", "j:null-a@0 k:A-null@0 z:_-_@101"),
        ],
    ),
    "a4.9-late-and-unmatched-on-arrival-comes-out-at-once": (
        join(ms(10), 5, kind="outer_join"),
        [
            ("L z:_@100", ""),
            ("R k:a@84", "k:null-a@84"),
            ("R k:b@85", ""),
            ("L z:_@101", "k:null-b@85"),
        ],
    ),
    "deviation3-never-before-grace-is-over: Kafka Streams emits on arrival, without grace (a4.9)": (
        join(ms(10), 50, kind="outer_join"),
        [("L z:_@100", ""), ("R k:a@50", ""), ("L k:A@55", "k:A-a@55"), ("L z:_@150", "")],
    ),
    "deviation3-whichever-side-advances-time: the row of the narrow side does not wait for the wide one": (
        join((ms(0), ms(100)), kind="outer_join"),
        [
            ("L k:A@0", ""),
            ("R j:a@1", ""),
            ("L z:_@2", "j:null-a@1"),
            ("R i:b@50", ""),
            ("R y:_@51", "i:null-b@50"),
            ("L z:_@101", "k:A-null@0 y:null-_@51"),
        ],
    ),
    "deviation3-a-jump-emits-both-sides-in-the-order-of-their-times, not of the ends of their windows": (
        join((ms(0), ms(100)), kind="outer_join"),
        [("R j:a@5", ""), ("L k:A@3", ""), ("L z:_@1000", "k:A-null@3 j:null-a@5")],
    ),
    "deviation6-negative-before: a right row whose window has passed comes out on arrival": (
        join((ms(-5), ms(10)), kind="outer_join"),
        [("R k:a@100", "k:null-a@100"), ("L k:A@95", "k:A-a@100"), ("R z:_@106", "z:null-_@106")],
    ),
    "deviation1-zero-width-window-matches-equal-times": (
        join(ms(0), kind="outer_join"),
        [("L k:A@5", ""), ("R k:a@5", "k:A-a@5"), ("R k:b@6", ""), ("L z:_@7", "k:null-b@6")],
    ),
    "a4.8-by-the-bytes-of-the-key, whatever they are": (
        join(ms(10), kind="outer_join"),
        [("R ä:a@1 z:b@1 a\0:c@1 a:d@1", ""), ("L y:_@12", "a:null-d@1 a\0:null-c@1 z:null-b@1 ä:null-a@1")],
    ),
    "b2-restart-deviation7-rows-of-both-sides-wait-across-restarts-and-come-once": (
        join(ms(10), kind="outer_join"),
        [
            ("L a:A@0", ""),
            ("R b:B@0", ""),
            ("R c:C@1", ""),
            ("restart", ""),
            ("R z:_@11", "b:null-B@0 a:A-null@0"),
            ("restart", ""),
            ("R y:_@11", ""),
            ("crash", ""),
            ("L x:_@12", "c:null-C@1"),
            ("move", ""),
            ("L a:A@1000", "y:null-_@11 z:null-_@11 x:_-null@12"),
        ],
    ),
    "deviation7-a-match-after-a-move-cancels-the-row": (
        join(ms(10), kind="outer_join"),
        [("L k:A@0", ""), ("R j:a@0", ""), ("move", ""), ("R k:b@5", "k:A-b@5"), ("L z:_@99", "j:null-a@0")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), OUTER.values(), ids=OUTER.keys())
def test_outer(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


def test_b2_testShouldForwardCurrentHeaders() -> None:  # noqa: N802 - the name of Kafka Streams' test
    """Pairs and rows that come out alone carry the headers of the record that brought them out."""

    def headers(name: str) -> tuple[tuple[str, bytes | None], ...]:
        return ((name, name.encode()),)

    with TopologyTestDriver(topology(join(ms(100), 10, kind="outer_join"))) as driver:
        left, right = driver.input_topic("L", value=str), driver.input_topic("R", value=str)
        out = driver.output_topic("out", value=str)
        left.pipe("0", "A", 0, headers("first"))
        right.pipe("1", "a", 0, headers("second"))
        right.pipe("2", "b", 211, headers("third"))
        alone = [(r.key, r.value, r.headers) for r in out.read_all()]
        left.pipe("2", "B", 212, headers("fourth"))
        paired = [(r.key, r.value, r.headers) for r in out.read_all()]
    assert alone == [("1", "null-a", headers("third")), ("0", "A-null", headers("third"))]
    assert paired == [("2", "B-b", headers("fourth"))]


def test_deviation8_an_idle_source_lets_the_rows_of_both_sides_go() -> None:
    check(
        join((ms(2_000), ms(5_000)), 1_000, kind="outer_join"),
        [
            ("L k:A@100", ""),
            ("R j:a@50", ""),
            ("clock 9000", ""),
            ("clock 1000", "j:null-a@50 k:A-null@100"),
            # Time is 10,100.
            ("L k:B@4099", "k:B-null@4099"),
            ("L k:C@4100", ""),
            ("clock 10000", "k:C-null@4100"),
        ],
        source_idle_ms=10_000,
    )


def test_sides_of_different_types_wait_in_one_store() -> None:
    def declare(builder: StreamsBuilder) -> None:
        left = builder.stream("L", key=str, value=str)
        right = builder.stream("R", key=str, value=str).map_values(lambda _, v: {"text": v}, value=dict)
        left.outer_join(
            right,
            lambda k, one, other: joined(k, one, None if other is None else other["text"]),
            within=ms(10),
            name="j",
            value=str,
        ).to("out")

    check(
        declare,
        [
            ("L k:A@0", ""),
            ("R j:a@0", ""),
            ("move", ""),
            ("L z:_@11", "j:null-a@0 k:A-null@0"),
        ],
    )
