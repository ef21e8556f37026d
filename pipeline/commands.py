"""Commands of the `faust` program: `worker`, `describe`, `limits` and `acl`.

A command registers itself with Faust when its class is made: importing this module is enough.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, cast

import click
from faust.cli.base import AppCommand, option
from faust.cli.worker import worker as faust_worker
from mode import ServiceT

from pipeline.config import StreamsConfig
from pipeline.errors import StreamsError
from pipeline.limits import format_limits, format_memory, memory_bounds
from pipeline.limits import limits as all_limits
from pipeline.plan.acl import required_rights
from pipeline.plan.acl_formats import to_commands, to_table
from pipeline.plan.description import describe as describe_plan
from pipeline.plan.graph import to_dot, to_mermaid
from pipeline.plan.planner import Plan
from pipeline.runtime.kafka.settings import Setting
from pipeline.settings import INSTANCE_VARIABLE

#: What `describe --format` prints.
FORMATS: Final[dict[str, Callable[[Plan], str]]] = {
    "text": describe_plan,
    "dot": to_dot,
    "mermaid": to_mermaid,
}


class Describable(Protocol):
    """What these commands need of `pipeline.App`."""

    @property
    def plan(self) -> Plan:
        """What was declared, as it will run."""
        ...

    @property
    def streams_config(self) -> StreamsConfig:
        """The engine's settings."""
        ...

    @property
    def client_settings(self) -> Mapping[str, Setting]:
        """Settings of librdkafka, as the worker's clients get them."""
        ...

    @property
    def broker_address(self) -> str:
        """Kafka's bootstrap address."""
        ...

    @property
    def engine(self) -> ServiceT:
        """The service that runs the topology."""
        ...

    def join_as(self, group_instance_id: str) -> None:
        """Give this worker a name in its group."""
        ...


class describe(AppCommand):  # noqa: N801 - a command's class is named as the command
    """Print the topology: sub-topologies, operators, stores and topics; as text, or as a graph to draw."""

    options = [  # noqa: RUF012 - Faust's declaration; it is never changed
        option(
            "--format",
            type=click.Choice(list(FORMATS)),
            default="text",
            help="text, or the graph for Graphviz (dot) or Mermaid.",
        ),
    ]

    def __call__(self, *_args: Any, **_kwargs: Any) -> None:  # type: ignore[override]  # Faust's runs an event loop and never returns
        """Print, and leave the exit code to Faust."""
        app = cast("Describable", self.app)
        with plain_errors():
            self.say(FORMATS[self.kwargs.get("format") or "text"](app.plan).rstrip())


class limits(AppCommand):  # noqa: N801 - a command's class is named as the command
    """Print every bound: its value, default and unit, the setting that changes it, and what happens there."""

    def __call__(self, *_args: Any, **_kwargs: Any) -> None:  # type: ignore[override]  # Faust's runs an event loop and never returns
        """Print, and leave the exit code to Faust."""
        app = cast("Describable", self.app)
        with plain_errors():
            config, client = app.streams_config, app.client_settings
            self.say(format_limits(all_limits(config, client, app.plan)))
            self.say(format_memory(memory_bounds(config, client)))


class acl(AppCommand):  # noqa: N801 - a command's class is named as the command
    """Print the rights that a worker needs on a broker with an authoriser, and no more than these."""

    options = [  # noqa: RUF012 - Faust's declaration; it is never changed
        option("--principal", help="Who gets them; User: and the application's id unless given."),
        option(
            "--format",
            type=click.Choice(["text", "kafka-acls"]),
            default="text",
            help="text, or the commands of kafka-acls.sh that grant them.",
        ),
    ]

    def __call__(self, *_args: Any, **_kwargs: Any) -> None:  # type: ignore[override]  # Faust's runs an event loop and never returns
        """Print, and leave the exit code to Faust."""
        app = cast("Describable", self.app)
        principal = self.kwargs.get("principal") or f"User:{self.app.conf.id}"
        with plain_errors():
            rights = required_rights(app.plan, app.streams_config)
            if self.kwargs.get("format") == "kafka-acls":
                text = to_commands(rights, principal, app.broker_address)
            else:
                text = to_table(rights, principal)
            self.say(text.rstrip())


class worker(faust_worker):  # noqa: N801 - a command's class is named as the command
    """Run the topology and serve its stores over HTTP."""

    options = [  # noqa: RUF012 - Faust's declaration; it is never changed
        *(faust_worker.options or ()),
        option(
            "--group-instance-id",
            help=f"This worker's own name in its group, for static membership [{INSTANCE_VARIABLE}].",
        ),
    ]

    def as_service(self, loop: Any, *args: Any, **kwargs: Any) -> ServiceT:
        """Return the application; what cannot run is said here, before anything starts."""
        # First: the worker tells its group on which port it answers.
        service = super().as_service(loop, *args, **kwargs)
        with plain_errors():
            if name := kwargs.get("group_instance_id"):
                cast("Describable", self.app).join_as(name)
            cast("Describable", self.app).engine  # noqa: B018 - made now, to fail now
        return service

    def _banner_title(self) -> str:
        try:
            return f"headrace {version('headrace')}"
        except PackageNotFoundError:
            # Run from a checkout that was not installed.
            return "headrace"

    def _banner_data(self, worker: Any) -> list[tuple[str, str]]:
        app = cast("Describable", self.app)
        conf = self.app.conf
        return [
            ("id", conf.id),
            ("broker", app.broker_address),
            ("state", str(app.streams_config.state_dir.absolute())),
            ("web", str(self.app.web.url) if conf.web_enabled else "off"),
            ("log", f"{worker.logfile or 'stderr'} ({worker.loglevel or 'WARN'})".lower()),
            ("pid", f"{os.getpid()} on {platform.node()}"),
            ("python", platform.python_version()),
        ]


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn a StreamsError into its message on stderr and exit code 1."""
    try:
        yield
    except StreamsError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


def report_errors_plainly() -> None:
    """Have the interpreter print a StreamsError that nobody caught as its message alone.

    Faust imports a user's module where no command of ours is on the stack yet: what is raised
    there can be caught nowhere else.
    """
    previous: Callable[[type[BaseException], BaseException, TracebackType | None], Any] = sys.excepthook

    def report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if isinstance(error, StreamsError):
            click.echo(f"Error: {error}", err=True)
        else:
            previous(kind, error, traceback)

    sys.excepthook = report


def _in_faust_program() -> bool:
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    program = Path(sys.argv[0]).name if sys.argv else ""
    return program == "faust" or (spec is not None and spec.name == "faust.__main__")


if _in_faust_program():
    report_errors_plainly()
