"""Operators without state: rules a1.7 (times), a7 (nulls are kept), and what each promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pipeline import Processor, ProcessorContext, Record
from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, Step, check, shown, take, topology

HEADERS = [("trace", b"1"), ("trace", b"2"), ("empty", None)]


def text(value: str | None) -> str:
    return "null" if value is None else value


def labelled(name: str) -> Callable[[str, str | None], str]:
    return lambda _, value: f"{name}={text(value)}"


class Twice(Processor[str, str, str, str]):
    """Forwards each record twice, the second under another key and time."""

    def init(self, context: ProcessorContext[str, str]) -> None:
        self.context = context

    def process(self, record: Record[str, str]) -> None:
        self.context.forward(record)
        self.context.forward(record.with_key("other").with_timestamp(record.timestamp + 1))


def letters(_key: str, value: str | None) -> Iterator[str]:
    yield from value or ()


def filter_(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str).filter(lambda key, value: value != "no" and key != "no").to(
        "out"
    )


def map_(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str)
    stream.map(lambda key, value: (value, key), key=str, value=str).to("out")


def map_values(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str)
    stream.map_values(lambda key, value: f"{key}/{text(value)}", value=str).to("out")


def flat_map_values(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str).flat_map_values(letters, value=str).to("out")


def select_key(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str)
    stream.select_key(lambda _, value: None if value == "none" else value, key=str).to("out")


def peek(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str).peek(lambda _key, _value: "ignored").to("out")


def process(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str).process(Twice, key=str, value=str).to("out")


def merge(builder: StreamsBuilder) -> None:
    one, other = (builder.stream(topic, key=str, value=str) for topic in ("in", "in2"))
    one.merge(other).to("out")


def several_topics(builder: StreamsBuilder) -> None:
    builder.stream(["in", "in2"], key=str, value=str).to("out")


def branch(builder: StreamsBuilder) -> None:
    arms = builder.stream("in", key=str, value=str).branch(
        {"a": lambda _, value: text(value).startswith("a"), "b": lambda _, value: "b" in text(value)},
        default="rest",
    )
    for name, stream in arms.items():
        stream.map_values(labelled(name), value=str).to("out")


def branch_without_default(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str).branch({"a": lambda _, value: value == "a"})["a"].to("out")


def twice(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str)
    stream.filter(lambda _, value: value == "a").to("out")
    stream.map_values(lambda _, value: f"copy of {value}", value=str).to("out")


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a1.7-filter-keeps-key-value-and-time": (
        filter_,
        [("in k:yes@5", "k:yes@5"), ("in k:no@6", ""), ("in no:yes@6", ""), ("in k:yes@3", "k:yes@3")],
    ),
    "a7-filter-sees-nulls": (filter_, [("in ∅:yes@1", "∅:yes@1"), ("in k:∅@2", "k:∅@2")]),
    "map": (map_, [("in k:v@5", "v:k@5"), ("in ∅:v@6", "v:∅@6"), ("in k:∅@7", "∅:k@7")]),
    "map_values": (
        map_values,
        [("in k:v@5", "k:k/v@5"), ("in k:∅@5", "k:k/null@5"), ("in ∅:v@5", "∅:None/v@5")],
    ),
    "flat_map_values: none, one or several, in order, at one time": (
        flat_map_values,
        [("in k:ab@5", "k:a@5 k:b@5"), ("in k:c@6", "k:c@6"), ("in k:∅@7", "")],
    ),
    "select_key: to null, too": (select_key, [("in k:v@5", "v:v@5"), ("in k:none@6", "∅:none@6")]),
    "peek: what it returns does not matter": (peek, [("in k:v@5", "k:v@5"), ("in ∅:∅@5", "∅:∅@5")]),
    "process: as many records as it likes, at its own times": (
        process,
        [("in k:v@5", "k:v@5 other:v@6"), ("in k:w@2", "k:w@2 other:w@3")],
    ),
    "merge": (merge, [("in k:a@5", "k:a@5"), ("in2 k:b@3", "k:b@3")]),
    "stream-of-several-topics": (several_topics, [("in k:a@5", "k:a@5"), ("in2 k:b@3", "k:b@3")]),
    "branch: the first that holds, else the default": (
        branch,
        [
            ("in k:ab@5", "k:a=ab@5"),
            ("in k:bc@5", "k:b=bc@5"),
            ("in k:c@5", "k:rest=c@5"),
            ("in k:∅@5", "k:rest=null@5"),
        ],
    ),
    "branch-without-default: the rest goes nowhere": (
        branch_without_default,
        [("in k:a@5", "k:a@5"), ("in k:b@5", "")],
    ),
    "a-stream-feeds-several-operators, each record to all of them": (
        twice,
        [("in k:a@5", "k:a@5 k:copy of a@5"), ("in k:b@5", "k:copy of b@5")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), CASES.values(), ids=CASES.keys())
def test_cases(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize(
    "declare", [filter_, map_values, select_key, peek, process, merge, branch], ids=lambda f: f.__name__
)
def test_headers_pass_unchanged_with_duplicates_and_nulls(declare: Declare, partitions: int) -> None:
    with TopologyTestDriver(topology(declare), partitions={"in": partitions, "in2": partitions}) as driver:
        driver.input_topic("in", value=str).pipe("k", "v", 5, HEADERS)
        records = driver.output_topic("out", value=str).read_all()
        assert records
        assert all(list(record.headers) == HEADERS for record in records)


def test_headers_pass_repartition_topics_and_tables() -> None:
    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        stream.group_by(lambda _, value: value, name="by").count(name="t").to_stream().to("out")

    with TopologyTestDriver(topology(declare)) as driver:
        driver.input_topic("in", value=str).pipe("k", "v", 5, HEADERS)
        (record,) = driver.output_topic("out", value=int).read_all()
        assert list(record.headers) == HEADERS


def test_to_a_topic_chosen_for_each_record() -> None:
    def declare(builder: StreamsBuilder) -> None:
        builder.stream("in", key=str, value=str).to(lambda _, value: f"out-{value}")

    with TopologyTestDriver(topology(declare), topics=["out-a", "out-b"]) as driver:
        for step in ("in k:a@1", "in k:b@2", "in q:a@3"):
            take(driver, step)
        assert shown(driver.output_topic("out-a", value=str).read_all()) == "k:a@1 q:a@3"
        assert shown(driver.output_topic("out-b", value=str).read_all()) == "k:b@2"


def test_a_processor_is_made_for_each_task_and_sees_where_its_record_was_read() -> None:
    made = []

    class Where(Processor[str, str, str, str]):
        def init(self, context: ProcessorContext[str, str]) -> None:
            self.context = context
            made.append(context.task_id)

        def process(self, record: Record[str, str]) -> None:
            here = self.context
            told = f"{here.task_id} {here.source} {here.offset} {here.source_timestamp} {here.stream_time}"
            here.forward(record.with_value(told).with_headers(()))

    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str, timestamp=lambda record, _: record.timestamp * 10)
        stream.process(Where, key=str, value=str).to("out")

    with TopologyTestDriver(topology(declare), partitions={"in": 2}) as driver:
        assert [str(task) for task in made] == ["0_0", "0_1"]
        for step in ("in a:_@7", "in a:_@5"):
            take(driver, step)
        number = driver.broker.records("in")[0].partition()
        values = driver.output_topic("out", value=str).read_values()
        assert values == [f"0_{number} in-{number} 0 7 70", f"0_{number} in-{number} 1 5 70"]
