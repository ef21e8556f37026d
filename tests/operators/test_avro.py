"""Avro through operators: what is registered under which name, what is read again, what a registry costs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

import pipeline
from pipeline import App, LocalRegistry, Processor, Record, SchemaRegistry, Store, avro, tumbling
from pipeline.agents.questions import CORRELATION_ID, REPLY_TO
from pipeline.agents.stream import AgentStream
from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import RegistryRefusedError
from pipeline.operators.sink import MAX_CHOSEN
from pipeline.record import NO_HEADERS
from pipeline.runtime.worker import Worker
from pipeline.serde import TimeWindowedSerde, for_topic
from pipeline.state.provider import MemoryProvider
from pipeline.testing.driver import TopologyTestDriver
from tests.contract.registry_server import RegistryServer
from tests.operators.cluster import Cluster
from tests.unit.avro_values import field, record

USER, AMOUNT = field("user", "string"), field("amount", "int")
ORDER = record(USER, AMOUNT)
USER_ROW = record(field("name", "string"), name="shop.User")
MINUTE = timedelta(minutes=1)


class Order(msgspec.Struct):
    user: str
    amount: int


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        yield server


@pytest.fixture
def registry(server: RegistryServer) -> Iterator[SchemaRegistry]:
    registry = SchemaRegistry(server.url)
    yield registry
    registry.close()


class CountingRegistry(LocalRegistry):
    """Counts by subject how often it is asked for a number."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def id_of(self, subject: str, schema: str, *, register: bool) -> int:
        self.asked[subject] += 1
        return super().id_of(subject, schema, register=register)


def add(so_far: Order, new: Order) -> Order:
    return Order(new.user, so_far.amount + new.amount)


def spent(builder: StreamsBuilder, orders: Any) -> None:
    (
        builder.stream("orders", value=orders)
        .group_by(lambda _key, order: order.user, name="by-user")
        .reduce(add, name="spent")
        .to_stream()
        .to("out")
    )


def test_a_record_that_cannot_be_read_is_put_aside_and_the_others_are_counted() -> None:
    registry = LocalRegistry()
    orders = avro(ORDER, type=Order, registry=registry)
    builder = StreamsBuilder("app")
    spent(builder, orders)
    good = for_topic(orders, "orders", is_key=False).serialize(Order("a", 3))
    bad = {
        b"\x07" + good[1:]: "does not begin with a zero byte",
        b"\0\0\0\0\x07" + good[5:]: "the local registry does not know schema id 7",
        good[:-1]: "not what schema id",
        good + b"\0": "bytes follow",
        good[:4]: "does not begin",
    }
    with TopologyTestDriver(builder.build(), dead_letter="dead") as driver:
        raw = driver.input_topic("orders", key=bytes, value=bytes)
        for data in (good, *bad, good):
            raw.pipe(b"k", data, 5)
        dead = driver.output_topic("dead", key=bytes, value=bytes).read_all()
        assert driver.output_topic("out", value=orders).read_values() == [Order("a", 3), Order("a", 6)]
    assert [each.value for each in dead] == list(bad)
    reasons = [dict(each.headers)["__streams.errors.message"] for each in dead]
    for reason, says in zip(reasons, bad.values(), strict=True):
        assert reason is not None
        assert says in reason.decode()
        assert "source-1 (tests/operators/test_avro.py:" in reason.decode()


def outer(builder: StreamsBuilder, orders: Any, users: Any) -> None:
    left = builder.stream("orders", key=str, value=orders)
    left.outer_join(
        builder.stream("users", key=str, value=users),
        lambda _key, order, user: {"user": f"{order}{user}", "amount": 1},
        within=MINUTE,
        grace=MINUTE,
        name="pair",
        value=orders,
    ).to("out")


def windows(builder: StreamsBuilder, orders: Any, _users: Any) -> None:
    keys = builder.stream("orders", key=orders, value=orders)
    counted = keys.group_by_key().windowed_by(tumbling(MINUTE, grace=MINUTE)).reduce(_last, name="last")
    counted.to_stream().to("out")


def tables(builder: StreamsBuilder, orders: Any, users: Any) -> None:
    known = builder.table("users", name="users", value=users)
    builder.table("others", name="others", value=users, reuse_source=True)
    everywhere = builder.global_table("all", name="all", value=users)
    stream = builder.stream("orders", key=str, value=orders)
    stream.join(known, lambda _key, order, _user: order, value=orders).to("out")
    stream.join(everywhere, lambda _key, order, _user: order, key_mapper=lambda _k, order: order["user"]).to(
        "all-out", value=orders
    )
    known.group_by(lambda key, user: (user["name"], user), name="by-name").reduce(
        _last, lambda so_far, _old: so_far, name="named"
    )


