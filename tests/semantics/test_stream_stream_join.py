"""Windowed joins of two streams, the inner ones: rules a4 and a7, tables of b1 and b2, deviations 1 and 6.

Left and outer joins: `test_stream_stream_left_join`, `test_stream_stream_outer_join`.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.inputs import INPUT_I, INPUT_II, steps
from tests.semantics.joins import AFTER_100, BEFORE_100, Kind, join, wave
from tests.semantics.timed import Declare, Step, check, joined, ms, topology

INNER_II = {
    4: "k:A-a@4",
    5: "k:B-a@5",
    6: "k:A-b@6 k:B-b@6",
    9: "k:C-a@9 k:C-b@9",
    10: "k:A-c@10 k:B-c@10 k:C-c@10",
    14: "k:A-d@14 k:B-d@14 k:C-d@14",
    15: "k:D-a@15 k:D-b@15 k:D-c@15 k:D-d@15",
}
LEFT_II = INNER_II | {16: "∅:E-null@16"}
OUTER_II = LEFT_II | {17: "∅:null-e@17"}
#: Out of order, and all within the window: whoever comes meets all who came, in the order of their times.
INNER_I = {
    4: "k:A-a@4",
    5: "k:B-a@5",
    6: "k:A-b@6 k:B-b@6",
    9: "k:C-a@9 k:C-b@9",
    10: "k:A-c@10 k:B-c@10 k:C-c@10",
    14: "k:A-d@7 k:B-d@7 k:C-d@9",
    15: "k:D-a@6 k:D-b@6 k:D-d@7 k:D-c@10",
    18: "k:A-e@14 k:B-e@14 k:D-e@14 k:C-e@14",
    19: "k:E-a@15 k:E-b@15 k:E-d@15 k:E-c@15 k:E-e@15",
    22: "k:F-a@4 k:F-b@6 k:F-d@7 k:F-c@10 k:F-e@14",
    23: "k:A-f@3 k:F-f@4 k:B-f@5 k:D-f@6 k:C-f@9 k:E-f@15",
}
DAY_MS = 86_400_000


def repartitioned(kind: Kind) -> Declare:
    """As the `...Repartitioned` variants of Kafka Streams' tests: the key is changed on both sides."""

    def declare(builder: StreamsBuilder) -> None:
        left = builder.stream("L", key=str, value=str).map(lambda k, v: (k, v), key=str, value=str)
        right = (
            builder.stream("R", key=str, value=str)
            .flat_map(lambda k, v: [(k, v)], key=str, value=str)
            .select_key(lambda k, _: k, key=str)
        )
        method = getattr(left, kind)
        method(right, joined, within=ms(10_000), grace=timedelta(days=1), name="j", value=str).to("out")

    return declare


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param("join", INNER_II, id="b1-inner"),
        pytest.param("left_join", LEFT_II, id="b1-left"),
        pytest.param("outer_join", OUTER_II, id="b1-outer"),
    ],
)
@pytest.mark.parametrize("through", ["direct", "repartitioned"])
@pytest.mark.parametrize("partitions", [1, 3])
def test_input_ii(kind: Kind, expected: dict[int, str], through: str, partitions: int) -> None:
    declare = repartitioned(kind) if through == "repartitioned" else join(ms(10_000), DAY_MS, kind=kind)
    check(declare, steps(INPUT_II, expected), partitions={"L": partitions, "R": partitions})


@pytest.mark.parametrize("kind", ["join", "left_join", "outer_join"])
@pytest.mark.parametrize("partitions", [1, 3])
def test_input_i(kind: Kind, partitions: int) -> None:
    """Everybody finds a partner, so that nobody comes out alone."""
    declare = join(ms(10_000), DAY_MS, kind=kind)
    check(declare, steps(INPUT_I, INNER_I), partitions={"L": partitions, "R": partitions})


