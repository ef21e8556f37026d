"""Joins by a foreign key: what cannot be declared, functions that fail, topics and their partition counts,
what rows and keys may be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipeline import TopologyError, Windowed, tumbling
from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import UnhandledRecordError
from pipeline.plan.planner import plan
from pipeline.testing.driver import TopologyTestDriver
from pipeline.topology import Topology
from tests.semantics.timed import joined, shown, take

#: Where the operator that a message is about was declared.
HERE = f"{Path(__file__).relative_to(Path.cwd())}:"

Declare: TypeAlias = Callable[[Any], Any]


def table(builder: StreamsBuilder, topic: str, **options: Any) -> Any:
    """Any: what is called with the wrong types is to be called all the same."""
    return builder.table(topic, name=topic.lower(), **({"value": str} | options))


def names(_key: object, value: str) -> str | None:
    return value.partition("/")[0] or None


def join(builder: StreamsBuilder, **options: Any) -> Any:
    given = {"foreign_key": names, "name": "j", "value": str} | options
    return table(builder, "L").join(table(builder, "R"), joined, **given)


#: What is declared, and what the message says.
DECLARED: dict[str, tuple[Declare, tuple[str, ...]]] = {
    "no name": (
        lambda b: table(b, "L").join(table(b, "R"), joined, foreign_key=names, value=str),
        ("join at", "needs name=", "two topics and two stores"),
    ),
    "no serde of the result": (
        lambda b: table(b, "L").left_join(table(b, "R"), joined, foreign_key=names, name="j"),
        ("left_join at", "needs value="),
    ),
    "unknown left values": (
        lambda b: (
            table(b, "L")
            .map_values(lambda k, v: v)
            .join(table(b, "R"), joined, foreign_key=names, name="j", value=str)
        ),
        ("join at", "rows of table-map-values-1 (", "give value="),
    ),
    "unknown right values": (
        lambda b: table(b, "L").join(
            table(b, "R").map_values(lambda k, v: v), joined, foreign_key=names, name="j", value=str
        ),
        ("join at", "rows of table-map-values-1 (", "give value="),
    ),
    "a foreign key of the value alone": (
        lambda b: join(b, foreign_key=lambda value: value),
        ("j (", "foreign_key", "(key, value)"),
    ),
    "a stream": (
        lambda b: table(b, "L").join(b.stream("in"), joined, foreign_key=names, name="j", value=str),
        ("join at", "takes a table"),
    ),
    "a table of another application": (
        lambda b: table(b, "L").join(
            table(StreamsBuilder("other"), "R"), joined, foreign_key=names, name="j", value=str
        ),
        ("j (", "another application's"),
    ),
    "an outer join": (
        lambda b: table(b, "L").outer_join(table(b, "R"), joined, foreign_key=names, name="j", value=str),
        ("outer_join at", "foreign_key="),
    ),
    "retention": (lambda b: join(b, retention=timedelta(1)), ("join at", "retention=")),
    "a store of the name": (
        lambda b: [join(b), table(b, "J-subscriptions")],
        ("store name 'j-subscriptions' is used twice", "j (", "j-subscriptions ("),
    ),
    "two joins of one name": (
        lambda b: [
            join(b),
            table(b, "M").join(table(b, "N"), joined, foreign_key=names, name="j", value=str),
        ],
        ("name 'j' is used twice",),
    ),
}


@pytest.mark.parametrize(("declare", "says"), DECLARED.values(), ids=DECLARED.keys())
def test_what_cannot_be_declared(declare: Declare, says: tuple[str, ...]) -> None:
    builder = StreamsBuilder("test")
    with pytest.raises(TopologyError) as raised:
        _ = declare(builder), plan(builder.build())
    assert [part for part in (*says, HERE) if part not in str(raised.value)] == []


def built(declare: Declare) -> Topology:
    builder = StreamsBuilder("test")
    declare(builder).to_stream().to("out")
    return builder.build()


def outputs(driver: TopologyTestDriver, *steps: str) -> list[str]:
    """Return what comes out after each step, in any order."""
    out = driver.output_topic("out", value=str)
    found = []
    for step in steps:
        take(driver, step)
        found.append(" ".join(sorted(shown(out.read_all()).split())))
    return found


# Topics.


@pytest.mark.parametrize(("left", "right"), [(1, 1), (2, 5), (5, 2)])
def test_the_topics_between_have_as_many_partitions_as_the_table_that_reads_them(
    left: int, right: int
) -> None:
    with TopologyTestDriver(built(join), partitions={"L": left, "R": right}) as driver:
        counts = driver.broker.admin().partition_counts(
            [
                "test-j-subscription-registration",
                "test-j-subscription-response",
                "test-j-subscriptions-changelog",
                "test-j-changelog",
            ]
        )
    assert counts == {
        "test-j-subscription-registration": right,
        "test-j-subscription-response": left,
        "test-j-subscriptions-changelog": right,
        "test-j-changelog": left,
    }


def test_a_join_changes_no_count_of_the_repartition_topic_that_its_right_table_is_made_of() -> None:
    def declare(builder: StreamsBuilder) -> Any:
        lengths = builder.stream("in", key=str, value=str).group_by(lambda _, value: value, name="by-value")
        return table(builder, "L").join(
            lengths.count(name="n"), joined, foreign_key=names, name="j", value=str
        )

    with TopologyTestDriver(built(declare), partitions={"L": 5, "in": 2}) as driver:
        topics = ["test-by-value-repartition", "test-j-subscription-registration"]
        assert driver.broker.admin().partition_counts(topics) == dict.fromkeys(topics, 2)
        assert outputs(driver, "L k:x/A@1", "in any:x@2", "in any:x@3", "L k:x/B@4") == [
            "",
            "k:x/A-1@2",
            "k:x/A-2@3",
            "k:x/B-2@4",
        ]


def test_without_a_foreign_key_subscriptions_of_a_partition_go_one_way() -> None:
    """Replayed, they go there again."""

    def declare(builder: StreamsBuilder) -> Any:
        return table(builder, "L").left_join(
            table(builder, "R"), joined, foreign_key=names, name="j", value=str
        )

    with TopologyTestDriver(built(declare), partitions={"L": 2, "R": 5}) as driver:
        outputs(driver, *(f"L k{number}:/A@1" for number in range(20)))
        messages = driver.broker.records("test-j-subscription-registration")
        assert {message.partition for message in messages} == {0, 1}


# What happens between the two sides.


def test_an_answer_that_comes_when_the_row_is_another_one_is_dropped() -> None:
    def declare(builder: StreamsBuilder) -> Any:
        return table(builder, "L", caching=False).left_join(
            table(builder, "R"), joined, foreign_key=names, name="j", value=str, caching=False
        )

    with TopologyTestDriver(built(declare), poll_records=1_000) as driver:
        take(driver, "R x:a@1")
        producer = driver.broker.producer("test")
        for value in (b"x/A", b"y/B"):
            producer.produce("L", value, b"k", 0, 2, ())
        driver.advance_wall_clock(timedelta(0))
        (record,) = driver.output_topic("out", value=str).read_all()
        assert (record.key, record.value) == ("k", "y/B-null")
        assert driver.metrics["records_dropped"] == 1


def test_a_row_that_is_made_anew_before_its_deletion_is_answered_does_not_keep_the_old_result() -> None:
    """Kafka Streams keeps `x/A-a`: it takes for granted that an insert has nothing to take back."""

    def declare(builder: StreamsBuilder) -> Any:
        return table(builder, "L", caching=False).join(
            table(builder, "R"), joined, foreign_key=names, name="j", value=str
        )

    with TopologyTestDriver(built(declare), poll_records=1_000) as driver:
        assert outputs(driver, "R x:a@1", "L k:x/A@2") == ["", "k:x/A-a@2"]
        producer = driver.broker.producer("test")
        for value in (None, b"y/B"):
            producer.produce("L", value, b"k", 0, 3, ())
        driver.advance_wall_clock(timedelta(0))
        assert outputs(driver, "clock 0") == ["k:x/A-a@2 k:∅@3"]
        assert dict(driver.store("j").all()) == {}


# Tables of all kinds.


def test_a_table_joined_with_itself() -> None:
    """`k: boss/name`: each with the name of the boss."""

    def declare(builder: StreamsBuilder) -> Any:
        people = table(builder, "L")
        return people.left_join(people, joined, foreign_key=names, name="j", value=str)

    with TopologyTestDriver(built(declare), partitions=3) as driver:
        assert outputs(driver, "L a:/Ann@1", "L b:a/Bob@2", "L c:b/Cid@3", "L a:/Ada@4", "L b:∅@5") == [
            "a:/Ann-null@1",
            "b:a/Bob-/Ann@2",
            "c:b/Cid-a/Bob@3",
            "a:/Ada-null@4 b:a/Bob-/Ada@4",
            "b:∅@5 c:b/Cid-null@5",
        ]


def test_views_on_both_sides_and_a_join_of_a_join() -> None:
    def declare(builder: StreamsBuilder) -> Any:
        left = table(builder, "L").filter(lambda _, value: not value.endswith("!"))
        right = table(builder, "R").map_values(lambda _, value: value.upper(), value=str)
        one = left.join(right, joined, foreign_key=names, name="one", value=str)
        last = one.join(
            table(builder, "S"), joined, foreign_key=lambda _, value: value[-1], name="two", value=str
        )
        return last.filter(lambda _, value: "-no" not in value)

    with TopologyTestDriver(built(declare), partitions={"L": 2, "R": 3, "S": 5}) as driver:
        assert outputs(
            driver,
            "L k:x/A@1",
            "R x:a@2",
            "S A:s@3",
            "L k:x/B@4",
            "L k:x/C!@5",
            "L k:x/D@6",
            "R x:b@7",
            "S B:t@8",
        ) == ["", "", "k:x/A-A-s@3", "k:x/B-A-s@4", "k:∅@5", "k:x/D-A-s@6", "k:∅@7", "k:x/D-B-t@8"]


def test_windowed_tables_on_both_sides() -> None:
    windows = tumbling(timedelta(milliseconds=10), grace=timedelta(seconds=1))

    def declare(builder: StreamsBuilder) -> Any:
        left, right = (
            builder.stream(topic, key=str, value=str)
            .group_by_key()
            .windowed_by(windows)
            .reduce(lambda _, new: new, name=topic.lower())
            for topic in "LR"
        )
        pairs = left.join(
            right,
            joined,
            foreign_key=lambda key, value: Windowed(value, key.start, key.end),
            name="j",
            value=str,
        )
        return pairs.to_stream(lambda key, _: f"{key.key}{key.start}", key=str).to_table(name="out")

    with TopologyTestDriver(built(declare), partitions={"L": 2, "R": 3}) as driver:
        steps = ("R x:a@1", "R x:b@11", "L k:x@2", "L k:x@12", "R x:c@13", "L k:y@3")
        assert outputs(driver, *steps) == ["", "", "k0:x-a@2", "k10:x-b@12", "k10:x-c@13", "k0:∅@3"]


def test_the_result_with_options_of_its_own() -> None:
    def declare(builder: StreamsBuilder) -> Any:
        return join(builder, in_memory=True, logging=False, caching=False)

    with TopologyTestDriver(built(declare)) as driver:
        assert outputs(driver, "R x:a@1", "L k:x/A@2") == ["", "k:x/A-a@2"]
        assert "test-j-changelog" not in driver.broker.topics()
        assert "test-j-subscriptions-changelog" in driver.broker.topics()


def test_a_versioned_result() -> None:
    def declare(builder: StreamsBuilder) -> Any:
        return join(builder, history=timedelta(seconds=1))

    with TopologyTestDriver(built(declare)) as driver:
        assert outputs(driver, "R x:a@10", "L k:x/A@20", "R x:b@15") == ["", "k:x/A-a@20", "k:x/A-b@15"]
        store = driver.store("j")
        assert [store.get("k", time).value for time in (19, 20)] == ["x/A-b", "x/A-a"]


# What fails.


def broken(_key: object, value: str, *_right: object) -> str:
    if value.endswith("!"):
        raise ValueError("broken")
    return value.partition("/")[0]


def foreign_key_of_another_type(_key: object, value: str) -> Any:
    return 7 if value.endswith("!") else names(_key, value)


def failing_join(method: str, **options: Any) -> Declare:
    def declare(builder: StreamsBuilder) -> Any:
        given = {"joiner": joined, "foreign_key": names, "name": "j", "value": str} | options
        return getattr(table(builder, "L"), method)(table(builder, "R"), **given)

    return declare


STEPS = ("R x:a@1", "L k:x/A@2", "L k:x/B!@3", "R x:b@4", "L k:x/C@5")
#: Where the function fails, the row names nothing: it is not in an inner join, and alone in a left one.
FAILING: dict[str, tuple[Declare, list[str], str]] = {
    "inner, foreign key": (
        failing_join("join", foreign_key=broken),
        ["", "k:x/A-a@2", "k:∅@3", "", "k:x/C-b@5"],
        "j-subscribe (",
    ),
    "left, foreign key": (
        failing_join("left_join", foreign_key=broken),
        ["", "k:x/A-a@2", "k:x/B!-null@3", "", "k:x/C-b@5"],
        "j-subscribe (",
    ),
    "inner, foreign key of another type": (
        failing_join("join", foreign_key=foreign_key_of_another_type),
        ["", "k:x/A-a@2", "k:∅@3", "", "k:x/C-b@5"],
        "cannot encode a key of type int as string",
    ),
    "inner, joiner": (
        failing_join("join", joiner=broken),
        ["", "k:x@2", "k:∅@3", "", "k:x@5"],
        "j (",
    ),
    "left, joiner": (
        failing_join("left_join", joiner=broken),
        ["", "k:x@2", "k:∅@3", "", "k:x@5"],
        "j (",
    ),
}


@pytest.mark.parametrize(("declare", "expected", "says"), FAILING.values(), ids=FAILING.keys())
def test_a_row_for_which_a_function_fails_is_put_aside(
    declare: Declare, expected: list[str], says: str
) -> None:
    with TopologyTestDriver(built(declare), dead_letter="dead", partitions={"L": 1, "R": 3}) as driver:
        assert outputs(driver, *STEPS) == expected
        dead = driver.output_topic("dead", key=bytes, value=bytes).read_all()
        reasons = [dict(record.headers)["__streams.errors.message"] for record in dead]
        assert {says in (reason or b"").decode() for reason in reasons} == {True}


@pytest.mark.parametrize(("declare", "_expected", "says"), FAILING.values(), ids=FAILING.keys())
def test_without_a_dead_letter_topic_the_worker_stops_and_names_the_function(
    declare: Declare, _expected: list[str], says: str
) -> None:
    driver = TopologyTestDriver(built(declare))
    outputs(driver, *STEPS[:2])
    with pytest.raises(UnhandledRecordError) as raised:
        outputs(driver, *STEPS[2:])
    assert says in str(raised.value)
    assert HERE in str(raised.value)


@pytest.mark.parametrize("topic", ["test-j-subscription-registration", "test-j-subscription-response"])
@pytest.mark.parametrize(
    ("value", "says"),
    [(b"\x63" * 40, "of version 99, not 0"), (b"", "cannot decode"), (None, "needs a key and a value")],
)
def test_what_another_application_writes_into_the_topics_is_refused(
    topic: str, value: bytes | None, says: str
) -> None:
    driver = TopologyTestDriver(built(join))
    with pytest.raises(UnhandledRecordError, match=says):
        driver.pipe(topic, b"k", value, 1, ())
