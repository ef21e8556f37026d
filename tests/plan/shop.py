"""Topologies whose plans are golden texts: one a family of operators, as small as they come."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import msgspec

from pipeline import (
    BufferConfig,
    EmitStrategy,
    Processor,
    Record,
    SessionWindowedStore,
    Store,
    WindowedStore,
    hopping,
    session,
    sliding,
    tumbling,
    unlimited,
    until_time_limit,
    until_window_closes,
)
from pipeline.agents.stream import AgentStream
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.stream import KStream
from pipeline.plan.planner import Plan, plan

MINUTE = timedelta(minutes=1)
PER_MINUTE = tumbling(MINUTE, grace=timedelta(seconds=30))


class Order(msgspec.Struct):
    id: str


class Silent(Processor[Any, Any, Any, Any]):
    def process(self, record: Record[Any, Any]) -> None:
        pass


def orders(builder: StreamsBuilder, topic: str | re.Pattern[str] = "orders") -> KStream[str, Order]:
    return builder.stream(topic, key=str, value=Order)


def by_id(_key: object, order: Order) -> str:
    return order.id


def pair(_key: object, left: Order, _right: object) -> Order:
    return left


def by_length(_topic: str, key: str, _value: object, partitions: int) -> int:
    return len(key) % partitions


class ByDay:
    """Chooses a topic, and says which there are."""

    topics = ("monday", "other.days")

    def __call__(self, _key: object, _order: object) -> str:
        return "other.days"


def by_size(_key: object, _order: object) -> str:
    return "large"


def either(_key: object, left: Order | None, right: Order | None) -> Order | None:
    return left or right


def stateless(builder: StreamsBuilder) -> None:
    """One sub-topology, no store, no internal topic."""
    kept = orders(builder).filter(lambda k, v: True).map_values(by_id, value=str).peek(print)
    kept.flat_map_values(lambda k, v: [v], value=str).to("ids")


def record_by_record(builder: StreamsBuilder) -> None:
    """The other operators without state."""
    ids = orders(builder).filter_not(lambda k, v: False).map(lambda k, v: (v.id, k), key=str, value=str)
    ids.foreach(print)
    pairs = ids.flat_map(lambda k, v: [(k, v), (v, k)], key=str, value=str)
    pairs.process_values(Silent, name="work", value=str).to("out")


def only_passes(builder: StreamsBuilder) -> None:
    """A source and a sink, and nothing between."""
    orders(builder).to("copy")


def branches(builder: StreamsBuilder) -> None:
    arms = orders(builder).branch({"large": lambda k, v: True, "small": lambda k, v: True}, default="rest")
    arms["large"].merge(arms["small"]).to("sized")
    arms["rest"].to(by_size)
    arms["rest"].to(ByDay())


def table_only(builder: StreamsBuilder) -> None:
    builder.table("owners", name="owners", value=Order)


def count_by_key(builder: StreamsBuilder) -> None:
    """No key change: no repartition topic."""
    orders(builder).group_by_key().count(name="counts").to_stream().to("counts.out")


def windowed_count(builder: StreamsBuilder) -> None:
    """A key change: two sub-topologies."""
    grouped = orders(builder).group_by(by_id, name="by-id")
    grouped.windowed_by(PER_MINUTE).count(name="per-minute").to_stream().to("out")


def windows_of_every_kind(builder: StreamsBuilder) -> None:
    """What closes before it is emitted waits in a store of its own."""
    grouped = orders(builder).group_by_key()
    hops = hopping(MINUTE, advance=timedelta(seconds=20), grace=timedelta(0))
    grouped.windowed_by(hops).count(name="hops")
    slides = grouped.windowed_by(sliding(MINUTE, grace=MINUTE)).emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
    slides.count(name="slides").to_stream().to("slid")
    grouped.windowed_by(session(MINUTE, grace=MINUTE)).count(name="sessions").to_stream().to("seen")
    grouped.windowed_by(unlimited()).count(name="all", caching=False)


def cogrouped(builder: StreamsBuilder) -> None:
    """Two streams, one of them repartitioned, and one store."""
    first, second = orders(builder).group_by_key(), orders(builder, "payments").group_by(by_id, name="by-id")
    together = first.cogroup(pair).cogroup(second, pair).windowed_by(PER_MINUTE)
    together.aggregate(lambda: Order("none"), name="together", value=Order).to_stream().to("out")


def two_aggregates_of_one_grouping(builder: StreamsBuilder) -> None:
    """One repartition topic."""
    grouped = orders(builder).group_by(by_id, name="by-id")
    grouped.count(name="counts")
    grouped.windowed_by(PER_MINUTE).reduce(lambda first, second: second, name="last")


def stream_stream_join(builder: StreamsBuilder) -> None:
    one, other = orders(builder), orders(builder, "payments")
    one.join(other, pair, within=(MINUTE, timedelta(0)), grace=MINUTE, name="paid", value=Order).to("out")


def left_join_repartitioned(builder: StreamsBuilder) -> None:
    """Three sub-topologies; the unmatched rows have a store of their own."""
    one, other = (orders(builder, topic).select_key(by_id, key=str) for topic in ("orders", "payments"))
    one.left_join(other, pair, within=MINUTE, name="paid", value=Order).to("out")


def outer_join_kept_null_keys(builder: StreamsBuilder) -> None:
    """Explicit repartition topics before an outer join keep records without a key."""
    one, other = (orders(builder, topic).repartition(name=topic) for topic in ("orders", "payments"))
    window = (MINUTE, -MINUTE / 2)
    one.outer_join(other, either, within=window, name="paid", value=Order).to("out")


def self_join(builder: StreamsBuilder) -> None:
    """One store and one repartition topic for both sides."""
    stream = orders(builder).select_key(by_id, key=str)
    stream.join(stream, pair, within=MINUTE, name="twice", value=Order).to("out")


def stream_table_join_with_grace(builder: StreamsBuilder) -> None:
    """Orders wait in a store of their own, for a view of a table with history."""
    owners = builder.table("owners", name="owners", value=Order, history=2 * MINUTE)
    large = owners.filter(lambda k, v: True)
    orders(builder).left_join(large, pair, grace=MINUTE, name="owned", value=Order).to("out")


def stream_table_join(builder: StreamsBuilder) -> None:
    owners = builder.table("owners", name="owners", value=Order)
    orders(builder).join(owners, pair, value=Order).to("out")


def global_tables(builder: StreamsBuilder) -> None:
    """Two streams joined with one global table are not connected by it."""
    owners = builder.global_table("owners", name="owners", value=Order)
    rates = builder.global_table("rates", name="rates", value=int, in_memory=True)
    priced = orders(builder).join(owners, pair, key_mapper=by_id, value=Order)
    priced.left_join(rates, pair, key_mapper=by_id, value=Order).to("out")
    orders(builder, "payments").join(owners, pair, key_mapper=by_id, name="paid", value=Order).to("out")


def enriched_twice(builder: StreamsBuilder) -> None:
    """A table shared by two streams, one of them repartitioned: all in one sub-topology with it."""
    owners = builder.table("owners", name="owners", value=Order)
    orders(builder).join(owners, pair, value=Order).to("out")
    orders(builder, "payments").select_key(by_id, key=str).left_join(owners, pair, name="p", value=Order).to(
        "out"
    )


def table_rows(builder: StreamsBuilder) -> None:
    """Without a name a table is a view, with one it has a store."""
    owners = builder.table("owners", name="owners", value=Order)
    large = owners.filter(lambda k, v: True).filter_not(lambda k, v: False, name="large")
    large.map_values(by_id, value=str, name="ids").to_stream(by_size, key=str).to("out")


def table_of_a_stream(builder: StreamsBuilder) -> None:
    """A repartition topic before the table: the key changed."""
    orders(builder).select_key(by_id, key=str).to_table(name="by-id", caching=False).to_stream().to("out")


def grouped_table(builder: StreamsBuilder) -> None:
    """Rows reach their group through a topic, as changes."""
    owners = builder.table("owners", name="owners", value=Order)
    grouped = owners.group_by(lambda _, owner: (owner.id, 1), name="by-id", value=int)
    grouped.count(name="counts").to_stream().to("out")
    grouped.reduce(lambda one, other: one + other, lambda one, other: one - other, name="sums")


def suppressed(builder: StreamsBuilder) -> None:
    """What is held back lies in a store that nobody queries."""
    counts = orders(builder).group_by_key().windowed_by(PER_MINUTE).count(name="per-minute")
    final = counts.filter(lambda _, n: n > 1).suppress(
        until_window_closes(BufferConfig(max_records=9)), name="final"
    )
    late = final.suppress(
        until_time_limit(MINUTE, BufferConfig(max_bytes=9, when_full="emit-early", logging=False)),
        name="late",
    )
    late.to_stream().to("out")


def table_table_joins(builder: StreamsBuilder) -> None:
    """A view between two tables, and a stored result."""
    left, right = (builder.table(topic, name=topic, value=Order) for topic in ("owners", "payers"))
    one = left.left_join(right, pair, value=Order)
    both = one.outer_join(right, lambda _, row, other: row or other, name="both", value=Order)
    both.join(left, lambda _, row, other: row or other)


def foreign_key_join(builder: StreamsBuilder) -> None:
    """Two sub-topologies that write to each other."""
    owners, payers = (builder.table(topic, name=topic, value=Order) for topic in ("owners", "payers"))
    paid = owners.left_join(payers, pair, foreign_key=by_id, name="paid", value=Order)
    paid.to_stream().to("out")


def processor_with_stores(builder: StreamsBuilder) -> None:
    stores = (
        Store("last", value=Order),
        Store("prices", value=int, history=MINUTE, in_memory=True),
        WindowedStore("seen", value=int, retention=MINUTE),
        SessionWindowedStore("visits", value=int, retention=MINUTE, logging=False),
    )
    orders(builder).process(Silent, *stores, name="dedup", key=str, value=Order).to("out")


async def audited(stream: AgentStream[Order]) -> AsyncIterator[int]:
    async for _order in stream:
        yield 1


def agents(builder: StreamsBuilder) -> None:
    """Coroutines, with a store that they share."""
    seen = Store("seen", value=int)
    orders(builder).agent(audited, seen, name="audit", concurrency=3, value=int).to("out")
    orders(builder, "paid").agent(audited, seen, value=int).to("out")


def shared_sources(builder: StreamsBuilder) -> None:
    """Two streams of one topic are one source."""
    orders(builder).to("a")
    orders(builder).filter(lambda k, v: True).to("b")


def patterns(builder: StreamsBuilder) -> None:
    """Topics that come and go."""
    orders(builder, "orders.*").to("out")
    orders(builder, re.compile(r"paid\..*")).filter(lambda k, v: True).to("out")


def restored_from_its_topic(builder: StreamsBuilder) -> None:
    """No changelog."""
    owners = builder.table("owners", name="owners", value=Order, reuse_source=True)
    orders(builder).join(owners, pair, value=Order).to("out")


def kept_otherwise(builder: StreamsBuilder) -> None:
    """Tables with a history, in memory, without a changelog, with every update at once."""
    builder.table("owners", name="owners", value=Order, history=MINUTE)
    builder.table("payers", name="payers", value=Order, in_memory=True, logging=False, caching=False)


def repartitions_of_one_stream(builder: StreamsBuilder) -> None:
    """Two topics."""
    keyed = orders(builder).select_key(by_id, key=str)
    keyed.group_by_key(name="by-id").count(name="counts")
    keyed.join(builder.table("owners", name="owners", value=Order), pair, name="owned", value=Order).to("out")


def repartitions_of_one_stream_merged(builder: StreamsBuilder) -> None:
    """One topic, under the first name."""
    builder._merge_repartitions = True
    repartitions_of_one_stream(builder)


def partitions_chosen(builder: StreamsBuilder) -> None:
    kept = orders(builder).repartition(name="spread", partitions=3, partitioner=by_length)
    kept.to("out", partitioner=by_length)


def explicit_repartition(builder: StreamsBuilder) -> None:
    orders(builder).repartition(name="spread", partitions=12).process(Silent, name="work")


def independent(builder: StreamsBuilder) -> None:
    """Nothing shared: two sub-topologies, in the order of declaration."""
    orders(builder, "b").to("b.out")
    orders(builder, "a").to("a.out")


TOPOLOGIES: list[Callable[[StreamsBuilder], None]] = [
    stateless,
    record_by_record,
    only_passes,
    branches,
    table_only,
    count_by_key,
    windowed_count,
    windows_of_every_kind,
    cogrouped,
    two_aggregates_of_one_grouping,
    stream_stream_join,
    left_join_repartitioned,
    outer_join_kept_null_keys,
    self_join,
    stream_table_join,
    stream_table_join_with_grace,
    global_tables,
    enriched_twice,
    table_rows,
    table_of_a_stream,
    suppressed,
    table_table_joins,
    grouped_table,
    foreign_key_join,
    processor_with_stores,
    agents,
    shared_sources,
    patterns,
    restored_from_its_topic,
    kept_otherwise,
    repartitions_of_one_stream,
    repartitions_of_one_stream_merged,
    partitions_chosen,
    explicit_repartition,
    independent,
]


def planned(declare: Callable[[StreamsBuilder], None]) -> Plan:
    """Return the plan of what `declare` declares, as application `shop`."""
    builder = StreamsBuilder("shop")
    declare(builder)
    return plan(builder.build())
