"""What the user declared, as data: frozen logical nodes with their parents.

`dsl` writes these nodes, `plan` rewrites and cuts them into sub-topologies, `operators` gives each
its behaviour. A node knows nothing of how it runs.
"""

from __future__ import annotations

from pipeline.declaration import check_topic_name, declaration_site, describe_function
from pipeline.timestamps import TimestampExtractor
from pipeline.topology.agents import Agent, Uses, WindowClosing
from pipeline.topology.aggregates import Aggregate
from pipeline.topology.foreign_keys import (
    AnswerSubscriptions,
    ForeignKeyJoin,
    ForeignKeyResult,
    Subscribe,
)
from pipeline.topology.joins import StreamGlobalJoin, StreamStreamJoin, StreamTableJoin
from pipeline.topology.node import Keyed, Node, StoreSpec, TableNode
from pipeline.topology.pattern import TopicPattern, is_pattern, topic_pattern
from pipeline.topology.sources import OffsetReset, Source, same_source
from pipeline.topology.streams import (
    Branch,
    BranchArm,
    Filter,
    FilterNot,
    FlatMap,
    FlatMapValues,
    ForEach,
    Map,
    MapValues,
    Merge,
    Partitioner,
    Peek,
    Process,
    ProcessValues,
    Repartition,
    SelectKey,
    Sink,
)
from pipeline.topology.suppress import Suppress, windows_above
from pipeline.topology.tables import (
    GlobalTable,
    GroupTable,
    TableAggregate,
    TableFilter,
    TableMapValues,
    TableSource,
    TableTableJoin,
    ToStream,
    ToTable,
)
from pipeline.topology.topology import DeclaredTopic, Topology

__all__ = [
    "Agent",
    "Aggregate",
    "AnswerSubscriptions",
    "Branch",
    "BranchArm",
    "DeclaredTopic",
    "Filter",
    "FilterNot",
    "FlatMap",
    "FlatMapValues",
    "ForEach",
    "ForeignKeyJoin",
    "ForeignKeyResult",
    "GlobalTable",
    "GroupTable",
    "Keyed",
    "Map",
    "MapValues",
    "Merge",
    "Node",
    "OffsetReset",
    "Partitioner",
    "Peek",
    "Process",
    "ProcessValues",
    "Repartition",
    "SelectKey",
    "Sink",
    "Source",
    "StoreSpec",
    "StreamGlobalJoin",
    "StreamStreamJoin",
    "StreamTableJoin",
    "Subscribe",
    "Suppress",
    "TableAggregate",
    "TableFilter",
    "TableMapValues",
    "TableNode",
    "TableSource",
    "TableTableJoin",
    "TimestampExtractor",
    "ToStream",
    "ToTable",
    "TopicPattern",
    "Topology",
    "Uses",
    "WindowClosing",
    "check_topic_name",
    "declaration_site",
    "describe_function",
    "is_pattern",
    "same_source",
    "topic_pattern",
    "windows_above",
]
