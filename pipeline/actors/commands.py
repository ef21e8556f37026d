"""Faust's commands on objects of this engine: `agents`, `tables`, `send`, `reset`, `completion`.

A command registers itself with Faust when its class is made, in place of Faust's own of that name.
`models`, `clean-versions` and `livecheck` are Faust's.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import click
import msgspec
from click.shell_completion import get_completion_class
from faust.cli.base import AppCommand, argument, cli, option

from pipeline.actors.agent import Agent
from pipeline.actors.channel import ChannelAgent
from pipeline.actors.table import Table
from pipeline.actors.topic import Topic
from pipeline.commands import plain_errors
from pipeline.config import StreamsConfig
from pipeline.errors import TopologyError
from pipeline.plan.planner import Plan
from pipeline.serde import JSON, BytesSerde, Serde, StringSerde, TopicSerde
from pipeline.state.directory import StateDirectory


class Declared(Protocol):
    """What these commands need of `pipeline.App`."""

    plan: Plan
    streams_config: StreamsConfig
    broker_address: str
    agents_declared: Mapping[str, Agent]
    tables_declared: Mapping[str, Table[Any, Any]]
    topics_declared: Mapping[str, Topic]

    def topic(self, *topics: str) -> Topic:
        """Declare a topic."""
        ...

    def close_clients(self) -> None:
        """Close what was written with."""
        ...


class agents(AppCommand):  # noqa: N801 - a command's class is named as the command
    """List agents: their names, what they read, what they are for."""

    options = [  # noqa: RUF012 - Faust's declaration; it is never changed
        option("--local/--no-local", help="Faust's; every agent is shown."),
    ]

    def __call__(self, *_args: Any, **_kwargs: Any) -> None:  # type: ignore[override]  # Faust's runs an event loop and never returns
        """Print, and leave the exit code to Faust."""
        found = cast("Declared", self.app).agents_declared
        rows = [(f"@{name}", _reads(agent), agent.help or "<N/A>") for name, agent in sorted(found.items())]
        self.say(self.tabulate(rows, headers=["name", "topic", "help"], title="Agents"))


class tables(AppCommand):  # noqa: N801
    """List tables: those of agents, and every other store of the topology."""

    def __call__(self, *_args: Any, **_kwargs: Any) -> None:  # type: ignore[override]
        """Print, and leave the exit code to Faust."""
        app = cast("Declared", self.app)
        with plain_errors():
            own = {name: table.help or "<N/A>" for name, table in app.tables_declared.items()}
            stores = [store for sub in app.plan.subtopologies for store in sub.stores]
            stores += [table.store for table in app.plan.global_tables]
            others = {store.name: f"{store.kind} store of the topology" for store in stores}
            rows = sorted((others | own).items())
            self.say(self.tabulate(rows, headers=["name", "help"], title="Tables"))


class send(AppCommand):  # noqa: N801
    """Write an event to a topic, or to an agent's (@name): text as it is, all else as JSON."""

    options = [  # noqa: RUF012
        option("--key", "-k", help="The key."),
        option("--partition", type=int, help="The partition; by the key unless given."),
        option("--repeat", "-r", type=click.IntRange(min=1), default=1, help="So many times."),
        argument("entity"),
        argument("value", default=None, required=False),
    ]

    def __call__(self, *_args: Any, **_kwargs: Any) -> None:  # type: ignore[override]
        """Write, print, and leave the exit code to Faust."""
        app, given = cast("Declared", self.app), self.kwargs
        try:
            with plain_errors():
                topic = _named(app, given["entity"])
                key, value = _typed(topic.key, given["key"]), _typed(topic.value, given["value"])
                for _ in range(given["repeat"]):
                    asyncio.run(_write(topic, key, value, given["partition"]))
                    self.say(f"written to {topic.get_topic_name()}: key={key!r} value={value!r}")
        finally:
            app.close_clients()


class reset(AppCommand):  # noqa: N801
    """Remove the stores in the data folder; no worker may be using it. They are restored from changelogs."""

    options = [  # noqa: RUF012
        option(
            "--topics",
            is_flag=True,
            default=False,
            help="Print the commands that remove offsets and internal topics, too: to begin anew.",
        ),
    ]

    def __call__(self, *_args: Any, **_kwargs: Any) -> None:  # type: ignore[override]
        """Remove, print, and leave the exit code to Faust."""
        app = cast("Declared", self.app)
        config = app.streams_config
        root = config.state_dir / config.application_id
        with plain_errors():
            removed = 0
            if root.exists():
                directory = StateDirectory(root)
                removed = directory.clear()
                directory.close()
            self.say(f"{removed} stores removed in {root}")
            if self.kwargs.get("topics"):
                self.say("To begin anew: stop all workers, reset each one's folder, run")
                self.say("\n".join(_removals(app)))


class completion(AppCommand):  # noqa: N801
    """Print what a shell (bash, fish, zsh) evaluates to complete commands."""

    def __call__(self, *_args: Any, **_kwargs: Any) -> None:  # type: ignore[override]
        """Print, and leave the exit code to Faust."""
        shell = Path(os.environ.get("SHELL", "bash")).stem
        found = get_completion_class(shell)
        if found is None:
            click.echo(f"Error: no completion for {shell}: SHELL is bash, fish or zsh", err=True)
            sys.exit(1)
        click.echo(found(cli, {}, "faust", "_FAUST_COMPLETE").source())


def _removals(app: Declared) -> Sequence[str]:
    server = f"--bootstrap-server {app.broker_address}"
    topics = sorted(app.plan.internal_topics)
    deletions = [f"kafka-topics.sh {server} --delete --topic {name}" for name in topics]
    return [
        f"kafka-consumer-groups.sh {server} --delete --group {app.streams_config.application_id}",
        *deletions,
    ]


def _reads(agent: Agent) -> str:
    if agent.topic is None:
        return "<a channel>" if isinstance(agent, ChannelAgent) else "<a stream>"
    pattern = agent.topic.pattern
    return ", ".join(agent.topic.topics) if pattern is None else pattern.pattern


def _named(app: Declared, entity: str) -> Topic:
    """Return the topic that is meant.

    Raises:
        TopologyError: there is no such agent, or it reads a stream.
    """
    if not entity.startswith("@"):
        return app.topics_declared.get(entity) or app.topic(entity)
    agent = app.agents_declared.get(entity[1:])
    if agent is None or agent.topic is None:
        names = ", ".join(f"@{name}" for name, each in app.agents_declared.items() if each.topic) or "none"
        raise TopologyError(f"no agent {entity} that can be sent to; there are: {names}")
    return agent.topic


def _typed(serde: Serde[Any], text: str | None) -> Any:
    """Return what a text on the command line stands for."""
    if text is None or isinstance(serde, StringSerde):
        return text
    if isinstance(serde, BytesSerde):
        return text.encode()
    try:
        # A serde that writes by topic, as Avro's, has a form of its own for the wire, and none for the eye.
        return (JSON if isinstance(serde, TopicSerde) else serde).deserialize(text.encode())
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise TopologyError(f"{text!r} is no {serde.name}: {error}; give JSON of it") from error


async def _write(topic: Topic, key: Any, value: Any, partition: int | None) -> None:
    await topic.send(key=key, value=value, partition=partition)