class Keep(Processor[Any, Any, Any, Any]):
    """Puts values into its store."""

    def init(self, context: Any) -> None:
        self._context, self._store = context, context.store("kept")

    def process(self, record: Record[Any, Any]) -> None:
        self._store.put(record.key, record.value, record.timestamp)
        self._context.forward(record)


def processor(builder: StreamsBuilder, orders: Any, _users: Any) -> None:
    stream = builder.stream("orders", key=str, value=orders)
    kept = stream.process(Keep, Store("kept", value=orders), name="keep", key=str, value=orders)
    kept.to(lambda _key, order: f"out-{order['user']}")


def _last(_so_far: Any, new: Any) -> Any:
    return new


Declare = Callable[[StreamsBuilder, Any, Any], None]

#: Subjects by what is declared; Kafka Streams calls them so, but for an outer join's store, where it has one
#: subject for both sides.
SUBJECTS: list[tuple[Declare, set[str]]] = [
    (
        outer,
        {
            "app-pair-left-changelog-value",
            "app-pair-right-changelog-value",
            "app-pair-unmatched-changelog-left-value",
            "app-pair-unmatched-changelog-right-value",
            "out-value",
        },
    ),
    (windows, {"app-last-changelog-key", "app-last-changelog-value", "out-key", "out-value"}),
    (
        tables,
        {
            "all-out-value",
            "app-by-name-repartition-value",
            "app-named-changelog-value",
            "app-users-changelog-value",
            "others-value",
            "out-value",
        },
    ),
    (processor, {"app-kept-changelog-value"}),
]


@pytest.mark.parametrize(("declare", "subjects"), SUBJECTS, ids=[each[0].__name__ for each in SUBJECTS])
def test_subjects_are_called_as_in_kafka_streams(
    declare: Declare, subjects: set[str], server: RegistryServer, registry: SchemaRegistry
) -> None:
    builder = StreamsBuilder("app")
    orders, users = (avro(schema, registry=registry) for schema in (ORDER, USER_ROW))
    declare(builder, orders, users)
    with TopologyTestDriver(builder.build(), topics=["out-a", "out-b"]):
        assert set(server.subjects) == subjects


def test_rows_are_joined_by_keys_that_are_avro_themselves() -> None:
    """Wherever a key is written, it has the same bytes: rows meet, in stores and in topics."""
    registry = LocalRegistry()
    name = record(field("name", "string"), name="shop.Name")
    orders, users, keys = (avro(schema, registry=registry) for schema in (ORDER, USER_ROW, name))
    builder = StreamsBuilder("app")
    left = builder.table("orders", name="orders", key=str, value=orders)
    right = builder.table("users", name="users", key=keys, value=users)
    left.join(
        right,
        lambda _key, order, user: {**order, "user": user["name"]},
        foreign_key=lambda _key, order: {"name": order["user"]},
        name="named",
        value=orders,
    ).to_stream().to("out")
    with TopologyTestDriver(builder.build(), partitions=2) as driver:
        driver.input_topic("orders", value=orders).pipe("1", {"user": "a", "amount": 3}, 0)
        driver.input_topic("users", key=keys, value=users).pipe({"name": "a"}, {"name": "Ann"}, 0)
        driver.input_topic("orders", value=orders).pipe("2", {"user": "a", "amount": 4}, 0)
        out = driver.output_topic("out", value=orders).read_all()
    assert {each.key: each.value for each in out} == {
        "1": {"user": "Ann", "amount": 3},
        "2": {"user": "Ann", "amount": 4},
    }


def test_an_outer_join_keeps_both_sides_apart() -> None:
    registry = LocalRegistry()
    orders, users = (avro(schema, registry=registry) for schema in (ORDER, USER_ROW))
    builder = StreamsBuilder("app")
    outer(builder, orders, users)
    with TopologyTestDriver(builder.build()) as driver:
        driver.input_topic("orders", value=orders).pipe("k", {"user": "a", "amount": 3}, 0)
        driver.input_topic("users", value=users).pipe("l", {"name": "b"}, 0)
        driver.restart()
        driver.input_topic("users", value=users).pipe("k", {"name": "c"}, 600_000)
        out = [each["user"] for each in driver.output_topic("out", value=orders).read_values()]
    assert sorted(out) == ["None{'name': 'b'}", "{'user': 'a', 'amount': 3}None"]


