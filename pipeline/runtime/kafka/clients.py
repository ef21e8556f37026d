"""The client's objects, made in one place: what it refuses to be set to is an error of the settings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.errors import ConfigError
from pipeline.runtime.kafka.repeats import Repeats
from pipeline.runtime.kafka.settings import Settings

#: The client's own log lines go here.
_log: Final = logging.getLogger("pipeline.runtime.kafka")
_log.addFilter(Repeats())

Client = TypeVar("Client")


def new_admin(
    settings: Settings, on_error: Callable[[KafkaError], None], logger: logging.Logger = _log
) -> AdminClient:
    """Return a new admin client.

    Raises:
        ConfigError: the client does not take the settings.
    """
    return _made(AdminClient, {**settings, "error_cb": on_error}, logger)


def new_consumer(settings: Settings, on_error: Callable[[KafkaError], None]) -> confluent_kafka.Consumer:
    """Return a new consumer.

    Raises:
        ConfigError: the client does not take the settings.
    """
    return _made(confluent_kafka.Consumer, {**settings, "error_cb": on_error}, _log)


def new_producer(
    settings: Settings, on_error: Callable[[KafkaError], None], on_delivery: Callable[..., None]
) -> confluent_kafka.Producer:
    """Return a new producer.

    Raises:
        ConfigError: the client does not take the settings.
    """
    callbacks = {"error_cb": on_error, "on_delivery": on_delivery}
    return _made(confluent_kafka.Producer, {**settings, **callbacks}, _log)


def _made(kind: Callable[..., Client], settings: dict[str, Any], logger: logging.Logger) -> Client:
    try:
        return kind(settings, logger=logger)
    except KafkaException as error:
        # It names the setting, and values only of those that are chosen from a list.
        cause = cast("KafkaError", error.args[0])
        raise ConfigError(f"broker_settings: {cause.str()}") from None
