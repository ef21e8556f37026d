"""Several streams folded into one table: rules a6.10, a7, b4, c3.

clicks  k:c@1 ----------- k:c@3
views   ------- k:v@2 ---------        one aggregate of k: 0+c, 0+c+v, 0+c+v+c
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import TopologyError
from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde import STRING, Serde, SessionWindowedSerde, TimeWindowedSerde
from pipeline.testing.driver import TopologyTestDriver
from pipeline.windows import SessionWindows, SlidingWindows, TimeWindows, Windows
from tests.semantics.timed import Declare, Step, check, ms, take, topology


def plus(_key: str, value: str, so_far: str) -> str | None:
    return None if value == "!" else f"{so_far}+{value}"


def minus(_key: str, value: str, so_far: str) -> str:
    return f"{so_far}-{value}"


def merge(_key: str, left: str, right: str) -> str:
    return f"{left}|{right}"


def fails(_key: str, value: str, so_far: str) -> str:
    raise ValueError(value + so_far)


def cogrouped(windows: Windows | None = None, **store: Any) -> Declare:
    """Values of L are added, values of R subtracted."""

    def declare(builder: StreamsBuilder) -> None:
        left, right = (builder.stream(topic, key=str, value=str).group_by_key() for topic in "LR")
        together: Any = left.cogroup(plus).cogroup(right, minus)
        if windows is not None:
            together = together.windowed_by(windows)
        mergers = [merge] if isinstance(windows, SessionWindows) else []
        together.aggregate(lambda: "0", *mergers, name="t", value=str, **store).to_stream().to("out")

    return declare


UNWINDOWED: dict[str, list[Step]] = {
    "a6.10-b4-CogroupedKStreamImplTest-one-aggregate-of-all-streams-at-the-latest-time": [
        ("L k:A@0", "k:0+A@0"),
        ("L j:A@0", "j:0+A@0"),
        ("L k:A@10", "k:0+A+A@10"),
        ("R j:B@100", "j:0+A-B@100"),
        ("R k:B@1", "k:0+A+A-B@10"),
        ("L j:A@50", "j:0+A-B+A@100"),
        ("R i:B@5", "i:0-B@5"),
    ],
    "a6.10-b4-testCogroupHandleNullValues": [
        ("L k:A@0", "k:0+A@0"),
        ("R k:∅@5", ""),
        ("L ∅:A@5", ""),
        ("R k:B@1", "k:0+A-B@1"),
    ],
    "a2.9-a-null-aggregate-deletes-and-every-stream-begins-anew": [
        ("R k:B@1", "k:0-B@1"),
        ("L k:!@2", "k:∅@2"),
        ("R k:C@3", "k:0-C@3"),
    ],
    "windowless-state-survives": [
        ("L k:A@0", "k:0+A@0"),
        ("restart", ""),
        ("R k:B@1", "k:0+A-B@1"),
        ("move", ""),
        ("L k:C@2", "k:0+A-B+C@2"),
    ],
}
WINDOWED: dict[str, tuple[Windows, list[Step]]] = {
    "b4-TimeWindowedCogroupedKStreamImplTest-tumbling": (
        TimeWindows(10, 0),
        [
            ("L k:A@0", "k[0,10):0+A@0"),
            ("R k:B@9", "k[0,10):0+A-B@9"),
            ("R k:C@10", "k[10,20):0-C@10"),
            ("L k:D@9", "k[0,10):0+A-B+D@9"),
        ],
    ),
    "c3-a1.3-each-stream-is-judged-by-its-own-time: R has come to 50, for L nothing is late": (
        TimeWindows(10, 30),
        [
            ("R j:B@50", "j[50,60):0-B@50"),
            ("L k:A@15", "k[10,20):0+A@15"),
            ("R k:C@15", ""),
            ("L k:D@16", "k[10,20):0+A+D@16"),
            ("L j:A@51", "j[50,60):0-B+A@51"),
            ("L k:A@19", ""),
        ],
    ),
    "c3-a1.3-deviation7-and-remembers-it-by-itself": (
        TimeWindows(10, 30),
        [
            ("R j:B@50", "j[50,60):0-B@50"),
            ("L k:A@15", "k[10,20):0+A@15"),
            ("move", ""),
            ("R k:C@15", ""),
            ("L k:D@16", "k[10,20):0+A+D@16"),
        ],
    ),
    "b4-SlidingWindowedCogroupedKStreamImplTest": (
        SlidingWindows(10, 0),
        [
            ("L k:A@20", "k[10,20]:0+A@20"),
            ("R k:B@25", "k[21,31]:0-B@25 k[15,25]:0+A-B@25"),
        ],
    ),
    "b4-SessionWindowedCogroupedKStreamImplTest: a record of either goes on with the session": (
        SessionWindows(5, 0),
        [
            ("L k:A@20", "k[20,20]:0+A@20"),
            ("R k:B@25", "k[20,20]:∅@20 k[20,25]:0|0+A-B@25"),
            ("L k:C@31", "k[31,31]:0+C@31"),
        ],
    ),
}


@pytest.mark.parametrize("steps", UNWINDOWED.values(), ids=UNWINDOWED.keys())
def test_cogroup(steps: list[Step]) -> None:
    check(cogrouped(), steps)


@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize(("windows", "steps"), WINDOWED.values(), ids=WINDOWED.keys())
def test_windowed_cogroup(windows: Windows, steps: list[Step], caching: bool) -> None:  # noqa: FBT001 - pytest's parameter
    key: Serde[Any] = SessionWindowedSerde(STRING)
    if not isinstance(windows, SessionWindows):
        key = TimeWindowedSerde(STRING, windows.size_ms)
    bracket = ")" if isinstance(windows, TimeWindows) else "]"
    check(cogrouped(windows, caching=caching, retention=ms(1_000)), steps, key=key, bracket=bracket)


def test_what_another_stream_has_made_the_store_forget_is_dropped_and_counted() -> None:
    """A record that is on time in its own stream is taken as far back as the table's retention goes."""
    with TopologyTestDriver(topology(cogrouped(TimeWindows(10, 0)))) as driver:
        take(driver, "R k:B@50")
        take(driver, "L k:A@40")
        assert driver.metrics["records_dropped"] == 1
    with TopologyTestDriver(topology(cogrouped(TimeWindows(10, 0), retention=ms(11)))) as driver:
        take(driver, "R k:B@50")
        take(driver, "L k:A@40")
        assert driver.store("t").fetch("k", 40) == "0+A"