def test_keys_of_windows_are_written_with_their_schema() -> None:
    registry = LocalRegistry()
    orders = avro(ORDER, registry=registry)
    builder = StreamsBuilder("app")
    windows(builder, orders, None)
    with TopologyTestDriver(builder.build(), partitions=2) as driver:
        topic = driver.input_topic("orders", key=orders, value=orders)
        for amount in (1, 2):
            topic.pipe({"user": "a", "amount": 0}, {"user": "a", "amount": amount}, 0)
        keys = TimeWindowedSerde(orders, 60_000)
        out = driver.output_topic("out", key=keys, value=orders).read_all()
    assert [(each.key.key, each.key.start, each.value["amount"]) for each in out] == [
        ({"user": "a", "amount": 0}, 0, 1),
        ({"user": "a", "amount": 0}, 0, 2),
    ]


def test_the_registry_is_asked_before_the_first_record_and_by_none(
    server: RegistryServer, registry: SchemaRegistry
) -> None:
    builder = StreamsBuilder("app")
    orders = avro(ORDER, type=Order, registry=registry)
    spent(builder, orders)
    with TopologyTestDriver(builder.build()) as driver:
        topic = driver.input_topic("orders", value=orders)
        topic.pipe("k", Order("a", 1), 0)
        asked = list(server.requests)
        for amount in range(50):
            topic.pipe("k", Order("a", amount), 0)
        assert driver.output_topic("out", value=orders).read_values()[-1] == Order("a", 1 + sum(range(50)))
        assert server.requests == asked
    assert len(server.requests) < 10


def test_chosen_topics_have_subjects_of_their_own(server: RegistryServer, registry: SchemaRegistry) -> None:
    builder = StreamsBuilder("app")
    orders = avro(ORDER, registry=registry)
    builder.stream("orders", value=orders).to(lambda _key, order: f"out-{order['user']}")
    with TopologyTestDriver(builder.build(), topics=["out-a", "out-b"], dead_letter="dead") as driver:
        topic = driver.input_topic("orders", value=orders)
        for user in ("a", "b", "a", "missing"):
            topic.pipe("k", {"user": user, "amount": 1}, 0)
        assert driver.output_topic("out-a", value=orders).read_values() == [{"user": "a", "amount": 1}] * 2
        assert len(driver.output_topic("dead", value=bytes).read_all()) == 1
    assert set(server.subjects) == {"orders-value", "out-a-value", "out-b-value"}


@pytest.mark.parametrize(("topics", "asked"), [(MAX_CHOSEN, 1), (MAX_CHOSEN + 1, 2)])
def test_of_chosen_topics_a_bounded_number_is_kept_open(topics: int, asked: int) -> None:
    """Of more than that, each is opened again when it is chosen: nothing else is to be seen of it."""
    registry = CountingRegistry()
    names = [f"out-{number}" for number in range(topics)]
    builder = StreamsBuilder("app")
    orders = avro(ORDER, registry=registry)
    builder.stream("orders", value=dict[str, Any]).to(lambda _key, order: str(order["user"]), value=orders)
    with TopologyTestDriver(builder.build(), topics=names) as driver:
        topic = driver.input_topic("orders", value=dict[str, Any])
        for user in (*names, names[0]):
            topic.pipe("k", {"user": user, "amount": 1}, 0)
        assert (
            driver.output_topic(names[0], value=orders).read_values() == [{"user": names[0], "amount": 1}] * 2
        )
    assert registry.asked[f"{names[0]}-value"] == asked
    assert set(registry.asked) == {f"{name}-value" for name in names}


def test_a_schema_that_a_chosen_topic_does_not_take_names_the_sink(
    server: RegistryServer, registry: SchemaRegistry
) -> None:
    server.put("out-a-value", ORDER)
    builder = StreamsBuilder("app")
    orders = avro(record(USER, field("paid", "boolean")), registry=registry)
    builder.stream("orders", value=dict[str, Any]).to(
        lambda _key, order: f"out-{order['user']}", value=orders
    )
    with TopologyTestDriver(builder.build(), topics=["out-a"]) as driver:
        topic = driver.input_topic("orders", value=dict[str, Any])
        with pytest.raises(RegistryRefusedError, match=r"^sink.* \(.*test_avro.*\): .*subject 'out-a-value'"):
            topic.pipe("k", {"user": "a", "paid": True}, 0)


