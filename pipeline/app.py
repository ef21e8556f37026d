"""`App`: Faust's application as the shell of a Kafka Streams topology.

Faust gives the command line, supervision, timers, tasks and the web server. Records travel
through none of it: there is one data plane, the engine, and what a user declares with
`app.stream` and `app.table` is one topology for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, Unpack

import click
import faust
from click.core import ParameterSource
from faust.app.base import BootStrategy as FaustBootStrategy
from faust.types.auth import CredentialsArg, to_credentials
from mode import ServiceT

from pipeline import commands
from pipeline.clock import SystemClock
from pipeline.config import ErrorAction, StreamsConfig
from pipeline.credentials import connection_settings
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.global_table import GlobalKTable
from pipeline.dsl.options import StoreOptions
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
from pipeline.engine import Engine
from pipeline.plan.planner import Plan
from pipeline.plan.planner import plan as make_plan
from pipeline.refusals import Refusals
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.kafka.settings import Setting
from pipeline.runtime.worker import Worker
from pipeline.settings import (
    ENGINE_SETTINGS,
    Duration,
    broker_address,
    check_shell_settings,
    client_settings,
    engine_settings,
)
from pipeline.shell import BoundedWorker
from pipeline.state.provider import RocksDBProvider
from pipeline.state.rocksdb import RocksDBSettings
from pipeline.topology import OffsetReset, TimestampExtractor, Topology
from pipeline.web.server import WebServer

#: Readers of the results see them at the next commit, not before.
_EXACTLY_ONCE_INTERVAL: Final = timedelta(milliseconds=100)


class BootStrategy(FaustBootStrategy):
    """Which services a worker starts: Faust's web server, then the engine; nothing that uses Kafka."""

    enable_kafka = False

    def server(self) -> Iterable[ServiceT]:
        """Return the services in the order they start; they stop in the opposite one."""
        app = self.app
        if not isinstance(app, App):
            raise TypeError(f"{type(self).__name__} boots a pipeline.App, not {app!r}")
        yield from self.sensors()
        yield from self.web_server()
        yield app.engine


