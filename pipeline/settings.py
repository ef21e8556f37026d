"""Settings as a user gives them to `App`, and what the engine makes of them.

Faust's own settings come from three places; the first that is set wins:

* broker: environment `BROKER_URL`, `App(broker=...)`, `kafka://localhost:9092`
* data directory: `faust --datadir`, environment `APP_DATADIR`, `App(datadir=...)`, environment
  `FAUST_DATADIR`, `<id>-data` in the working directory
* the worker's name in its group: `faust worker --group-instance-id`, environment
  `HEADRACE_GROUP_INSTANCE_ID`, `App(group_instance_id=...)`, none
* HTTP port: `faust worker --web-port`, environment `WEB_PORT`, `App(web_port=...)`, 6066

With `App(env_prefix="X_")` the variables are `X_BROKER_URL` and so on (not `FAUST_DATADIR`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final, Literal, TypedDict

from faust.types.settings import Settings as FaustSettings
from yarl import URL

from pipeline.config import ErrorAction, MetricsLevel, StreamsConfig
from pipeline.errors import ConfigError
from pipeline.runtime.kafka.settings import Setting
from pipeline.topology import check_topic_name
from pipeline.windows import Duration

DEFAULT_PORT: Final = 9092

#: Environment variable with the name that this worker has in its group.
INSTANCE_VARIABLE: Final = "HEADRACE_GROUP_INSTANCE_ID"

#: What the client has unless told: a worker that is stuck for longer loses its partitions.
_POLL_INTERVAL_MS: Final = 300_000


class EngineSettings(TypedDict, total=False):
    """Settings of the engine, with their defaults in `StreamsConfig`. Durations are timedeltas, or seconds.

    Attributes:
        processing_guarantee: `at_least_once` (default) or `exactly_once`.
        transaction_timeout: with `exactly_once`: how long a transaction may be open.
        commit_interval: from the end of a commit to the next one: a second, or with `exactly_once`
            a tenth of one, unless told.
        poll_records: at most so many records are taken from the client at once.
        buffered_records: a partition with more records waiting than this is paused.
        buffered_bytes: likewise every partition, once all together have more waiting.
        cache_entries: a task commits before a store's cache holds more uncommitted entries.
        cache_bytes: likewise the worker, before the caches of all its stores take more memory.
        block_cache_bytes: of RocksDB, for all stores of the worker.
        write_buffer_bytes: of each store, before RocksDB writes them to a file.
        write_buffers_bytes: of all stores of the worker together, likewise.
        store_open_files: files that RocksDB keeps open of each store.
        max_record_bytes: a larger value is an error of that record.
        max_internal_record_bytes: the limit that internal topics and the dead-letter topic get.
        restore_records: changelog records applied before the worker turns to its consumer again; keys that
            were logged and not committed, before they are logged again.
        delivery_timeout: how long a record may wait for the broker's acknowledgement.
        replication_factor: of internal topics; -1 is the broker's default.
        changelog_retention: how long a window changelog keeps records beyond the store's retention.
        compaction_lag: a changelog keeps every record at least this long.
        repartition_purge_interval: how often records of repartition topics are deleted that are
            processed and committed.
        max_rewinds: the worker stops when what was in hand is lost so many times in a row.
        group_instance_id: this worker's name in the group, for static membership; each worker needs its own.
        session_timeout: how long the group waits for a worker that is not heard of.
        shutdown_timeout: how long stopping may take; then the process ends all the same, with exit code 3.
        metadata_interval: how often topics are looked for that match a pattern.
        max_task_idle: how long a task waits for an empty partition of which the broker has no more before
            it processes records of others: with more, joined topics are read in the order of their
            timestamps even where one is written late. 0: only for what the broker has; None: for nothing.
        agent_drain: how long a worker that stops, or gives partitions away, waits for agents.
        source_idle: once no record has come for a task for so long by the wall clock, its time goes on
            with the wall clock, so that windows close without input; records that come later with older
            timestamps are late. None: time stands still without records.
        dead_letter: topic for records that fail; None: such a record stops the worker.
        on_decode_error: what becomes of a record whose bytes or time cannot be read: `fail`, `continue`
            (skipped and counted) or `dead-letter`; the latter unless told, if there is such a topic.
        on_processing_error: likewise where a user's function raises.
        on_produce_error: likewise where a result cannot be encoded, or a topic does not take it.
        max_asks: so many answers of agents are waited for at once in a process; more questions are refused.
        ask_timeout: how long an answer is waited for.
        standby_replicas: so many other workers keep a copy of each store, to take over soon.
        state_cleanup_delay: how long the stores of a task stay that went away to another worker.
        metrics_recording_level: how much `/metrics` measures: `off`, `info` or `debug` (see docs/metrics.md).
        metrics_topics: so many topics have counts of their own there, in each direction.
        corrupt_stores: so many damaged stores are kept aside, for looking into.
        application_version: what dead letters and logs call the version of the application.
    """

    processing_guarantee: Literal["at_least_once", "exactly_once"] | None
    transaction_timeout: Duration | None
    commit_interval: Duration | None
    poll_records: int | None
    buffered_records: int | None
    buffered_bytes: int | None
    cache_entries: int | None
    cache_bytes: int | None
    block_cache_bytes: int | None
    write_buffer_bytes: int | None
    write_buffers_bytes: int | None
    store_open_files: int | None
    max_record_bytes: int | None
    max_internal_record_bytes: int | None
    restore_records: int | None
    delivery_timeout: Duration | None
    replication_factor: int | None
    changelog_retention: Duration | None
    compaction_lag: Duration | None
    max_rewinds: int | None
    group_instance_id: str | None
    session_timeout: Duration | None
    shutdown_timeout: Duration | None
    metadata_interval: Duration | None
    repartition_purge_interval: Duration | None
    max_task_idle: Duration | None
    source_idle: Duration | None
    agent_drain: Duration | None
    max_asks: int | None
    ask_timeout: Duration | None
    standby_replicas: int | None
    state_cleanup_delay: Duration | None
    corrupt_stores: int | None
    application_version: str | None
    dead_letter: str | None
    on_decode_error: ErrorAction | None
    on_processing_error: ErrorAction | None
    on_produce_error: ErrorAction | None
    metrics_recording_level: MetricsLevel | None
    metrics_topics: int | None


class ShellSettings(TypedDict, total=False):
    """Faust's settings that have a meaning here: they configure the shell. Described in Faust's guide."""

    autodiscover: Any
    blocking_timeout: Any
    cache: Any
    debug: Any
    env_prefix: Any
    id_format: Any
    logging_config: Any
    loghandlers: Any
    origin: Any
    tabledir: Any
    timezone: Any
    version: Any
    canonical_url: Any
    web_application_options: Any
    web_bind: Any
    web_cors_options: Any
    web_enabled: Any
    web_host: Any
    web_in_thread: Any
    web_ssl_context: Any
    web_stats_enabled: Any
    web_transport: Any
    HttpClient: Any
    Monitor: Any
    Worker: Any
    worker_redirect_stdouts: Any
    worker_redirect_stdouts_level: Any
    # Arguments of faust.App itself.
    beacon: Any
    config_source: Any
    loop: Any
    monitor: Any


class AppSettings(EngineSettings, ShellSettings, total=False):
    """What `App` takes beside what it names."""


#: With those that `App` names.
SHELL_SETTINGS: Final = frozenset(ShellSettings.__annotations__) | {
    "broker",
    "broker_credentials",
    "datadir",
    "web_port",
}

ENGINE_SETTINGS: Final = frozenset(EngineSettings.__annotations__)

#: Readers of the results see them at the next commit, not before.
_EXACTLY_ONCE_INTERVAL_MS: Final = 100
#: For this one, None has a meaning of its own.
_MAY_BE_NONE: Final = "max_task_idle"

_TEXTS: Final = frozenset(
    {"application_version", "dead_letter", "group_instance_id", "processing_guarantee"}
    | {"on_decode_error", "on_processing_error", "on_produce_error", "metrics_recording_level"}
)


def to_milliseconds(name: str, duration: object) -> int:
    """Return a duration in whole milliseconds.

    Raises:
        ConfigError: it is no duration, or finer than a millisecond.
    """
    if isinstance(duration, int | float) and not isinstance(duration, bool):
        duration = timedelta(seconds=duration)
    if not isinstance(duration, timedelta):
        raise ConfigError(f"{name} is {duration!r}: give a timedelta, or seconds")
    whole, rest = divmod(duration, timedelta(milliseconds=1))
    if rest:
        raise ConfigError(f"{name} is {duration!r}: nothing finer than a millisecond can be kept")
    return whole


def engine_settings(given: Mapping[str, object]) -> dict[str, int | str | None]:
    """Return what was given (None: it was not) under the names and units of `StreamsConfig`.

    Raises:
        ConfigError: a value is of the wrong type.
        TopologyError: the dead-letter topic's name cannot be one.
    """
    names = {field.name for field in fields(StreamsConfig)}
    settings: dict[str, int | str | None] = {}
    for name, value in given.items():
        if value is None:
            if name == _MAY_BE_NONE:
                settings[f"{name}_ms"] = None
            continue
        if f"{name}_ms" in names:
            settings[f"{name}_ms"] = to_milliseconds(name, value)
        elif isinstance(value, str if name in _TEXTS else int) and not isinstance(value, bool):
            settings[name] = value
        else:
            wanted = "a string" if name in _TEXTS else "a whole number"
            raise ConfigError(f"{name} is {value!r}: it must be {wanted}")
    if instance := os.environ.get(INSTANCE_VARIABLE):
        settings["group_instance_id"] = instance
    if settings.get("processing_guarantee") == "exactly_once":
        settings.setdefault("commit_interval_ms", _EXACTLY_ONCE_INTERVAL_MS)
    if "dead_letter" in settings:
        check_topic_name(str(settings["dead_letter"]), "dead_letter")
    return settings


def client_settings(config: StreamsConfig) -> dict[str, Setting]:
    """Return what the engine's settings mean for its clients, under librdkafka's names."""
    membership: dict[str, Setting] = {}
    if config.group_instance_id is not None:
        membership["group.instance.id"] = config.group_instance_id
    if config.session_timeout_ms is not None:
        membership["session.timeout.ms"] = config.session_timeout_ms
    return membership | {
        # Of readers, too, which join none: the client looks for its coordinator all the same, and a broker
        # with an authoriser is to allow that.
        "group.id": config.application_id,
        "delivery.timeout.ms": config.delivery_timeout_ms,
        "message.max.bytes": config.max_internal_record_bytes,
        # A step that waits for a broker to take its records, and then for it to acknowledge them, is no
        # reason to lose partitions.
        "max.poll.interval.ms": max(_POLL_INTERVAL_MS, 2 * config.delivery_timeout_ms),
    }


def split_settings(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the engine's settings among those given, and the shell's.

    Raises:
        ConfigError: one is neither.
    """
    engine = {name: value for name, value in given.items() if name in ENGINE_SETTINGS}
    shell = {name: value for name, value in given.items() if name not in engine}
    check_shell_settings(shell)
    return engine, shell