def test_a_new_version_reads_what_the_old_one_left_in_topics_and_stores() -> None:
    registry, disk = LocalRegistry(), MemoryProvider()
    paid = record(USER, AMOUNT, field("paid", "boolean", default=False))

    def topology(schema: Any) -> Any:
        builder = StreamsBuilder("app")
        orders = avro(schema, registry=registry)
        builder.table("orders", name="orders", value=orders).to_stream().to("out")
        return builder.build()

    cluster = Cluster(topology(ORDER), {"orders": 1, "out": 1})
    write = for_topic(avro(ORDER, registry=registry), "orders", is_key=False).serialize
    worker = cluster.worker("w", disk)
    for key in ("a", "b"):
        cluster.send("orders", key, value=write({"user": key, "amount": 1}))
    cluster.run(worker)
    worker.close()
    cluster.topology = topology(paid)
    for provider in (disk, MemoryProvider()):
        # From its disk, then from the changelog alone.
        worker = cluster.worker("w", provider)
        cluster.run(worker)
        (store,) = (stores["orders"] for stores in worker.stores().values())
        assert store.get("a") == {"user": "a", "amount": 1, "paid": False}
        worker.close()
    cluster.send("orders", "c", value=write({"user": "c", "amount": 1}))
    worker = cluster.worker("w", disk)
    cluster.run(worker)
    last = cluster.broker.records("out")[-1].value
    assert avro(paid, registry=registry).deserialize(last or b"") == {"user": "c", "amount": 1, "paid": False}
    worker.close()


def test_a_schema_that_does_not_fit_stops_the_worker_before_it_reads(
    server: RegistryServer, registry: SchemaRegistry
) -> None:
    server.put("out-value", ORDER)
    builder = StreamsBuilder("app")
    orders = avro(record(USER, field("paid", "boolean")), registry=registry)
    builder.stream("orders", value=orders).to("out")
    worker = Cluster(builder.build(), {"orders": 1, "out": 1}).worker("w")
    with pytest.raises(
        RegistryRefusedError,
        match=rf"registry at {server.url} refused the schema of subject 'out-value': .*reader field missing "
        r"default value.*/fields/1.*give fields that are new a default",
    ):
        worker.step()
    worker.abort()


def _until(cluster: Cluster, worker: Worker, holds: Callable[[], bool]) -> None:
    for _ in range(200):
        worker.step()
        cluster.clock.advance(500)
        if holds():
            return
    raise AssertionError(worker.status())


def _counting(registry: SchemaRegistry) -> Any:
    builder = StreamsBuilder("app")
    builder.stream("orders", key=str, value=avro(record(USER), registry=registry)).group_by_key().count(
        name="orders"
    ).to_stream().to("out", value=int)
    return builder.build()


def test_a_registry_that_is_away_at_the_start_is_waited_for(
    server: RegistryServer, registry: SchemaRegistry
) -> None:
    builder = StreamsBuilder("app")
    orders = avro(ORDER, type=Order, registry=registry)
    spent(builder, orders)
    cluster = Cluster(builder.build(), {"orders": 1, "out": 1})
    server.put("orders-value", ORDER)
    cluster.send("orders", "k", value=b"\0\0\0\0\1\2a\6")
    server.close()
    worker = cluster.worker("w")
    _until(cluster, worker, lambda: "did not answer" in str(worker.status().problem))
    assert server.url in str(worker.status().problem)
    assert worker.status().state == "connecting"
    server.listen()
    _until(cluster, worker, lambda: len(cluster.broker.records("out")) == 1)
    assert worker.status().problem is None
    worker.close()


