"""Lookup of stream records after a grace: rule a5.5, tables of b1 and b3, deviations 6, 7 and 8.

The table is versioned. A record of the stream waits until stream time, which is that of the records
that wait, has passed its own by the grace.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline import KTable
from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.inputs import INPUT_I, steps
from tests.semantics.joins import Kind, wave
from tests.semantics.timed import Declare, Step, check, joined, ms, take, topology

INNER_I = {9: "k:B-a@5", 15: "k:D-b@6", 22: "k:F-a@4"}
LEFT_I = {5: "k:A-null@3", 9: "k:B-a@5", 15: "k:D-b@6", 19: "k:C-null@9", 22: "k:F-a@4"}


def join(
    grace: int = 2, kind: Kind = "join", *, history: int = 300_000, repartitioned: bool = False
) -> Declare:
    """Join the stream L with the table R."""

    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("L", key=str, value=str)
        if repartitioned:
            stream = stream.select_key(lambda key, _: key, key=str)
        table: KTable[str, str] = builder.table("R", name="table", value=str, history=ms(history))
        getattr(stream, kind)(table, joined, grace=ms(grace), name="j", value=str).to("out")

    return declare


def filtered(builder: StreamsBuilder) -> None:
    table: KTable[str, str] = builder.table("R", name="table", value=str, history=timedelta(minutes=5))
    stream = builder.stream("L", key=str, value=str)
    short = table.filter(lambda _, text: len(text) == 1)
    stream.left_join(short, joined, grace=ms(2), name="j", value=str).to("out")


@pytest.mark.parametrize("repartitioned", [False, True], ids=["direct", "repartitioned"])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param("join", INNER_I, id="b1-inner-versioned-grace-2"),
        pytest.param("left_join", LEFT_I, id="b1-left-versioned-grace-2"),
    ],
)
@pytest.mark.parametrize("partitions", [1, 3])
def test_input_i(*, kind: Kind, repartitioned: bool, expected: dict[int, str], partitions: int) -> None:
    declare = join(2, kind, repartitioned=repartitioned)
    check(declare, steps(INPUT_I, expected), partitions={"L": partitions, "R": partitions})


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "b3-shouldDelayJoinByGracePeriod": (
        join(),
        [
            (wave("R", "Y", 0), ""),
            (wave("L", "X", 0, step=1), "0:X0-Y0@0 1:X1-Y1@1"),
            (wave("R", "YY", 0), ""),
            (wave("L", "X", 0, step=1), "0:X0-YY0@0 1:X1-YY1@1"),
            ("L 5:test@7", "2:X2-YY2@2 2:X2-YY2@2 3:X3-YY3@3 3:X3-YY3@3"),
            (wave("R", "YYY", 0), ""),
        ],
    ),
    "b3-shouldHandleLateJoinsWithGracePeriod": (
        join(),
        [
            (wave("R", "Y", 0), ""),
            (wave("L", "X", 0, step=1), "0:X0-Y0@0 1:X1-Y1@1"),
            ("L 0:X0@0", "0:X0-Y0@0"),
        ],
    ),
    "a5.5-rows-that-come-late-count": (
        join(10),
        [
            ("R k:a@1", ""),
            ("L k:A@20", ""),
            ("R k:c@25", ""),
            ("R k:b@15", ""),
            ("L z:_@29", ""),
            ("L z:_@30", "k:A-b@20"),
        ],
    ),
    "a5.5-due-at-its-time-plus-grace, inclusive": (
        join(10, "left_join"),
        [("L k:A@20", ""), ("L k:B@29", ""), ("L k:C@30", "k:A-null@20"), ("L k:D@39", "k:B-null@29")],
    ),
    "a5.5-in-the-order-of-time, ties by the bytes of their keys, then as they came": (
        join(10, "left_join"),
        [
            ("L b:A@12 b:B@11 c:C@11 a:D@11 b:E@11", ""),
            ("L z:_@30", "a:D-null@11 b:B-null@11 b:E-null@11 c:C-null@11 b:A-null@12"),
        ],
    ),
    "a5.5-a-record-that-is-older-is-joined-at-once-and-nobody-with-it": (
        join(10, "left_join"),
        [
            ("R k:a@1", ""),
            ("L j:A@15", ""),
            ("L z:_@24", ""),
            ("L k:B@13", "k:B-a@13"),
            ("L k:C@14", "k:C-a@14"),
        ],
    ),
    "a5.5-stream-time-is-the-streams-alone: rows of the table do not advance it": (
        join(10, "left_join"),
        [("L k:A@20", ""), ("R z:_@1000", ""), ("L k:B@30", "k:A-null@20")],
    ),
    "a5.5-null-values-are-dropped-and-do-not-advance-stream-time": (
        join(10, "left_join"),
        [("L k:A@20", ""), ("L k:∅@1000", ""), ("L k:B@29", ""), ("L k:C@30", "k:A-null@20")],
    ),
    "a5.5-without-grace-a-record-is-joined-at-once": (
        join(0, "left_join"),
        [("R k:a@10", ""), ("L k:A@20", "k:A-a@20"), ("L k:B@5", "k:B-null@5"), ("L k:C@15", "k:C-a@15")],
    ),
    "a5.4-inner-null-key-is-dropped": (
        join(),
        [("L ∅:A@1", ""), ("L k:B@1", ""), ("L z:_@9", "")],
    ),
    "deviation6-left-null-key-comes-out-at-once: Kafka Streams crashes; it does not advance stream time": (
        join(10, "left_join"),
        [("L k:A@20", ""), ("L ∅:B@100", "∅:B-null@100"), ("L k:C@29", ""), ("L z:_@30", "k:A-null@20")],
    ),
    "a5.3-what-the-history-has-lost-by-then-is-no-match": (
        join(10, "left_join", history=10),
        [
            ("R k:a@10 k:b@21", ""),
            ("L k:A@20", ""),
            # The table's time is its own: it is at 40, and knows the past as far back as 30.
            ("R z:_@40", ""),
            ("L z:_@30", "k:A-null@20"),
        ],
    ),
    "a6.3-a-view-of-a-versioned-table": (
        filtered,
        [("R k:a@1 j:bb@1", ""), ("L k:A@2 j:B@2", ""), ("R j:b@1", ""), ("L z:_@4", "j:B-b@2 k:A-a@2")],
    ),
    "b2-restart-deviation7-records-wait-across-restart-crash-and-move-and-come-once": (
        join(10, "left_join"),
        [
            ("R k:a@1", ""),
            ("L k:A@20 j:B@21 i:C@22", ""),
            ("restart", ""),
            ("L z:_@30", "k:A-a@20"),
            ("crash", ""),
            ("L y:_@31", "j:B-null@21"),
            ("move", ""),
            ("L x:_@32", "i:C-null@22"),
            ("restart", ""),
            ("L w:_@41", "z:_-null@30 y:_-null@31"),
        ],
    ),
    "deviation7-stream-time-survives: after a restart, an old record is still too old to wait": (
        join(10, "left_join"),
        [
            ("L k:A@20", ""),
            ("restart", ""),
            ("L j:B@9", "j:B-null@9"),
            ("move", ""),
            ("L j:C@9", "j:C-null@9"),
            ("L j:D@10", "j:D-null@10"),
        ],
    ),
}


@pytest.mark.parametrize(("declare", "given"), CASES.values(), ids=CASES.keys())
def test_cases(declare: Declare, given: list[Step]) -> None:
    check(declare, given)


def test_deviation8_an_idle_stream_lets_its_records_go() -> None:
    check(
        join(5_000, "left_join"),
        [
            ("R k:a@50", ""),
            ("L k:A@100", ""),
            ("clock 4000", ""),
            ("R k:b@90", ""),
            ("clock 9000", ""),
            ("clock 1000", "k:A-b@100"),
        ],
        source_idle_ms=10_000,
    )


@pytest.mark.parametrize("then", ["", "restart", "crash", "move"])
def test_a1_7_a_record_keeps_its_headers_while_it_waits(then: str) -> None:
    mine, yours = [("a", b"1"), ("a", None), ("b", b"\xff\x00")], [("other", b"2")]
    with TopologyTestDriver(topology(join(10, "left_join"))) as driver:
        stream = driver.input_topic("L", value=str)
        stream.pipe("k", "A", 20, mine)
        stream.pipe("k", "B", 20)
        if then:
            take(driver, then)
        stream.pipe("z", "_", 30, yours)
        found = [
            (r.value, r.timestamp, list(r.headers)) for r in driver.output_topic("out", value=str).read_all()
        ]
    assert found == [("A-null", 20, mine), ("B-null", 20, [])]
