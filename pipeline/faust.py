"""Faust's names on this engine: `from pipeline import faust` in place of `import faust`.

What is no part of the data plane (models, codecs, the web, services, credentials) is Faust's own; `App`,
`Agent`, `Topic`, `Table` and what agents see are ours. docs/from-faust.md lists what is the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from faust import (
    Codec,
    GSSAPICredentials,
    HoppingWindow,
    ModelOptions,
    Monitor,
    OAuthCredentials,
    Record,
    SASLCredentials,
    Sensor,
    Service,
    ServiceT,
    Settings,
    SlidingWindow,
    SSLCredentials,
    TumblingWindow,
    Window,
    Worker,
    cli,
    models,
    uuid,
    web,
)

import pipeline
from pipeline.actors.agent import Agent
from pipeline.actors.channel import Channel
from pipeline.actors.global_tables import GlobalTable, SetGlobalTable
from pipeline.actors.parameters import FaustParameters
from pipeline.actors.set_table import SetTable
from pipeline.actors.table import Table
from pipeline.actors.topic import Topic
from pipeline.agents.scope import current_event
from pipeline.agents.stream import AgentStream as Stream
from pipeline.agents.stream import Event
from pipeline.settings import ENGINE_SETTINGS, SHELL_SETTINGS

#: In annotations these stand for the same.
ChannelT, EventT, StreamT, TopicT = Channel, Event, Stream, Topic

__all__ = [
    "Agent",
    "App",
    "Channel",
    "ChannelT",
    "Codec",
    "Event",
    "EventT",
    "GSSAPICredentials",
    "GlobalTable",
    "HoppingWindow",
    "ModelOptions",
    "Monitor",
    "OAuthCredentials",
    "Record",
    "SASLCredentials",
    "SSLCredentials",
    "Sensor",
    "Service",
    "ServiceT",
    "SetGlobalTable",
    "SetTable",
    "Settings",
    "SlidingWindow",
    "Stream",
    "StreamT",
    "Table",
    "Topic",
    "TopicT",
    "TumblingWindow",
    "Window",
    "Worker",
    "cli",
    "current_event",
    "models",
    "uuid",
    "web",
]

#: Faust's settings that the engine has under another name.
RENAMED: Final = {
    "broker_commit_interval": "commit_interval",
    "broker_max_poll_records": "poll_records",
    "broker_session_timeout": "session_timeout",
    "consumer_group_instance_id": "group_instance_id",
    "reply_expires": "ask_timeout",
    "table_standby_replicas": "standby_replicas",
    "topic_replication_factor": "replication_factor",
}
#: Those that say how topics are declared that do not say it themselves.
DECLARED: Final = frozenset({"key_serializer", "value_serializer", "topic_partitions"})
#: Those that ask for what is so anyway: state is in RocksDB, topics are declared, records are acknowledged.
GIVEN: Final = frozenset({"store", "topic_allow_declare", "producer_acks"})


class App(FaustParameters, pipeline.App):  # type: ignore[misc]  # declarations are ours
    """An application that takes Faust's settings: what the engine does not know has no effect, and is said.

    Args:
        id: application id.
        settings: Faust's, or the engine's; see `pipeline.App`.

    Raises:
        ConfigError: a setting cannot work.
    """

    def __init__(self, id: str, **settings: Any) -> None:  # noqa: A002 - Faust's name for it
        ours, declared = translated(settings)
        super().__init__(id, **ours)
        self.declare_defaults(**declared)


def translated(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings for `pipeline.App`, and those for what is declared; warn of the others."""
    ours: dict[str, Any] = {}
    declared: dict[str, Any] = {}
    for name, value in given.items():
        known = RENAMED.get(name, name)
        if known in ENGINE_SETTINGS or known in SHELL_SETTINGS or known == "merge_repartitions":
            ours[known] = value
        elif known == "broker_settings" or name not in Settings.SETTINGS:
            ours[name] = value
        elif name in DECLARED:
            declared[name] = value
        elif name not in GIVEN:
            warnings.warn(
                f"App({name}=) has no effect: it configures Faust's own clients and tables, and records do "
                "not travel through them here",
                stacklevel=3,
            )
    return ours, declared


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(f"pipeline.faust has no {name}: docs/from-faust.md says what to use instead")