B2: dict[str, tuple[Declare, list[Step]]] = {
    "b2-testJoin": (
        join(ms(100)),
        [
            ("L 0:A0@0 1:A1@0", ""),
            ("R 0:a0@0 1:a1@0", "0:A0-a0@0 1:A1-a1@0"),
            (wave("L", "B", 0), "0:B0-a0@0 1:B1-a1@0"),
            (wave("R", "b", 0), "0:A0-b0@0 0:B0-b0@0 1:A1-b1@0 1:B1-b1@0 2:B2-b2@0 3:B3-b3@0"),
            (wave("L", "C", 0), "0:C0-a0@0 0:C0-b0@0 1:C1-a1@0 1:C1-b1@0 2:C2-b2@0 3:C3-b3@0"),
            ("R 0:c0@0 1:c1@0", "0:A0-c0@0 0:B0-c0@0 0:C0-c0@0 1:A1-c1@0 1:B1-c1@0 1:C1-c1@0"),
        ],
    ),
    "b2-testWindowing: both ends are inside, on both sides": (
        join(ms(100)),
        [
            ("L 0:A0@0 1:A1@0", ""),
            ("R 0:a0@0 1:a1@0", "0:A0-a0@0 1:A1-a1@0"),
            (wave("L", "B", 1000, step=1), ""),
            (wave("R", "b", 1100), "0:B0-b0@1100 1:B1-b1@1100 2:B2-b2@1100 3:B3-b3@1100"),
            (wave("R", "c", 1101), "1:B1-c1@1101 2:B2-c2@1101 3:B3-c3@1101"),
            (wave("R", "d", 1102), "2:B2-d2@1102 3:B3-d3@1102"),
            (wave("R", "e", 1103), "3:B3-e3@1103"),
            (wave("R", "f", 1104), ""),
            (wave("R", "g", 899), ""),
            (wave("R", "h", 900), "0:B0-h0@1000"),
            (wave("R", "i", 901), "0:B0-i0@1000 1:B1-i1@1001"),
            (wave("R", "j", 902), "0:B0-j0@1000 1:B1-j1@1001 2:B2-j2@1002"),
            (wave("R", "k", 903), "0:B0-k0@1000 1:B1-k1@1001 2:B2-k2@1002 3:B3-k3@1003"),
            (wave("R", "l", 2000, step=1), ""),
            (wave("L", "C", 2100), "0:C0-l0@2100 1:C1-l1@2100 2:C2-l2@2100 3:C3-l3@2100"),
            (wave("L", "D", 2101), "1:D1-l1@2101 2:D2-l2@2101 3:D3-l3@2101"),
            (wave("L", "E", 2102), "2:E2-l2@2102 3:E3-l3@2102"),
            (wave("L", "F", 2103), "3:F3-l3@2103"),
            (wave("L", "G", 2104), ""),
            (wave("L", "H", 1899), ""),
            (wave("L", "I", 1900), "0:I0-l0@2000"),
            (wave("L", "J", 1901), "0:J0-l0@2000 1:J1-l1@2001"),
            (wave("L", "K", 1902), "0:K0-l0@2000 1:K1-l1@2001 2:K2-l2@2002"),
            (wave("L", "L", 1903), "0:L0-l0@2000 1:L1-l1@2001 2:L2-l2@2002 3:L3-l3@2003"),
        ],
    ),
    "b2-testAsymmetricWindowingAfter": (
        join(AFTER_100),
        [
            (wave("L", "A", 1000, step=1), ""),
            (wave("R", "a", 999), ""),
            (wave("R", "b", 1000), "0:A0-b0@1000"),
            (wave("R", "c", 1001), "0:A0-c0@1001 1:A1-c1@1001"),
            (wave("R", "d", 1002), "0:A0-d0@1002 1:A1-d1@1002 2:A2-d2@1002"),
            (wave("R", "e", 1003), "0:A0-e0@1003 1:A1-e1@1003 2:A2-e2@1003 3:A3-e3@1003"),
            (wave("R", "f", 1100), "0:A0-f0@1100 1:A1-f1@1100 2:A2-f2@1100 3:A3-f3@1100"),
            (wave("R", "g", 1101), "1:A1-g1@1101 2:A2-g2@1101 3:A3-g3@1101"),
            (wave("R", "h", 1102), "2:A2-h2@1102 3:A3-h3@1102"),
            (wave("R", "i", 1103), "3:A3-i3@1103"),
            (wave("R", "j", 1104), ""),
        ],
    ),
    "b2-testAsymmetricWindowingBefore": (
        join(BEFORE_100),
        [
            (wave("L", "A", 1000, step=1), ""),
            (wave("R", "a", 899), ""),
            (wave("R", "b", 900), "0:A0-b0@1000"),
            (wave("R", "c", 901), "0:A0-c0@1000 1:A1-c1@1001"),
            (wave("R", "d", 902), "0:A0-d0@1000 1:A1-d1@1001 2:A2-d2@1002"),
            (wave("R", "e", 903), "0:A0-e0@1000 1:A1-e1@1001 2:A2-e2@1002 3:A3-e3@1003"),
            (wave("R", "f", 1000), "0:A0-f0@1000 1:A1-f1@1001 2:A2-f2@1002 3:A3-f3@1003"),
            (wave("R", "g", 1001), "1:A1-g1@1001 2:A2-g2@1002 3:A3-g3@1003"),
            (wave("R", "h", 1002), "2:A2-h2@1002 3:A3-h3@1003"),
            (wave("R", "i", 1003), "3:A3-i3@1003"),
            (wave("R", "j", 1004), ""),
        ],
    ),
}


@pytest.mark.parametrize(("declare", "given"), B2.values(), ids=B2.keys())
def test_kafka_streams_own_cases(declare: Declare, given: list[Step]) -> None:
    check(declare, given)


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
    "a4.4-a7-null-key-and-null-value-are-dropped": (
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


@pytest.mark.parametrize(("declare", "given"), INNER.values(), ids=INNER.keys())
def test_inner(declare: Declare, given: list[Step]) -> None:
    check(declare, given)


@pytest.mark.parametrize("poll_records", [1, 100], ids=["committed", "uncommitted"])
def test_a_joiner_that_changes_a_value_in_place_changes_no_other_pair(poll_records: int) -> None:
    """Each pair has values of its own, as where a store reads them from bytes; whenever the commit is."""

    def count(_key: str, left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
        left["n"] += 1
        right["n"] += 10
        return {"left": left["n"], "right": right["n"]}

    def declare(builder: StreamsBuilder) -> None:
        left, right = (builder.stream(topic, key=str, value=dict[str, int]) for topic in "LR")
        left.join(right, count, within=ms(10), name="j", value=dict).to("out")

    with TopologyTestDriver(topology(declare), poll_records=poll_records) as driver:
        producer = driver.broker.producer("test")
        for time, topic in enumerate("LRLR"):
            producer.produce(topic, b'{"n":0}', b"k", -1, time, ())
        producer.flush(0)
        driver.advance_wall_clock(timedelta(0))
        pairs = driver.output_topic("out").read_values()
    # The second right record meets two left ones, and is changed twice.
    assert [(pair["left"], pair["right"]) for pair in pairs] == [(1, 10), (1, 10), (1, 10), (1, 20)]
