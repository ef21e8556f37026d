"""The application as a user declares it."""

from __future__ import annotations

import dataclasses
import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import App
from pipeline.config import Stage, StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import ConfigError, TopologyError
from pipeline.refusals import SILENT
from pipeline.settings import ENGINE_SETTINGS, check_shell_settings


@pytest.mark.parametrize("method", ["stream", "table", "global_table"])
def test_sources_take_what_the_builders_take(method: str) -> None:
    """`App` only passes on."""
    app, builder = (inspect.signature(getattr(kind, method)) for kind in (App, StreamsBuilder))
    assert app == builder


def test_the_engines_settings_have_its_defaults_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAUST_DATADIR", raising=False)
    monkeypatch.delenv("APP_DATADIR", raising=False)
    config = App("defaults").streams_config
    assert config == StreamsConfig("defaults", Path("defaults-data/v1/tables"))


def test_the_engines_settings_reach_its_configuration() -> None:
    app = App(
        "given",
        datadir="there",
        commit_interval=timedelta(milliseconds=100),
        cache_entries=5,
        dead_letter="dead",
        version=3,
    )
    assert app.streams_config == StreamsConfig(
        "given-v3", Path("there/v3/tables"), commit_interval_ms=100, cache_entries=5, dead_letter="dead"
    )


def test_every_setting_of_the_engine_is_an_argument() -> None:
    settings = {field.name.removesuffix("_ms") for field in dataclasses.fields(StreamsConfig)}
    assert settings - {"application_id", "state_dir"} == ENGINE_SETTINGS


@pytest.mark.parametrize("name", ["web_port", "datadir", "broker"])
def test_the_shells_named_arguments_are_fausts(name: str) -> None:
    check_shell_settings([name])
    assert name in inspect.signature(App.__init__).parameters


@pytest.mark.parametrize(
    "settings",
    [
        {"cache_entries": 0},
        {"commit_interval": 0},
        {"replication_factor": 0},
        {"processing_guarantee": "exactly"},
    ],
)
def test_a_setting_that_cannot_work_fails_where_it_is_written(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        App("wrong", **settings)  # type: ignore[arg-type]  # what a user may write


def test_the_environment_names_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_URL", "kafka://one:1;kafka://two:2")
    assert App("env", broker="kafka://code:9092").broker_address == "one:1,two:2"


def test_streams_and_tables_are_nodes_of_one_topology() -> None:
    app = App("declared")
    app.stream("in", key=str).to("out")
    app.table("users", name="users")
    assert [type(node).__name__ for node in app.topology.nodes] == ["Source", "Sink", "TableSource"]
    assert [sub.topics for sub in app.plan.subtopologies] == [("in",), ("users",)]


def test_declarations_name_the_users_line() -> None:
    app = App("sites")
    with pytest.raises(TopologyError, match=r"test_app\.py:\d+"):
        app.stream([])


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("commit", "commit_interval"),
        ("create_event", r"topic\.send"),
        ("start_client", r"agent\.ask"),
        ("maybe_start_client", r"agent\.ask"),
        ("topic_route", "/stores/"),
        ("LiveCheck", "app.stream"),
    ],
)
def test_what_faust_would_carry_itself_is_refused_with_what_to_use(name: str, instead: str) -> None:
    app = App("refused")
    with pytest.raises(TopologyError, match=rf"app\.{name} is not available.*{instead}"):
        getattr(app, name)("x", y=1)


@pytest.mark.parametrize("name", SILENT)
def test_a_signal_that_nobody_sends_cannot_be_waited_for(name: str) -> None:
    with pytest.raises(TopologyError, match=rf"app\.{name}\.connect is not available.*nobody calls it"):
        getattr(App("refused"), name).connect(print)


def test_only_the_engine_is_started_beside_the_web_server() -> None:
    app = App("boot")
    app.stream("in").to("out")
    names = [type(service).__name__ for service in app.boot_strategy.server()]
    assert names == ["CacheBackend", "WebServer", "Engine"]


def test_waiting_can_be_told_not_to() -> None:
    assert App("a").streams_config.max_task_idle_ms == 0
    assert App("a", max_task_idle=0.25).streams_config.max_task_idle_ms == 250
    assert App("a", max_task_idle=None).streams_config.max_task_idle_ms is None
    assert App("a").streams_config.source_idle_ms is None
    with pytest.raises(ConfigError, match="max_task_idle_ms is -1: it must be at least 0"):
        App("a", max_task_idle=-0.001)
    with pytest.raises(ConfigError, match="source_idle_ms is 0: it must be at least 1"):
        App("a", source_idle=0)


@pytest.mark.parametrize("stage", ["decode", "processing", "produce"])
def test_what_becomes_of_failures_is_checked(stage: Stage) -> None:
    setting = f"on_{stage}_error"
    wrong: dict[str, Any] = {setting: "ignore"}
    with pytest.raises(ConfigError, match=f"{setting} is 'ignore': it must be one of fail, continue, dead"):
        App("a", **wrong)
    put_aside: dict[str, Any] = {setting: "dead-letter"}
    with pytest.raises(ConfigError, match=f"{setting} is dead-letter: say to which topic with dead_letter="):
        App("a", **put_aside)
    assert App("a").streams_config.action(stage) == "fail"
    assert App("a", dead_letter="d").streams_config.action(stage) == "dead-letter"
    kept: dict[str, Any] = {setting: "continue"}
    assert App("a", dead_letter="d", **kept).streams_config.action(stage) == "continue"
