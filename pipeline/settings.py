"""Settings as a user gives them to `App`, and what the engine makes of them.

Faust's own settings come from three places; the first that is set wins:

* broker: environment `BROKER_URL`, `App(broker=...)`, `kafka://localhost:9092`
* data directory: `faust --datadir`, environment `APP_DATADIR`, `App(datadir=...)`, environment
  `FAUST_DATADIR`, `<id>-data` in the working directory
* HTTP port: `faust worker --web-port`, environment `WEB_PORT`, `App(web_port=...)`, 6066

With `App(env_prefix="X_")` the variables are `X_BROKER_URL` and so on (not `FAUST_DATADIR`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import timedelta
from difflib import get_close_matches
from typing import Final, TypeAlias

from faust.types.settings import Settings as FaustSettings
from yarl import URL

from pipeline.config import StreamsConfig
from pipeline.errors import ConfigError
from pipeline.runtime.kafka.settings import Setting
from pipeline.topology import check_topic_name

#: A duration at the API: a timedelta, or seconds.
Duration: TypeAlias = timedelta | float

DEFAULT_PORT: Final = 9092

#: What the client has unless told: a worker that is stuck for longer loses its partitions.
_POLL_INTERVAL_MS: Final = 300_000

#: Faust's settings that have a meaning here: they configure the shell.
SHELL_SETTINGS: Final = frozenset(
    {
        "autodiscover",
        "blocking_timeout",
        "broker",
        "broker_credentials",
        "cache",
        "datadir",
        "debug",
        "env_prefix",
    }
    | {"id_format", "logging_config", "loghandlers", "origin", "tabledir", "timezone", "version"}
    | {"canonical_url", "web_application_options", "web_bind", "web_cors_options", "web_enabled"}
    | {"web_host", "web_in_thread", "web_port", "web_ssl_context", "web_stats_enabled", "web_transport"}
    | {"HttpClient", "Monitor", "Worker", "worker_redirect_stdouts", "worker_redirect_stdouts_level"}
    # Arguments of faust.App itself.
    | {"beacon", "config_source", "loop", "monitor"}
)

ENGINE_SETTINGS: Final = frozenset(field.name.removesuffix("_ms") for field in fields(StreamsConfig)) - {
    "application_id",
    "state_dir",
}

_TEXTS: Final = frozenset(
    {"application_version", "dead_letter", "processing_guarantee"}
    | {"on_decode_error", "on_processing_error", "on_produce_error"}
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
            continue
        if f"{name}_ms" in names:
            settings[f"{name}_ms"] = to_milliseconds(name, value)
        elif isinstance(value, str if name in _TEXTS else int) and not isinstance(value, bool):
            settings[name] = value
        else:
            wanted = "a string" if name in _TEXTS else "a whole number"
            raise ConfigError(f"{name} is {value!r}: it must be {wanted}")
    if "dead_letter" in settings:
        check_topic_name(str(settings["dead_letter"]), "dead_letter")
    return settings


def client_settings(config: StreamsConfig) -> dict[str, Setting]:
    """Return what the engine's settings mean for its clients, under librdkafka's names."""
    return {
        "delivery.timeout.ms": config.delivery_timeout_ms,
        "message.max.bytes": config.max_internal_record_bytes,
        # A step that waits for a broker to take its records, and then for it to acknowledge them, is no
        # reason to lose partitions.
        "max.poll.interval.ms": max(_POLL_INTERVAL_MS, 2 * config.delivery_timeout_ms),
    }


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