@pytest.mark.parametrize("failing", [None, 503], ids=["refused", "503"])
def test_a_registry_that_is_away_when_a_new_schema_is_met_is_asked_again(
    failing: int | None, server: RegistryServer, registry: SchemaRegistry
) -> None:
    """Nothing is put aside, nothing is counted twice; meanwhile the worker does not join only to fail."""
    cluster = Cluster(_counting(registry), {"orders": 1, "out": 1}, dead_letter="dead")
    cluster.broker.create_topic("dead", 1)
    first = server.put("orders-value", record(USER))
    worker = cluster.worker("w")
    for _ in range(3):
        cluster.send("orders", "k", value=b"\0" + first.to_bytes(4) + b"\2a")
    _until(cluster, worker, lambda: cluster.broker.committed("app") != {})
    second = server.put("orders-value", record(USER, AMOUNT))
    if failing is None:
        server.close()
    server.failing = failing
    for number, body in ((first, b"\2a"), (second, b"\2a\6")):
        cluster.send("orders", "k", value=b"\0" + number.to_bytes(4) + body)
    _until(cluster, worker, lambda: "did not answer" in str(worker.status().problem))
    assert f"schema id {second}" in str(worker.status().problem)
    _until(cluster, worker, lambda: worker.status().state == "connecting")
    server.failing = None
    if failing is None:
        server.listen()
    counts = [int.from_bytes(each.value or b"") for each in cluster.broker.records("out")]

    def all_counted() -> bool:
        nonlocal counts
        counts = [int.from_bytes(each.value or b"") for each in cluster.broker.records("out")]
        return counts[-1] == 5

    _until(cluster, worker, all_counted)
    assert worker.status().problem is None
    assert max(counts) == 5
    assert cluster.broker.records("dead") == []
    worker.close()


def test_records_that_were_written_to_a_table_are_its_changelog(
    server: RegistryServer, registry: SchemaRegistry
) -> None:
    """With `reuse_source` the store's rows are of the topic's subject, and restored whatever wrote them."""
    builder = StreamsBuilder("app")
    builder.table("orders", name="orders", value=avro(ORDER, registry=registry), reuse_source=True)
    number = server.put("orders-value", record(AMOUNT, USER))
    cluster = Cluster(builder.build(), {"orders": 1})
    cluster.send("orders", "a", value=b"\0" + number.to_bytes(4) + b"\6\2a")
    for _ in range(2):
        worker = cluster.worker("w")
        cluster.run(worker)
        (store,) = (stores["orders"] for stores in worker.stores().values())
        assert store.get("a") == {"user": "a", "amount": 3}
        worker.close()
    assert server.subjects == {"orders-value": [number, number + 1]}


@pytest.mark.parametrize("everywhere", [True, False], ids=["global-table", "topic-that-is-its-changelog"])
def test_no_row_is_missed_when_the_registry_is_away_while_a_topic_is_restored(
    everywhere: bool,  # noqa: FBT001 - a parameter of the test
    server: RegistryServer,
) -> None:
    ids = [server.put("rows-value", record(*fields)) for fields in ([USER], [USER, AMOUNT], [AMOUNT, USER])]
    bodies = [b"\2a", b"\2b\6", b"\6\2c"]

    def cluster(registry: SchemaRegistry) -> Cluster:
        builder = StreamsBuilder("app")
        value = avro(record(USER), registry=registry)
        if everywhere:
            builder.global_table("rows", name="rows", value=value)
            builder.stream("other").to("out")
        else:
            builder.table("rows", name="rows", value=value, reuse_source=True)
        return Cluster(builder.build(), {"rows": 1, "other": 1, "out": 1})

    registries = [SchemaRegistry(server.url), SchemaRegistry(server.url)]
    place = cluster(registries[0])
    for key, number, body in zip("abc", ids, bodies, strict=True):
        place.send("rows", key, value=b"\0" + number.to_bytes(4) + body)
    worker = place.worker("w")
    place.run(worker)
    worker.close()
    # A process of its own, without a disk: it knows no schema.
    place.topology = cluster(registries[1]).topology
    server.failing_for = {f"/schemas/ids/{ids[1]}"}
    worker = place.worker("w")
    _until(place, worker, lambda: "did not answer" in str(worker.status().problem))
    server.failing_for = set()
    _until(place, worker, lambda: worker.status().problem is None and worker.status().state == "running")
    (store,) = worker.registry.open("rows").values()
    assert {key: store.get(key) for key in "abc"} == {key: {"user": key} for key in "abc"}
    worker.close()
    for registry in registries:
        registry.close()


def test_merged_streams_of_one_schema_keep_it_and_of_two_do_not() -> None:
    registry = LocalRegistry()
    builder = StreamsBuilder("app")
    one, same = (
        builder.stream(topic, value=avro(json.dumps(ORDER), registry=registry)) for topic in ("a", "b")
    )
    other = builder.stream("c", value=avro(USER_ROW, registry=registry))
    one.merge(same).to("out")
    with pytest.raises(pipeline.TopologyError, match="does not know how to encode the value"):
        one.merge(other).to("out")