class App(Refusals, faust.App):
    """A streams application: `faust -A <module> worker` runs it.

    Settings and their precedence over the environment are described in `pipeline.settings`; the
    meaning of the engine's settings in `pipeline.config.StreamsConfig`. Durations are timedeltas,
    or seconds.

    Args:
        id: application id: consumer group, prefix of internal topics, name of the state folder.
        broker: `kafka://host:port`, several separated by `;` or in a list.
        datadir: where state is kept.
        web_port: port of the HTTP server.
        processing_guarantee: `at_least_once` (default) or `exactly_once`.
        transaction_timeout: with `exactly_once`: how long a transaction may be open.
        commit_interval: how often results and offsets are committed: a second, or with `exactly_once`
            a tenth of one, unless told.
        poll_records: at most so many records are taken from the client at once.
        buffered_records: a partition with more records waiting than this is paused.
        buffered_bytes: likewise every partition, once all together have more waiting.
        cache_entries: a task commits before a store's cache holds more uncommitted entries.
        block_cache_bytes: of RocksDB, for all stores of the worker.
        write_buffer_bytes: of each store, before RocksDB writes them to a file.
        write_buffers_bytes: of all stores of the worker together, likewise.
        store_open_files: files that RocksDB keeps open of each store.
        max_record_bytes: a larger value is an error of that record.
        max_internal_record_bytes: the limit that internal topics and the dead-letter topic get.
        restore_records: changelog records applied before the worker turns to its consumer again.
        delivery_timeout: how long a record may wait for the broker's acknowledgement.
        replication_factor: of internal topics; -1 is the broker's default.
        changelog_retention: how long a window changelog keeps records beyond the store's retention.
        compaction_lag: a changelog keeps every record at least this long.
        shutdown_timeout: how long stopping may take; then the process ends all the same, with exit code 3.
        metadata_interval: how often topics are looked for that match a pattern.
        max_task_idle: how long a task waits for an empty partition of which the broker has no more before
            it processes records of others: with more, joined topics are read in the order of their
            timestamps even where one is written late. 0: only for what the broker has; None: for nothing.
        source_idle: once no record has come for a task for so long by the wall clock, its time goes on
            with the wall clock, so that windows close without input; records that come later with older
            timestamps are late. None: time stands still without records.
        dead_letter: topic for records that fail; None: such a record stops the worker.
        on_decode_error: what becomes of a record whose bytes or time cannot be read: `fail`, `continue`
            (skipped and counted) or `dead-letter`; the latter unless told, if there is such a topic.
        on_processing_error: likewise where a user's function raises.
        on_produce_error: likewise where a result cannot be encoded, or a topic does not take it.
        corrupt_stores: so many damaged stores are kept aside, for looking into.
        application_version: what dead letters and logs call the version of the application.
        merge_repartitions: leave out repartition topics that are not needed; see `StreamsBuilder`.
        broker_credentials: Faust's: `SASLCredentials`, `SSLCredentials`, an `ssl.SSLContext`.
        broker_settings: librdkafka's own settings, such as `security.protocol` and `sasl.username`
            (https://github.com/confluentinc/librdkafka, CONFIGURATION.md); they count before the credentials.
        options: settings of Faust's shell, such as `web_bind` or `logging_config`.

    Raises:
        ConfigError: a setting is unknown, has no effect here, or cannot work.
    """

    BootStrategy = BootStrategy

    def __init__(
        self,
        id: str,  # noqa: A002 - Faust's name for it
        *,
        broker: str | Sequence[str] | None = None,
        datadir: str | Path | None = None,
        web_port: int | None = None,
        processing_guarantee: Literal["at_least_once", "exactly_once"] | None = None,
        transaction_timeout: Duration | None = None,
        commit_interval: Duration | None = None,
        poll_records: int | None = None,
        buffered_records: int | None = None,
        buffered_bytes: int | None = None,
        cache_entries: int | None = None,
        block_cache_bytes: int | None = None,
        write_buffer_bytes: int | None = None,
        write_buffers_bytes: int | None = None,
        store_open_files: int | None = None,
        max_record_bytes: int | None = None,
        max_internal_record_bytes: int | None = None,
        restore_records: int | None = None,
        delivery_timeout: Duration | None = None,
        replication_factor: int | None = None,
        changelog_retention: Duration | None = None,
        compaction_lag: Duration | None = None,
        shutdown_timeout: Duration | None = None,
        metadata_interval: Duration | None = None,
        max_task_idle: Duration | None = 0,
        source_idle: Duration | None = None,
        corrupt_stores: int | None = None,
        application_version: str | None = None,
        dead_letter: str | None = None,
        on_decode_error: ErrorAction | None = None,
        on_processing_error: ErrorAction | None = None,
        on_produce_error: ErrorAction | None = None,
        merge_repartitions: bool = False,
        broker_credentials: CredentialsArg | None = None,
        broker_settings: Mapping[str, Setting] | None = None,
        **options: Any,
    ) -> None:
        check_shell_settings(options)
        given = {name: value for name, value in locals().items() if name in ENGINE_SETTINGS}
        if commit_interval is None and processing_guarantee == "exactly_once":
            given["commit_interval"] = _EXACTLY_ONCE_INTERVAL
        self._engine_settings = engine_settings(given)
        if max_task_idle is None:
            self._engine_settings["max_task_idle_ms"] = None
        self._broker_settings = dict(broker_settings or {})
        self._merge_repartitions = merge_repartitions
        # Checked where it is written; the folder is known only when the command line is.
        self._config(id, Path())
        options.setdefault("Worker", BoundedWorker)
        connection_settings(to_credentials(broker_credentials), self._broker_settings)
        # None is Faust's "not given", for these as well.
        super().__init__(
            id,
            broker=broker,
            datadir=datadir,
            web_port=web_port,
            broker_credentials=broker_credentials,
            **options,
        )

    @cached_property
    def builder(self) -> StreamsBuilder:
        """What was declared so far."""
        return StreamsBuilder(self.conf.id, merge_repartitions=self._merge_repartitions)

    @property
    def topology(self) -> Topology:
        """What was declared so far, checked.

        Raises:
            TopologyError: it cannot run.
        """
        return self.builder.build()

    @property
    def plan(self) -> Plan:
        """What was declared so far, as it will run.

        Raises:
            TopologyError: it cannot run.
        """
        return make_plan(self.topology)

    @property
    def streams_config(self) -> StreamsConfig:
        """The engine's settings as they apply now."""
        return self._config(self.conf.id, self.conf.tabledir)

    @property
    def client_settings(self) -> dict[str, Setting]:
        """Settings of librdkafka, as the worker's clients get them."""
        security = connection_settings(self.conf.broker_credentials, self._broker_settings)
        return client_settings(self.streams_config) | security

    @property
    def shutdown_timeout_s(self) -> float:
        """How long stopping may take, in seconds."""
        return self.streams_config.shutdown_timeout_ms / 1_000

    @property
    def broker_address(self) -> str:
        """Kafka's bootstrap address.

        Raises:
            ConfigError: the broker's URL cannot be used.
        """
        return broker_address(self.conf.broker)

    @cached_property
    def engine(self) -> Engine:
        """The service that runs the topology.

        Raises:
            StreamsError: the topology or a setting cannot work.
        """
        return Engine(self.make_worker(), loop=self.loop, beacon=self.beacon)

    def make_worker(self) -> Worker:
        """Return what the engine runs: a worker on Kafka, with its state in RocksDB.

        Override it to run the application elsewhere, as tests do in memory.
        """
        config = self.streams_config
        memory = RocksDBSettings(
            config.block_cache_bytes,
            config.write_buffer_bytes,
            config.write_buffers_bytes,
            config.store_open_files,
        )
        return Worker(
            self.topology,
            config,
            KafkaBroker(self.broker_address, settings=self.client_settings),
            SystemClock(),
            RocksDBProvider(config.state_dir, config.application_id, memory),
        )

    def stream(  # type: ignore[override]  # Faust's takes a channel of its own data plane
        self,
        topic: str | Sequence[str] | re.Pattern[str],
        *,
        key: SerdeOf[StreamKey] = BYTES_KEYS,
        value: SerdeOf[SourceValue] = OPEN_JSON,
        timestamp: TimestampExtractor | None = None,
        offset_reset: OffsetReset = "earliest",
        name: str | None = None,
    ) -> KStream[StreamKey, SourceValue]:
        """Read topics as a stream; see `StreamsBuilder.stream`."""
        return self.builder.stream(
            topic, key=key, value=value, timestamp=timestamp, offset_reset=offset_reset, name=name
        )

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
        """Read a topic as a table; see `StreamsBuilder.table`."""
        return self.builder.table(
            topic,
            name=name,
            key=key,
            value=value,
            timestamp=timestamp,
            offset_reset=offset_reset,
            reuse_source=reuse_source,
            **options,
        )

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
        """Read a topic as a table that every worker holds whole; see `StreamsBuilder.global_table`."""
        return self.builder.global_table(
            topic, name=name, key=key, value=value, timestamp=timestamp, in_memory=in_memory
        )

    def main(self) -> NoReturn:
        """Run the `faust` command line on this application."""
        commands.report_errors_plainly()
        super().main()

    def worker_init(self) -> None:
        """Take up `--datadir`: Faust sets it in the environment after the environment was read."""
        super().worker_init()
        context = click.get_current_context(silent=True)
        if context is None:
            return
        root = context.find_root()
        if root.get_parameter_source("datadir") is ParameterSource.COMMANDLINE:
            self.conf.datadir = Path(root.params["datadir"])

    def worker_init_post_autodiscover(self) -> None:
        """Check the topology before any command runs."""
        super().worker_init_post_autodiscover()
        self.plan  # noqa: B018 - raises what is wrong with it

    def _config(self, application_id: str, state_dir: Path) -> StreamsConfig:
        settings: dict[str, Any] = dict(self._engine_settings)
        return StreamsConfig(application_id, state_dir, **settings)

    def _create_directories(self) -> None:
        for folder in (self.conf.datadir, self.conf.appdir, self.conf.tabledir):
            folder.mkdir(parents=True, exist_ok=True)

    def _new_web(self) -> WebServer:
        return WebServer(self)
