"""Headrace: Kafka Streams for Python, on Faust's worker."""

from __future__ import annotations

from pipeline.app import App
from pipeline.dsl.cogrouped import (
    CogroupedKStream,
    SessionWindowedCogroupedKStream,
    TimeWindowedCogroupedKStream,
)
from pipeline.dsl.global_table import GlobalKTable
from pipeline.dsl.grouped import KGroupedStream
from pipeline.dsl.grouped_table import KGroupedTable
from pipeline.dsl.stores import SessionWindowedStore, Store, WindowedStore
from pipeline.dsl.stream import KStream
from pipeline.dsl.table import KTable, WindowedKTable
from pipeline.dsl.windowed import SessionWindowedKStream, TimeWindowedKStream
from pipeline.errors import StreamsError, TopologyError
from pipeline.processor import Processor, ProcessorContext, PunctuationType
from pipeline.record import Record, Windowed
from pipeline.serde import BYTES, INT64, JSON, STRING, Serde
from pipeline.serde.avro.declaration import avro
from pipeline.serde.local_registry import LocalRegistry
from pipeline.serde.schema_registry import SchemaRegistry
from pipeline.suppression import BufferConfig, until_time_limit, until_window_closes
from pipeline.timestamps import (
    fail_on_invalid_timestamp,
    log_and_skip_on_invalid_timestamp,
    use_partition_time_on_invalid_timestamp,
    wallclock_timestamp,
)
from pipeline.windows import EmitStrategy, hopping, session, sliding, tumbling, unlimited

__all__ = [
    "BYTES",
    "INT64",
    "JSON",
    "STRING",
    "App",
    "BufferConfig",
    "CogroupedKStream",
    "EmitStrategy",
    "GlobalKTable",
    "KGroupedStream",
    "KGroupedTable",
    "KStream",
    "KTable",
    "LocalRegistry",
    "Processor",
    "ProcessorContext",
    "PunctuationType",
    "Record",
    "SchemaRegistry",
    "Serde",
    "SessionWindowedCogroupedKStream",
    "SessionWindowedKStream",
    "SessionWindowedStore",
    "Store",
    "StreamsError",
    "TimeWindowedCogroupedKStream",
    "TimeWindowedKStream",
    "TopologyError",
    "Windowed",
    "WindowedKTable",
    "WindowedStore",
    "avro",
    "fail_on_invalid_timestamp",
    "hopping",
    "log_and_skip_on_invalid_timestamp",
    "session",
    "sliding",
    "tumbling",
    "unlimited",
    "until_time_limit",
    "until_window_closes",
    "use_partition_time_on_invalid_timestamp",
    "wallclock_timestamp",
]