@pytest.mark.parametrize("kind", ["Table", "GlobalTable"])
def test_agents_read_write_and_keep_avro(kind: str) -> None:
    registry = LocalRegistry()
    app = App("shop")
    orders = avro(ORDER, type=Order, registry=registry)
    spent_by = getattr(app, kind)("spent", key_type=str, value_type=orders)
    out = app.topic("out", value_type=orders)

    @app.agent("orders", value_type=orders, yields=orders)
    async def count(stream: Any) -> Any:
        async for order in stream:
            known = spent_by.get(order.user)
            spent_by[order.user] = order if known is None else add(known, order)
            await out.send(key=order.user, value=spent_by[order.user])
            yield order

    count.stream.to("passed")
    with TopologyTestDriver(app, topics=["out"]) as driver:
        topic = driver.input_topic("orders", value=orders)
        for amount in (1, 2):
            topic.pipe("k", Order("a", amount), 0)
        driver.restart(stores=MemoryProvider())
        topic.pipe("k", Order("a", 3), 0)
        assert driver.output_topic("out", value=orders).read_values() == [Order("a", n) for n in (1, 3, 6)]
        assert driver.output_topic("passed", value=orders).read_values() == [Order("a", n) for n in (1, 2, 3)]


def test_a_registry_that_is_away_when_an_agent_writes_first_takes_no_update_with_it(
    server: RegistryServer, registry: SchemaRegistry
) -> None:
    """The agent gets a table's updates when they are flushed: what was begun then is done again, whole."""
    app = App("app")
    out = app.topic("out", value_type=avro(record(USER), registry=registry))
    counts = app.stream("in", key=str, value=bytes).group_by_key().count(name="counts")

    @app.agent(counts.to_stream())
    async def tell(stream: AgentStream[int]) -> None:
        async for event in stream.events():
            await out.send(key=event.key, value={"user": event.key})

    cluster = Cluster(app.topology, {"in": 1, "out": 1}, dead_letter="dead")
    cluster.broker.create_topic("dead", 1)
    for key in "ab":
        cluster.send("in", key, value=b"")
    server.close()
    worker = cluster.worker("w")
    _until(
        cluster, worker, lambda: "did not answer for the schema of subject" in str(worker.status().problem)
    )
    server.listen()
    _until(cluster, worker, lambda: len(cluster.broker.records("out")) == 2)
    _until(cluster, worker, lambda: worker.status().problem is None)
    cluster.run(worker)
    assert cluster.broker.records("dead") == []
    # Without a disk: what a store has is what was logged.
    worker.abort()
    worker = cluster.worker("w")
    cluster.run(worker)
    (store,) = worker.registry.open("counts").values()
    assert dict(store.all()) == {"a": 1, "b": 1}
    worker.close()


def test_a_registry_that_is_away_when_a_question_is_answered_is_waited_for(
    server: RegistryServer, registry: SchemaRegistry
) -> None:
    app = App("app")

    @app.agent("in", value_type=bytes, yields=avro(record(USER), registry=registry))
    async def answer(stream: AgentStream[bytes]) -> Any:
        async for _value in stream:
            yield {"user": "a"}

    cluster = Cluster(app.topology, {"in": 1, "app-replies-a": 1, "dead": 1}, dead_letter="dead")
    question = ((REPLY_TO, b"app-replies-a"), (CORRELATION_ID, b"1"))
    producer = cluster.broker.producer("asks")
    producer.produce("in", b"", None, 0, 0, question)
    producer.flush(0)
    server.close()
    worker = cluster.worker("w")
    _until(
        cluster, worker, lambda: "did not answer for the schema of subject" in str(worker.status().problem)
    )
    server.listen()
    _until(cluster, worker, lambda: len(cluster.broker.records("app-replies-a")) == 1)
    assert cluster.broker.records("dead") == []
    worker.close()


def test_sent_headers_and_times_are_those_of_the_record() -> None:
    registry = LocalRegistry()
    builder = StreamsBuilder("app")
    orders = avro(ORDER, registry=registry)
    builder.stream("orders", key=str, value=orders).to("out")
    with TopologyTestDriver(builder.build()) as driver:
        driver.input_topic("orders", value=orders).pipe("k", {"user": "a", "amount": 1}, 7, NO_HEADERS)
        (out,) = driver.output_topic("out", value=orders).read_all()
    assert (out.key, out.value, out.timestamp) == ("k", {"user": "a", "amount": 1}, 7)
