"""`App`: Faust's application as the shell of a Kafka Streams topology.

Faust gives the command line, supervision, timers, tasks and the web server. Records travel
through none of it: there is one data plane, the engine, and what a user declares with
`app.stream` and `app.table` is one topology for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, Unpack

import click
import faust
from click.core import ParameterSource
from faust.app.base import BootStrategy as FaustBootStrategy
from faust.types.auth import CredentialsArg, to_credentials
from mode import ServiceT

from pipeline import commands
from pipeline.actors import commands as actor_commands  # noqa: F401 - made, they are registered
from pipeline.actors.routes import Routes
from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
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
from pipeline.owned_settings import check_owned
from pipeline.plan.planner import Plan
from pipeline.plan.planner import plan as make_plan
from pipeline.refusals import Refusals
from pipeline.runtime.broker import Broker
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.kafka.settings import Setting
from pipeline.runtime.worker import Worker
from pipeline.settings import AppSettings, broker_address, client_settings, engine_settings, split_settings
from pipeline.shell import BoundedWorker
from pipeline.state.provider import RocksDBProvider
from pipeline.state.rocksdb_settings import RocksDBSettings
from pipeline.topology import OffsetReset, TimestampExtractor, Topology
from pipeline.web.owners import client_id
from pipeline.web.server import WebServer


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


class App(Routes, Refusals, faust.App):  # type: ignore[misc]  # topics, agents and tables are ours
    """A streams application: `faust -A <module> worker` runs it.

    Settings and their precedence over the environment are described in `pipeline.settings`; what the
    engine does at each bound in `pipeline.config.StreamsConfig`.

    Args:
        id: application id: consumer group, prefix of internal topics, name of the state folder.
        broker: `kafka://host:port`, several separated by `;` or in a list.
        datadir: where state is kept.
        web_port: port of the HTTP server.
        merge_repartitions: leave out repartition topics that are not needed; see `StreamsBuilder`.
        broker_credentials: Faust's: `SASLCredentials`, `SSLCredentials`, an `ssl.SSLContext`.
        broker_settings: librdkafka's own settings, such as `security.protocol` and `sasl.username`
            (https://github.com/confluentinc/librdkafka, CONFIGURATION.md); they count before the credentials.
        settings: the engine's, see `EngineSettings`; and those of Faust's shell, see `ShellSettings`.

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
        merge_repartitions: bool = False,
        broker_credentials: CredentialsArg | None = None,
        broker_settings: Mapping[str, Setting] | None = None,
        **settings: Unpack[AppSettings],
    ) -> None:
        engine, shell = split_settings(settings)
        self._engine_settings = engine_settings(engine)
        self._broker_settings = dict(broker_settings or {})
        self._merge_repartitions = merge_repartitions
        # Checked where it is written; the folder is known only when the command line is.
        self._config(id, Path())
        shell.setdefault("Worker", BoundedWorker)
        check_owned(self._broker_settings)
        connection_settings(to_credentials(broker_credentials), self._broker_settings)
        # None is Faust's "not given", for these as well.
        super().__init__(
            id,
            broker=broker,
            datadir=datadir,
            web_port=web_port,
            broker_credentials=broker_credentials,
            **shell,
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
        if self.builder.reads:
            return self.builder.build()
        return self.builder.build(beside=self.has_duties, leads=self.leads)

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
    def address(self) -> str:
        """Where this process can be reached over HTTP."""
        return str(self.conf.canonical_url)

    @property
    def client_settings(self) -> dict[str, Setting]:
        """Settings of librdkafka, as the worker's clients get them."""
        security = connection_settings(self.conf.broker_credentials, self._broker_settings)
        return client_settings(self.streams_config) | security

    def join_as(self, group_instance_id: str) -> None:
        """Give this worker a name in its group; before the engine is made."""
        self._engine_settings["group_instance_id"] = group_instance_id

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

    def make_broker(self) -> Broker:
        """Return where records are read from and written to: Kafka."""
        return KafkaBroker(self.broker_address, settings=self.client_settings)

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
            self.make_broker(),
            SystemClock(),
            RocksDBProvider(config.state_dir, config.application_id, memory),
            client_id(config.application_id, self.address),
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