def test_only_the_streams_whose_key_changed_are_repartitioned() -> None:
    def declare(builder: StreamsBuilder) -> None:
        plain = builder.stream("L", key=str, value=str).group_by_key()
        grouped = builder.stream("R", key=str, value=str).group_by(
            lambda _, value: value[0], name="by-letter"
        )
        plain.cogroup(plus).cogroup(grouped, minus).aggregate(
            lambda: "0", name="t", value=str
        ).to_stream().to("out")

    steps = [("L a:1@0", "a:0+1@0"), ("R x:a2@1", "a:0+1-a2@1"), ("R x:b3@1", "b:0-b3@1")]
    check(declare, steps)
    with TopologyTestDriver(topology(declare)) as driver:
        take(driver, "R x:a2@1")
        assert len(driver.output_topic("test-by-letter-repartition", value=str).read_all()) == 1


def test_topics_must_have_equal_partition_counts() -> None:
    with pytest.raises(TopologyError, match=r"not co-partitioned: t \(.*L has 2.*R has 3"):
        TopologyTestDriver(topology(cogrouped()), partitions={"L": 2, "R": 3})


def test_one_stream_may_be_there_twice() -> None:
    def declare(builder: StreamsBuilder) -> None:
        grouped = builder.stream("L", key=str, value=str).group_by_key()
        grouped.cogroup(plus).cogroup(grouped, minus).aggregate(
            lambda: "0", name="t", value=str
        ).to_stream().to("out")

    check(declare, [("L k:A@0", "k:0+A-A@0")])


def test_keys_must_be_encoded_alike() -> None:
    def declare(builder: StreamsBuilder) -> None:
        text = builder.stream("L", key=str, value=str).group_by_key()
        numbers = builder.stream("R", key=int, value=str).group_by_key()
        text.cogroup(plus).cogroup(numbers, minus)  # type: ignore[arg-type] # what a type checker says

    with pytest.raises(TopologyError, match=r"cogroup at .*: keys of the first stream are string, .* int64"):
        topology(declare)


def test_no_windows() -> None:
    def declare(builder: StreamsBuilder) -> None:
        grouped: Any = builder.stream("L", key=str, value=str).group_by_key()
        grouped.cogroup(plus).windowed_by(10)

    with pytest.raises(TopologyError, match=r"windowed_by at .* takes windows such as .*, not 10"):
        topology(declare)


def test_a_record_that_one_aggregator_fails_on_names_it() -> None:
    def declare(builder: StreamsBuilder) -> None:
        left, right = (builder.stream(topic, key=str, value=str).group_by_key() for topic in "LR")
        left.cogroup(plus).cogroup(right, fails).aggregate(lambda: "0", name="t", value=str)

    with TopologyTestDriver(topology(declare), dead_letter="dead") as driver:
        take(driver, "L k:A@0")
        take(driver, "R k:B@0")
        (letter,) = driver.output_topic("dead", key=bytes, value=bytes).read_all()
        assert b"fails (" in (dict(letter.headers)["__streams.errors.message"] or b"")
        assert driver.store("t").get("k") == "0+A"


@given(
    records=st.lists(
        st.tuples(st.sampled_from("LR"), st.sampled_from("abc"), st.integers(0, 99)), max_size=25
    ),
    partitions=st.sampled_from([1, 2, 5]),
)
@settings(max_examples=40)
def test_a_cogroup_is_the_fold_of_all_records_of_a_key(
    records: list[tuple[str, str, int]], partitions: int
) -> None:
    with TopologyTestDriver(topology(cogrouped()), partitions=partitions) as driver:
        expected: dict[str, str] = {}
        for number, (topic, key, time) in enumerate(records):
            take(driver, f"{topic} {key}:{number}@{time}")
            add = plus if topic == "L" else minus
            expected[key] = str(add(key, str(number), expected.get(key, "0")))
        found: dict[str, str] = {}
        for partition in range(partitions):
            found |= dict(driver.store("t", partition).all())
        assert found == expected
