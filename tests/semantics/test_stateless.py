"""Operators without state: rules a1.7 (times), a7 (nulls are kept), and what each promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pipeline import Processor, ProcessorContext, PunctuationType, Record, Store, StreamsError
from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, Step, check, ms, shown, take, topology

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


def filter_not(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str)
    stream.filter_not(lambda key, value: value == "no" or key == "no").to("out")


def flat_map(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str)
    stream.flat_map(lambda key, value: [(letter, key) for letter in value or ""], key=str, value=str).to(
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


class Counting(Processor[str, str, str, str]):
    """Numbers the records of each key."""

    def init(self, context: ProcessorContext[str, str]) -> None:
        self.context, self.counts = context, context.store("counts")

    def process(self, record: Record[str, str]) -> None:
        count = (self.counts.get(record.key) or 0) + 1
        self.counts.put(record.key, count, record.timestamp)
        self.context.forward(record.with_value(f"{text(record.value)}{count}"))


def process_values(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str)
    stream.process_values(Counting, Store("counts", key=str, value=int), value=str).to("out")


class Several(Processor[str, str, str, str]):
    """Forwards a record as it is, and once more a millisecond later."""

    def init(self, context: ProcessorContext[str, str]) -> None:
        self.context = context

    def process(self, record: Record[str, str]) -> None:
        self.context.forward(record)
        self.context.forward(record.with_timestamp(record.timestamp + 1))


def process_values_several(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str).process_values(Several, value=str).to("out")


def foreach_after_peek(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str)
    stream.peek(lambda _key, _value: None).to("out")
    stream.foreach(lambda _key, _value: "ignored")


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
    "a1.7-a7-filter_not: what filter would drop": (
        filter_not,
        [
            ("in k:yes@5", "k:yes@5"),
            ("in k:no@6", ""),
            ("in no:yes@6", ""),
            ("in ∅:∅@1", "∅:∅@1"),
            ("in k:yes@3", "k:yes@3"),
        ],
    ),
    "a1.7-a7-map": (map_, [("in k:v@5", "v:k@5"), ("in ∅:v@6", "v:∅@6"), ("in k:∅@7", "∅:k@7")]),
    "a1.7-a7-map_values": (
        map_values,
        [("in k:v@5", "k:k/v@5"), ("in k:∅@5", "k:k/null@5"), ("in ∅:v@5", "∅:None/v@5")],
    ),
    "a1.7-a7-flat_map: none, one or several, in order, at one time": (
        flat_map,
        [
            ("in k:ab@5", "a:k@5 b:k@5"),
            ("in k:c@3", "c:k@3"),
            ("in k:∅@7", ""),
            ("in ∅:d@8", "d:∅@8"),
        ],
    ),
    "a1.7-a7-flat_map_values: none, one or several, in order, at one time": (
        flat_map_values,
        [("in k:ab@5", "k:a@5 k:b@5"), ("in k:c@6", "k:c@6"), ("in k:∅@7", "")],
    ),
    "a7-select_key: to null, too": (select_key, [("in k:v@5", "v:v@5"), ("in k:none@6", "∅:none@6")]),
    "a1.7-a7-peek: what it returns does not matter": (peek, [("in k:v@5", "k:v@5"), ("in ∅:∅@5", "∅:∅@5")]),
    "a1.7-a7-foreach: what it returns does not matter": (
        foreach_after_peek,
        [("in k:v@5", "k:v@5"), ("in ∅:∅@5", "∅:∅@5")],
    ),
    "a1.7-process: as many records as it likes, at its own times": (
        process,
        [("in k:v@5", "k:v@5 other:v@6"), ("in k:w@2", "k:w@2 other:w@3")],
    ),
    "a1.7-a7-process_values: with a store, under the same key": (
        process_values,
        [("in k:a@5", "k:a1@5"), ("in q:b@2", "q:b1@2"), ("in k:∅@3", "k:null2@3"), ("restart", "")],
    ),
    "a1.7-process_values: as many as it likes, at its own times": (
        process_values_several,
        [("in k:v@5", "k:v@5 k:v@6"), ("in ∅:∅@2", "∅:∅@2 ∅:∅@3")],
    ),
    "a1.7-a7-merge": (merge, [("in k:a@5", "k:a@5"), ("in2 k:b@3", "k:b@3")]),
    "a1.7-stream-of-several-topics": (several_topics, [("in k:a@5", "k:a@5"), ("in2 k:b@3", "k:b@3")]),
    "a1.7-a7-branch: the first that holds, else the default": (
        branch,
        [
            ("in k:ab@5", "k:a=ab@5"),
            ("in k:bc@5", "k:b=bc@5"),
            ("in k:c@5", "k:rest=c@5"),
            ("in k:∅@5", "k:rest=null@5"),
        ],
    ),
    "a1.7-branch-without-default: the rest goes nowhere": (
        branch_without_default,
        [("in k:a@5", "k:a@5"), ("in k:b@5", "")],
    ),
    "a1.7-a-stream-feeds-several-operators, each record to all of them": (
        twice,
        [("in k:a@5", "k:a@5 k:copy of a@5"), ("in k:b@5", "k:copy of b@5")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), CASES.values(), ids=CASES.keys())
def test_cases(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize(
    "declare",
    [
        filter_,
        filter_not,
        map_,
        map_values,
        flat_map,
        flat_map_values,
        select_key,
        peek,
        process,
        process_values,
        merge,
        branch,
    ],
    ids=lambda function: function.__name__,
)
def test_a1_7_headers_pass_unchanged_with_duplicates_and_nulls(declare: Declare, partitions: int) -> None:
    with TopologyTestDriver(topology(declare), partitions={"in": partitions, "in2": partitions}) as driver:
        driver.input_topic("in", value=str).pipe("k", "v", 5, HEADERS)
        records = driver.output_topic("out", value=str).read_all()
        assert records
        assert all(list(record.headers) == HEADERS for record in records)


def test_a1_7_headers_pass_repartition_topics_and_tables() -> None:
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
        number = driver.broker.records("in")[0].partition
        values = driver.output_topic("out", value=str).read_values()
        assert values == [f"0_{number} in-{number} 0 7 70", f"0_{number} in-{number} 1 5 70"]


class Stamping(Processor[str, str, str, str]):
    """Reads a header into the value, drops it, and adds another one twice."""

    def init(self, context: ProcessorContext[str, str]) -> None:
        self.context = context

    def process(self, record: Record[str, str]) -> None:
        traces = [value for name, value in record.headers if name == "trace"]
        kept = [(name, value) for name, value in record.headers if name != "trace"]
        stamped = record.with_value(repr(traces)).with_headers([*kept, ("new", b"1"), ("new", None)])
        self.context.forward(stamped)
        self.context.forward(record)


@pytest.mark.parametrize("method", ["process", "process_values"])
def test_a7_headers_are_read_and_written(method: str) -> None:
    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        if method == "process":
            stream.process(Stamping, key=str, value=str).to("out")
        else:
            stream.process_values(Stamping, value=str).to("out")

    with TopologyTestDriver(topology(declare)) as driver:
        driver.input_topic("in", value=str).pipe("k", "v", 5, HEADERS)
        stamped, unchanged = driver.output_topic("out", value=str).read_all()
        assert stamped.value == "[b'1', b'2']"
        assert list(stamped.headers) == [("empty", None), ("new", b"1"), ("new", None)]
        assert (unchanged.value, list(unchanged.headers)) == ("v", HEADERS)


def test_a8_1_process_values_keeps_the_partitioning() -> None:
    """After `process` a grouping by key goes through a repartition topic, after `process_values` not."""

    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        stream.process_values(Several, value=str).group_by_key().count(name="t")

    with TopologyTestDriver(topology(declare)) as driver:
        take(driver, "in k:a@1")
        assert driver.store("t").get("k") == 2
        assert [name for name in driver.broker.topics() if "repartition" in name] == []


class Renaming(Processor[str, str, str, str]):
    """Forwards under the value as the key; as it is in its punctuation."""

    def init(self, context: ProcessorContext[str, str]) -> None:
        self.context = context
        context.schedule(ms(1_000), PunctuationType.WALL_CLOCK_TIME, self.tick)

    def tick(self, now_ms: int) -> None:
        self.context.forward(Record("k", "tick", now_ms))

    def process(self, record: Record[str, str]) -> None:
        self.context.forward(record.with_key(str(record.value)))


def renaming(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str).process_values(Renaming, name="rename", value=str).to("out")


def test_a8_1_process_values_may_not_change_the_key() -> None:
    with TopologyTestDriver(topology(renaming), dead_letter="dead") as driver:
        # An equal key is the same key, whatever object it is.
        for step in ("in k:k@1", "in k:other@2", "in q:q@3"):
            take(driver, step)
        assert shown(driver.output_topic("out", value=str).read_all()) == "k:k@1 q:q@3"
        (letter,) = driver.output_topic("dead", value=str).read_all()
        assert (letter.key, letter.value) == ("k", "other")
        for part in ("rename (tests/", "key 'other'", "key 'k'", "process()", "Renaming.process"):
            assert part in str(letter.headers)


def test_a8_1_process_values_cannot_forward_in_a_punctuation() -> None:
    driver = TopologyTestDriver(topology(renaming))
    take(driver, "in k:k@1")
    with pytest.raises(StreamsError, match=r"rename \(tests/.*no record is in hand.*use process\(\)"):
        take(driver, "clock 1000")


# Custom partitioners.


def by_length(_topic: str, key: str | None, value: str | None, partitions: int) -> int:
    return (len(key or "") + len(value or "")) % partitions


def placed(driver: TopologyTestDriver, topic: str = "out") -> list[tuple[str, int]]:
    records = driver.output_topic(topic, value=str).read_all()
    return sorted((record.value, record.partition) for record in records)


def test_a8_6_a_partitioner_chooses_for_key_value_and_count() -> None:
    told: list[tuple[object, ...]] = []

    def partitioner(topic: str, key: str | None, value: str | None, partitions: int) -> int:
        told.append((topic, key, value, partitions))
        return by_length(topic, key, value, partitions)

    def declare(builder: StreamsBuilder) -> None:
        builder.stream("in", key=str, value=str).to("out", partitioner=partitioner)

    with TopologyTestDriver(topology(declare), partitions={"out": 3}) as driver:
        for step in ("in k:a@1", "in k:bb@2", "in ∅:ccc@3", "in kk:bbb@4"):
            take(driver, step)
        assert placed(driver) == [("a", 2), ("bb", 0), ("bbb", 2), ("ccc", 0)]
        assert told[0] == ("out", "k", "a", 3)
        assert told[2] == ("out", None, "ccc", 3)


def test_a8_6_a_partitioner_of_topics_chosen_for_each_record() -> None:
    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        stream.to(lambda key, _value: f"out-{key}", partitioner=lambda _t, _k, _v, partitions: partitions - 1)

    counts = {"out-a": 2, "out-b": 4}
    with TopologyTestDriver(topology(declare), partitions=counts, topics=counts) as driver:
        for step in ("in a:x@1", "in b:y@2"):
            take(driver, step)
        assert placed(driver, "out-a") == [("x", 1)]
        assert placed(driver, "out-b") == [("y", 3)]


def test_a8_6_a_partitioner_of_a_repartition_topic() -> None:
    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        stream.repartition(name="r", partitions=3, partitioner=by_length).to("out")

    with TopologyTestDriver(topology(declare)) as driver:
        for step in ("in k:a@1", "in k:bb@2", "in kk:bbb@4"):
            take(driver, step)
        assert placed(driver, "test-r-repartition") == [("a", 2), ("bb", 0), ("bbb", 2)]


def raising(_topic: str, _key: str, _value: str, _partitions: int) -> int:
    raise RuntimeError("no idea")


PARTITIONERS = {
    "a8.6-beyond-the-last": (
        lambda _topic, _key, _value, partitions: partitions,
        "returned 3 for topic 'out'",
    ),
    "a8.6-negative": (lambda *_: -1, "returned -1 for topic 'out'"),
    "a8.6-no-number": (lambda *_: None, "returned None for topic 'out'"),
    "a8.6-raises": (raising, "raised RuntimeError: no idea"),
}


@pytest.mark.parametrize(("partitioner", "says"), PARTITIONERS.values(), ids=PARTITIONERS.keys())
def test_a_partition_that_cannot_be_is_a_processing_error(
    partitioner: Callable[[str, str, str, int], int], says: str
) -> None:
    def declare(builder: StreamsBuilder) -> None:
        builder.stream("in", key=str, value=str).to("out", partitioner=partitioner)

    with TopologyTestDriver(
        topology(declare), partitions={"out": 3}, dead_letter="dead", on_produce_error="fail"
    ) as driver:
        take(driver, "in k:a@1")
        (letter,) = driver.output_topic("dead", value=str).read_all()
        assert all(part in str(letter.headers) for part in (says, "sink-1 (tests/", "test_stateless.py"))
