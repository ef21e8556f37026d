"""Several joins in a row, and joins behind repartition topics: rules a4, a5.7, a7 and a8, table b1."""

from __future__ import annotations

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.planner import plan
from tests.semantics.inputs import INPUT_II, steps
from tests.semantics.timed import Declare, Step, check, joined, ms, topology

SECONDS_10 = ms(10_000)

#: A right record is first the right one of the first join, whose pairs meet the rights before it; then the
#: right one of the second join, and meets every pair so far.
MULTI_INNER = {
    4: "A-a-a@4",
    5: "B-a-a@5",
    6: "A-b-a@6 B-b-a@6 A-a-b@6 B-a-b@6 A-b-b@6 B-b-b@6",
    9: "C-a-a@9 C-a-b@9 C-b-a@9 C-b-b@9",
    10: (
        "A-c-a@10 A-c-b@10 B-c-a@10 B-c-b@10 C-c-a@10 C-c-b@10 A-a-c@10 B-a-c@10 A-b-c@10 B-b-c@10 C-a-c@10 "
        "C-b-c@10 A-c-c@10 B-c-c@10 C-c-c@10"
    ),
    14: (
        "A-d-a@14 A-d-b@14 A-d-c@14 B-d-a@14 B-d-b@14 B-d-c@14 C-d-a@14 C-d-b@14 C-d-c@14 A-a-d@14 B-a-d@14 "
        "A-b-d@14 B-b-d@14 C-a-d@14 C-b-d@14 A-c-d@14 B-c-d@14 C-c-d@14 A-d-d@14 B-d-d@14 C-d-d@14"
    ),
    15: (
        "D-a-a@15 D-a-b@15 D-a-c@15 D-a-d@15 D-b-a@15 D-b-b@15 D-b-c@15 D-b-d@15 D-c-a@15 D-c-b@15 D-c-c@15 "
        "D-c-d@15 D-d-a@15 D-d-b@15 D-d-c@15 D-d-d@15"
    ),
}


def test_b1_multi_inner() -> None:
    def declare(builder: StreamsBuilder) -> None:
        left, right = builder.stream("L", key=str, value=str), builder.stream("R", key=str, value=str)
        pairs = left.join(right, joined, within=SECONDS_10, name="one", value=str)
        pairs.join(right, joined, within=SECONDS_10, name="two", value=str).to("out")

    expected = {
        number: " ".join(f"k:{row}" for row in rows.split(" ")) for number, rows in MULTI_INNER.items()
    }
    check(declare, steps(INPUT_II, expected))


def chain(first: str, second: str) -> Declare:
    """Join L with R within 10 ms, and what comes out with S."""

    def declare(builder: StreamsBuilder) -> None:
        left, right, third = (builder.stream(topic, key=str, value=str) for topic in "LRS")
        pairs = getattr(left, first)(right, joined, within=ms(10), name="one", value=str)
        getattr(pairs, second)(third, joined, within=ms(10), name="two", value=str).to("out")

    return declare


def rekeyed_between(builder: StreamsBuilder) -> None:
    """The pairs of the first join are joined by the text of their left value: through a topic."""
    left, right, third = (builder.stream(topic, key=str, value=str) for topic in "LRS")
    pairs = left.left_join(right, joined, within=ms(10), name="one", value=str)
    by_left = pairs.select_key(lambda _, pair: pair.partition("-")[0], key=str)
    by_left.left_join(third, joined, within=ms(10), name="two", value=str).to("out")


def stream_then_table(builder: StreamsBuilder) -> None:
    left, right = builder.stream("L", key=str, value=str), builder.stream("R", key=str, value=str)
    pairs = left.outer_join(right, joined, within=ms(10), name="one", value=str)
    pairs.left_join(builder.table("T", name="table", value=str), joined, value=str).to("out")


