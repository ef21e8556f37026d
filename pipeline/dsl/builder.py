"""Where a topology starts: streams and tables of topics."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Unpack, cast

from pipeline.dsl.global_table import GlobalKTable
from pipeline.dsl.graph import Graph, expect, known, required, resolve
from pipeline.dsl.options import StoreOptions, table_store
from pipeline.dsl.source_types import (
    BYTES_KEYS,
    OPEN_JSON,
    TEXT_KEYS,
    SerdeOf,
    SourceValue,
    StreamKey,
    TableKey,
)
from pipeline.dsl.stream import KStream
from pipeline.dsl.table import KTable
from pipeline.errors import TopologyError
from pipeline.serde import BYTES
from pipeline.timestamps import fail_on_invalid_timestamp
from pipeline.topology import (
    DeclaredTopic,
    GlobalTable,
    OffsetReset,
    Source,
    StoreSpec,
    TableSource,
    TimestampExtractor,
    TopicPattern,
    Topology,
    check_topic_name,
    declaration_site,
    is_pattern,
    topic_pattern,
)

_RESETS: Final = ("earliest", "latest", "none")


class StreamsBuilder:
    """Collects what a user declares for one application.

    Args:
        application_id: consumer group and prefix of internal topics.
        merge_repartitions: leave out repartition topics that are not needed (Kafka Streams:
            `merge.repartition.topics`). Operators that work by key on one stream share the topic of the
            first; a `repartition` right after another one, or of what is partitioned so already, is one
            topic. Off by default, as there: with it, adding or removing an operator can give
            the topic of others another name, and what is in the old one then is not read any more.
            To share a topic under a name that stays, give several groupings one name, or
            `repartition(name=...)` once, before them.
    """

    def __init__(self, application_id: str, *, merge_repartitions: bool = False) -> None:
        check_topic_name(application_id, "application id")
        self._merge_repartitions = merge_repartitions
        self.application_id = application_id
        self._graph = Graph()
        self._topics: dict[str, DeclaredTopic] = {}

    def stream(
        self,
        topic: str | Sequence[str] | re.Pattern[str],
        *,
        key: SerdeOf[StreamKey] = BYTES_KEYS,
        value: SerdeOf[SourceValue] = OPEN_JSON,
        timestamp: TimestampExtractor | None = None,
        offset_reset: OffsetReset = "earliest",
        name: str | None = None,
    ) -> KStream[StreamKey, SourceValue]:
        """Read one topic, or several of the same shape, as a stream.

        Args:
            topic: name or names; or a pattern: a regular expression of whole names, or wildcards. `logs.*`
                is one token more, `logs.>` one or more. Topics that come to match are taken in while
                running, within `metadata_interval`; the application's internal topics, its dead letters
                and names that begin with `__` never match. Topics that it writes to do: a stream can
                feed itself.
            key: how keys are encoded; bytes unless told.
            value: how values are encoded; open JSON unless told.
            timestamp: event time from the record; the broker's timestamp unless told. See
                `pipeline.timestamps.extractors`.
            offset_reset: where to begin where nothing is committed yet, or what was is not held any more:
                `earliest`, `latest`, a timedelta (at the first record that is no older), or `none`: the
                worker stops.
            name: display name.

        Raises:
            TopologyError: a topic's name or a serde cannot be used; another stream or table reads the
                topic in another way.
        """
        topics, pattern = _topics(topic)
        key_serde = known(resolve(key, None, "stream"), "stream", "key")
        value_serde = known(resolve(value, None, "stream"), "stream", "value")
        node = self._graph.add(
            Source,
            "source",
            name,
            topics=topics,
            pattern=pattern,
            key=key_serde,
            value=value_serde,
            timestamp=_extractor(timestamp),
            offset_reset=_offset_reset(offset_reset, "stream"),
        )
        return KStream(self._graph, node, key_serde, value_serde)

    def table(
        self,
        topic: str,
        *,
        name: str | None = None,
        key: SerdeOf[TableKey] = TEXT_KEYS,
        value: SerdeOf[SourceValue] = OPEN_JSON,
        timestamp: TimestampExtractor | None = None,
        offset_reset: OffsetReset = "earliest",
        reuse_source: bool = False,
        **options: Unpack[StoreOptions],
    ) -> KTable[TableKey, SourceValue]:
        """Read a topic as a table: the last value by key, None deletes.

        Args:
            topic: name of a topic, usually compacted.
            name: store name (required): names the changelog and the HTTP view.
            key: how keys are encoded; UTF-8 strings unless told.
            value: how values are encoded; open JSON unless told.
            timestamp: event time from the record; the broker's timestamp unless told. See
                `pipeline.timestamps.extractors`.
            offset_reset: where to begin where nothing is committed yet; see `stream`.
            reuse_source: True: no changelog; the table is restored from its own topic (Kafka Streams:
                `reuse.ktable.source.topics`), which must be compacted and not deleted by age or size:
                that is checked at the start. One thing is less exact than with a changelog: of a row that
                changed again since the last commit, compaction may have removed the value before, so that,
                restored from nothing, the row is missing until that change is processed.
            options: how rows are kept; see `StoreOptions`.

        Raises:
            TopologyError: the name is missing, a topic's name or serde cannot be used, or what is asked for
                does not go with `reuse_source`.
        """
        _check_topics((topic,), "table")
        store_name = required(name, f"table({topic!r})", "it names the store and its changelog")
        key_serde = known(resolve(key, None, "table"), "table", "key")
        value_serde = known(resolve(value, None, "table"), "table", "value")
        store = table_store(store_name, key_serde, value_serde, options, "table")
        expect(reuse_source, bool, "table", "True or False for reuse_source=")
        if reuse_source:
            store = _restored_from_topic(store, options, offset_reset)
        node = self._graph.add(
            TableSource,
            "table",
            store_name,
            topics=(topic,),
            key=key_serde,
            value=value_serde,
            timestamp=_extractor(timestamp),
            offset_reset=_offset_reset(offset_reset, "table"),
            store=store,
        )
        return KTable(self._graph, node, key_serde, value_serde)

    def global_table(
        self,
        topic: str,
        *,
        name: str | None = None,
        key: SerdeOf[TableKey] = TEXT_KEYS,
        value: SerdeOf[SourceValue] = OPEN_JSON,
        timestamp: TimestampExtractor | None = None,
        in_memory: bool = False,
    ) -> GlobalKTable[TableKey, SourceValue]:
        """Read a topic as a table that every worker holds whole: the last value by key, None deletes.

        It has no changelog, for the topic serves as one: let the topic be compacted, and not deleted by
        age. All of it is loaded before any record is processed; then it follows the topic, in
        no fixed order with the streams that are joined with it.

        Args:
            topic: name of a topic. A topic that backs a global table can back nothing else.
            name: store name (required): names the HTTP view.
            key: how keys are encoded; UTF-8 strings unless told.
            value: how values are encoded; open JSON unless told.
            timestamp: event time from the record; the broker's timestamp unless told.
            in_memory: True: rows are kept in memory; False (default): in RocksDB.

        Raises:
            TopologyError: the name is missing, or a topic's name or serde cannot be used.
        """
        _check_topics((topic,), "global_table")
        store_name = required(name, f"global_table({topic!r})", "it names the store")
        keys = known(resolve(key, None, "global_table"), "global_table", "key")
        values = known(resolve(value, None, "global_table"), "global_table", "value")
        node = self._graph.add(
            GlobalTable,
            "global-table",
            store_name,
            topics=(topic,),
            key=keys,
            value=values,
            timestamp=timestamp,
            store=StoreSpec(store_name, "key-value", keys, values, logged=False, in_memory=in_memory),
        )
        return GlobalKTable(cast("GlobalTable", node))

    def written_table(self, store: StoreSpec, partitions: int) -> None:
        """Declare a global table that agents of the application write to.

        Args:
            store: its name and serdes; the topic is `<application>-<name>-changelog`.
            partitions: so many has that topic, which is made at the start.

        Raises:
            TopologyError: its name is taken.
        """
        self._graph.add(
            GlobalTable,
            "global-table",
            # Names of tables are not names of operators: an agent may be called like its table.
            f"{store.name}-table",
            topics=(f"{self.application_id}-{store.name}-changelog",),
            key=store.key,
            value=store.value,
            store=dataclasses.replace(store, logged=False),
            partitions=partitions,
        )

    def declare_topic(self, topic: DeclaredTopic) -> None:
        """Have a topic made when a worker starts, unless it exists."""
        self._topics[topic.name] = topic

    @property
    def reads(self) -> bool:
        """Whether a topic is read by what was declared so far."""
        return any(isinstance(node, Source) for node in self._graph.nodes)

    def build(self, *, beside: bool = False, leads: bool = False) -> Topology:
        """Return what was declared so far, checked. May be called again.

        Args:
            beside: whether the process has other things to do, so that no topic need be read.
            leads: whether one worker is to lead although no topic is read: one is made for that, and the
                worker leads that has its partition.

        Raises:
            TopologyError: what was declared cannot run.
        """
        nodes, topics = tuple(self._graph.nodes), tuple(self._topics.values())
        if leads and not self.reads:
            led = DeclaredTopic(f"{self.application_id}-leader", 1)
            nodes = (*nodes, Source(name="leader", topics=(led.name,), key=BYTES, value=BYTES))
            topics = (*topics, led)
        topology = Topology(self.application_id, nodes, self._merge_repartitions, topics, beside)
        topology.validate()
        return topology


def _extractor(timestamp: TimestampExtractor | None) -> TimestampExtractor | None:
    """The default is what a source does by itself, without a call for each record."""
    return None if timestamp is fail_on_invalid_timestamp else timestamp


def _offset_reset(given: OffsetReset, operator: str) -> OffsetReset:
    known = given >= timedelta(milliseconds=1) if isinstance(given, timedelta) else given in _RESETS
    if not known:
        raise TopologyError(
            f"{operator} at {declaration_site()}: offset_reset is {given!r}: it must be one of "
            f"{', '.join(_RESETS)}, or a timedelta of at least a millisecond"
        )
    return given


def _topics(given: str | Sequence[str] | re.Pattern[str]) -> tuple[tuple[str, ...], TopicPattern | None]:
    if isinstance(given, re.Pattern) or (isinstance(given, str) and is_pattern(given)):
        return (), topic_pattern(given, f"stream at {declaration_site()}")
    topics = (given,) if isinstance(given, str) or not isinstance(given, Sequence) else tuple(given)
    _check_topics(topics, "stream")
    return topics, None


def _check_topics(topics: tuple[object, ...], operator: str) -> None:
    if not topics:
        raise TopologyError(f"{operator} at {declaration_site()} names no topic")
    for topic in topics:
        if is_pattern(topic):
            raise TopologyError(
                f"{operator} at {declaration_site()} takes names of topics, not the pattern {topic!r}: give "
                "app.stream one pattern alone, and merge() what several of them read"
            )
        if not isinstance(topic, str):
            raise TopologyError(
                f"{operator} at {declaration_site()} takes the name of a topic, not {topic!r}"
            )
        check_topic_name(topic, f"{operator} at {declaration_site()}: topic")
    if len(set(topics)) < len(topics):
        raise TopologyError(
            f"{operator} at {declaration_site()} names a topic twice: {', '.join(map(str, topics))}"
        )


def _restored_from_topic(store: StoreSpec, options: StoreOptions, offset_reset: OffsetReset) -> StoreSpec:
    """Return the store of a table that has no changelog of its own."""
    if store.kind == "versioned":
        why = "history= needs a changelog: compaction removes the past from the topic"
    elif "logging" in options:
        why = "logging= is for a changelog, and there is none"
    elif offset_reset != "earliest":
        why = "offset_reset= must be earliest: restored, the table would hold what it began after"
    else:
        return dataclasses.replace(store, logged=False, source_is_log=True)
    raise TopologyError(f"table at {declaration_site()} with reuse_source=True: {why}")