def check_shell_settings(names: Iterable[str]) -> None:
    """Check that each of Faust's settings that was given has an effect.

    Raises:
        ConfigError: one is unknown, or belongs to the part of Faust that is not used.
    """
    for name in names:
        if name in SHELL_SETTINGS:
            continue
        if name in FaustSettings.SETTINGS:
            raise ConfigError(
                f"App({name}=...) has no effect: it configures Faust's own consumers, producers and tables, "
                f"and records do not travel through them here. Settings of the engine are: "
                f"{', '.join(sorted(ENGINE_SETTINGS))}"
            )
        close = get_close_matches(name, SHELL_SETTINGS | ENGINE_SETTINGS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"App has no setting {name!r}{hint}")


def broker_address(urls: Iterable[URL]) -> str:
    """Return Kafka's bootstrap address for Faust's broker URLs.

    Raises:
        ConfigError: a URL is not of the form kafka://host:port.

    >>> broker_address([URL("kafka://a:9092"), URL("kafka://b")])
    'a:9092,b:9092'
    """
    return ",".join(_host_and_port(url) for url in urls)


def _host_and_port(url: URL) -> str:
    if url.scheme not in {"kafka", "aiokafka"} or not url.host or url.user or url.path not in {"", "/"}:
        raise ConfigError(
            f"broker {url.with_password(None) if url.user else url}: give kafka://host:port, "
            f"several separated by ';' (App(broker=...) or the environment variable BROKER_URL); who you are "
            "goes into App(broker_credentials=...) or App(broker_settings=...)"
        )
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port or DEFAULT_PORT}"