def joined_twice(builder: StreamsBuilder) -> None:
    """One stream in two joins: each has its own window and its own unmatched rows."""
    left, right = builder.stream("L", key=str, value=str), builder.stream("R", key=str, value=str)
    near = left.left_join(right, joined, within=ms(5), name="near", value=str)
    far = left.left_join(right, joined, within=ms(20), name="far", value=str)
    near.merge(far).to("out")


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a4-inner-then-left: a pair that finds no third waits from its own time": (
        chain("join", "left_join"),
        [
            ("L k:A@0", ""),
            ("R k:a@5", ""),
            ("S k:x@15", "k:A-a-x@15"),
            ("R k:b@8", "k:A-b-x@15"),
            ("L j:B@20", ""),
            ("R j:c@20", ""),
            ("S z:_@30", ""),
            ("S z:_@31", "j:B-c-null@20"),
        ],
    ),
    "a4-left-then-left: a row that comes out of the first at the end of its window goes on at its own time": (
        chain("left_join", "left_join"),
        [("L k:A@0", ""), ("S k:x@5", ""), ("R z:_@11", "k:A-null-x@5")],
    ),
    "a4-left-then-left: stream time is each join's own": (
        chain("left_join", "left_join"),
        [
            ("L k:A@0", ""),
            # The second join knows no time yet: what the first sends it late is on time there.
            ("R z:_@100", ""),
            ("S k:x@0", "k:A-null-x@0"),
            ("L j:B@95", ""),
            # At 200 in the first join the row of j comes out, at 95; so the second is at 95.
            ("R z:_@200", ""),
            ("S z:_@105", ""),
            ("S z:_@106", "j:B-null-null@95"),
        ],
    ),
    "a4-left-then-outer: both come out alone, and what neither finds comes out once": (
        chain("left_join", "outer_join"),
        [
            ("S j:x@0", ""),
            ("L k:A@0", ""),
            ("R z:_@11", ""),
            ("S z:_@11", "j:null-x@0 k:A-null-null@0"),
        ],
    ),
    "a4-outer-then-inner: rows alone on the right go on, too": (
        chain("outer_join", "join"),
        [("R k:a@0", ""), ("S k:x@5", ""), ("L z:_@11", "k:null-a-x@5")],
    ),
    "a7-null-keys-go-through-every-left-join-at-once (KIP-962)": (
        chain("left_join", "left_join"),
        [("L ∅:A@0", "∅:A-null-null@0")],
    ),
    "a5.7-the-result-of-a-stream-table-join-is-a-stream: outer, then left with a table": (
        stream_then_table,
        [
            ("T k:t@50", ""),
            ("L k:A@0", ""),
            ("R k:a@1", "k:A-a-t@1"),
            ("R k:b@20", ""),
            ("L ∅:B@31", "k:null-b-t@20 ∅:B-null-null@31"),
        ],
    ),
    "a8.2-a-changed-key-between-two-joins-goes-through-a-topic, with its null keys": (
        rekeyed_between,
        [
            ("L k:A@0", ""),
            ("S A:x@3", ""),
            ("R k:a@2", "A:A-a-x@3"),
            ("R j:_@50", ""),
            ("L ∅:B@60", ""),
            ("S z:_@71", "B:B-null-null@60"),
        ],
    ),
    "a4-one-stream-in-two-joins": (
        joined_twice,
        [
            ("L k:A@0", ""),
            ("R k:a@6", "k:A-null@0 k:A-a@6"),
            ("L j:B@30", ""),
            ("R z:_@51", "j:B-null@30 j:B-null@30"),
        ],
    ),
    "deviation7-rows-wait-in-both-joins-across-a-move": (
        chain("left_join", "left_join"),
        [
            ("L k:A@0", ""),
            ("R z:_@11", ""),
            ("L j:B@11", ""),
            ("move", ""),
            ("S k:x@10", "k:A-null-x@10"),
            ("R z:_@22", ""),
            ("crash", ""),
            ("S z:_@22", "j:B-null-null@11"),
        ],
    ),
}


@pytest.mark.parametrize(("declare", "given"), CASES.values(), ids=CASES.keys())
def test_cases(declare: Declare, given: list[Step]) -> None:
    check(declare, given)


def explicit(kind: str) -> Declare:
    def declare(builder: StreamsBuilder) -> None:
        left = builder.stream("L", key=str, value=str).repartition(name="left")
        right = builder.stream("R", key=str, value=str).repartition(name="right")
        if kind == "nothing":
            left.to("out")
        elif kind == "table":
            left.left_join(right.group_by_key().count(name="t"), joined, value=str).to("out")
        else:
            getattr(left, kind)(right, joined, within=ms(10), name="j", value=str).to("out")

    return declare


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("nothing", [("L ∅:A@1", "")]),
        ("join", [("L ∅:A@1", ""), ("R ∅:a@1", "")]),
        ("left_join", [("L ∅:A@1", "∅:A-null@1"), ("R ∅:a@1", "")]),
        ("outer_join", [("L ∅:A@1", "∅:A-null@1"), ("R ∅:a@1", "∅:null-a@1")]),
        ("table", [("L ∅:A@1", "∅:A-null@1"), ("R ∅:a@1", "")]),
    ],
)
def test_a7_a_repartition_keeps_null_keys_only_above_a_left_or_outer_join(
    kind: str, given: list[Step]
) -> None:
    check(explicit(kind), given)


def test_a7_whoever_else_reads_such_a_topic_gets_null_keys_too() -> None:
    """As in Kafka Streams: kept for all that follow; the right side of a left join counts, too."""

    def declare(builder: StreamsBuilder) -> None:
        left = builder.stream("L", key=str, value=str)
        right = builder.stream("R", key=str, value=str).repartition(name="right")
        left.left_join(right, joined, within=ms(10), name="j", value=str).to("pairs")
        right.to("out")

    check(declare, [("R ∅:a@1", "∅:a@1")])


def test_a8_joins_of_one_stream_each_get_their_own_topic() -> None:
    def declare(builder: StreamsBuilder) -> None:
        left = builder.stream("L", key=str, value=str).map(lambda k, v: (k, v), key=str, value=str)
        for topic in "RS":
            right = builder.stream(topic, key=str, value=str)
            left.join(right, joined, within=ms(10), name=f"with-{topic}", value=str).to("out")

    planned = plan(topology(declare))
    assert planned.repartition_topics == ("test-with-R-left-repartition", "test-with-S-left-repartition")
