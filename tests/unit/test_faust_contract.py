"""What the shell takes for granted of Faust and mode: each internal that it touches, and why.

When one of these fails after an upgrade, the module named in the test needs a look.
"""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.app.base import BootStrategy
from faust.cli.base import AppCommand, cli, option
from faust.cli.worker import worker
from faust.types.settings import Settings
from faust.web.base import BlueprintManager
from faust.web.drivers.aiohttp import Server, Web
from faust.web.exceptions import WebError
from faust.web.views import View
from mode import Service

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::PendingDeprecationWarning")


def make_app(**settings: Any) -> faust.App:
    class Boot(BootStrategy):
        enable_kafka = False

    class Plain(faust.App):
        BootStrategy = Boot

    return Plain("contract", **settings)


def test_versions_are_those_that_were_read() -> None:
    assert version("faust-streaming").startswith("0.15.")
    assert version("mode-streaming").startswith("0.7.")


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        # pipeline.app
        (BootStrategy.server, ["self"]),
        (BootStrategy.sensors, ["self"]),
        (BootStrategy.web_server, ["self"]),
        (faust.App.worker_init, ["self"]),
        (faust.App.worker_init_post_autodiscover, ["self"]),
        (faust.App.main, ["self"]),
        (faust.App._new_web, ["self"]),
        (faust.App._create_directories, ["self"]),
        # pipeline.commands
        (worker.as_service, ["self", "loop", "args", "kwargs"]),
        (worker._banner_title, ["self"]),
        (worker._banner_data, ["self", "worker"]),
        (AppCommand.say, ["self", "message", "file", "err", "kwargs"]),
        # pipeline.web
        (Web.start_server, ["self"]),
        (Web.bytes, ["self", "value", "content_type", "status", "reason", "headers"]),
        (Web.text, ["self", "value", "content_type", "status", "reason", "headers"]),
        (View.on_request_error, ["self", "request", "exc"]),
        # pipeline.engine
        (Service.crash, ["self", "reason"]),
        (Service.on_start, ["self"]),
        (Service.on_stop, ["self"]),
        (Service.sleep, ["self", "n"]),
        # pipeline.shell
        (faust.Worker._schedule_shutdown, ["self", "signal"]),
        (faust.Worker._shutdown_loop, ["self"]),
        (faust.Worker._sentinel_task, ["self"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_what_is_called_or_overridden_has_this_signature(
    function: Callable[..., Any], parameters: list[str]
) -> None:
    assert list(inspect.signature(function).parameters) == parameters


def test_without_kafka_only_sensors_web_and_agents_are_started() -> None:
    """pipeline.app: nothing of Faust's may talk to the broker."""
    app = make_app()
    names = [type(service).__name__ for service in app.boot_strategy.server()]
    assert names == ["CacheBackend", "Web", "AgentManager"]


@pytest.mark.parametrize("name", ["agent", "topic", "channel", "Table", "SetTable", "GlobalTable"])
def test_what_the_app_refuses_is_fausts_api(name: str) -> None:
    assert callable(getattr(faust.App, name))


@pytest.mark.parametrize(
    ("environment", "settings", "broker"),
    [
        ({}, {}, "kafka://localhost:9092"),
        ({}, {"broker": "kafka://code:1"}, "kafka://code:1"),
        ({"BROKER_URL": "kafka://env:2"}, {"broker": "kafka://code:1"}, "kafka://env:2"),
        ({"X_BROKER_URL": "kafka://env:2"}, {"env_prefix": "X_"}, "kafka://env:2"),
    ],
)
def test_the_environment_wins_over_the_code(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], settings: dict[str, str], broker: str
) -> None:
    """pipeline.settings documents this precedence."""
    monkeypatch.delenv("BROKER_URL", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert [str(url) for url in make_app(**settings).conf.broker] == [broker]


def test_state_lies_under_the_data_directory_and_the_version() -> None:
    """pipeline.app takes `tabledir` as the folder of the stores."""
    conf = make_app(datadir="here", version=2).conf
    assert conf.id == "contract-v2"
    assert conf.tabledir == Path("here/v2/tables")


def test_faust_ignores_settings_it_does_not_know() -> None:
    """pipeline.settings checks names because Faust does not."""
    assert make_app(no_such_setting=1).conf.id == "contract"
    assert "no_such_setting" not in Settings.SETTINGS


def test_a_command_is_registered_by_making_its_class() -> None:
    """pipeline.commands: importing it adds `describe`, and `worker` under the same name."""

    class contract_probe(AppCommand):  # noqa: N801 - a command is named as its class
        """Does nothing."""

        options = [option("--flag", is_flag=True, default=False)]  # noqa: RUF012 - Faust's declaration

    try:
        assert "contract_probe" in cli.commands or "contract-probe" in cli.commands
        assert issubclass(contract_probe, AppCommand)
    finally:
        for name in ("contract_probe", "contract-probe"):
            cli.commands.pop(name, None)


def test_blueprints_are_class_attributes_and_resolved_by_name() -> None:
    """pipeline.web.server replaces what is served."""

    class Bare(Web):
        default_blueprints = (("/x", "faust.web.apps.production_index:blueprint"),)
        production_blueprints = ()
        debug_blueprints = ()
        optional_blueprints = ()

    app = make_app()
    app.__dict__["web"] = web = Bare(app)
    assert isinstance(web.blueprints, BlueprintManager)
    web.init_server()
    assert list(web.views) == ["/x/"]


def test_the_listening_socket_is_opened_in_start_server() -> None:
    """pipeline.web.server catches a port that is taken there."""
    assert "start_server" in inspect.getsource(Server.on_start)


def test_a_web_error_reaches_the_views_handler() -> None:
    """pipeline.web.view answers errors as JSON."""

    class Failing(View):
        async def get(self, request: Any) -> Any:
            raise WebError("wrong", code=418)

        async def on_request_error(self, request: Any, exc: WebError) -> Any:
            return (exc.code, exc.detail)

    class Asked:
        method = "GET"
        match_info: dict[str, str] = {}  # noqa: RUF012 - never changed

    app = make_app()
    answer = asyncio.run(Failing(app, app.web)(Asked()))
    assert answer == (418, "wrong")


def test_an_error_in_a_task_crashes_the_service_and_its_root() -> None:
    """pipeline.engine: this takes the process down with exit code 1."""

    class Root(Service):
        pass

    class Child(Service):
        @Service.task
        async def _fail(self) -> None:
            raise ValueError("no")

    async def scenario() -> tuple[bool, BaseException | None]:
        root = Root()
        child = root.add_dependency(Child())
        await root.start()
        async with asyncio.timeout(5):
            await root.wait_until_stopped()
        await root.stop()
        return child.crashed, root.crash_reason

    crashed, reason = asyncio.run(scenario())
    assert crashed
    assert isinstance(reason, ValueError)


def test_the_command_line_tells_a_given_datadir_from_its_default() -> None:
    """pipeline.app: Faust loses `-D`, which it reads too late, so the app asks click."""
    code = """
import faust, click
class App(faust.App):
    def worker_init(self):
        context = click.get_current_context(silent=True)
        if context is not None:
            root = context.find_root()
            print(root.get_parameter_source("datadir").name, root.params["datadir"], self.conf.datadir)
app = App("contract")
app.main()
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, "-D", "given", "models"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "COMMANDLINE given contract-data" in done.stdout, done.stderr
