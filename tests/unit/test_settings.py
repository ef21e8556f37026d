from __future__ import annotations

from datetime import timedelta

import pytest
from faust.types.settings import Settings
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from pipeline.errors import ConfigError
from pipeline.settings import (
    ENGINE_SETTINGS,
    SHELL_SETTINGS,
    broker_address,
    check_shell_settings,
    engine_settings,
    to_milliseconds,
)


@pytest.mark.parametrize(
    ("urls", "address"),
    [
        (["kafka://localhost:9092"], "localhost:9092"),
        (["kafka://localhost"], "localhost:9092"),
        (["aiokafka://broker:19092/"], "broker:19092"),
        (["kafka://a:1", "kafka://b:2", "kafka://c"], "a:1,b:2,c:9092"),
        (["kafka://[::1]:9092"], "[::1]:9092"),
    ],
)
def test_broker_address(urls: list[str], address: str) -> None:
    assert broker_address(URL(url) for url in urls) == address


@pytest.mark.parametrize(
    "url", ["confluent://a:1", "kafka://", "kafka://user:secret@a:1", "kafka://a:1/topic"]
)
def test_a_broker_that_cannot_be_used_is_named_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="kafka://host:port") as caught:
        broker_address([URL(url)])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("duration", "ms"),
    [(timedelta(seconds=1), 1_000), (1, 1_000), (0.25, 250), (timedelta(0), 0), (2.5, 2_500)],
)
def test_durations_are_timedeltas_or_seconds(duration: timedelta | float, ms: int) -> None:
    assert to_milliseconds("commit_interval", duration) == ms


@given(st.integers(min_value=0, max_value=10**10))
def test_every_whole_millisecond_survives(ms: int) -> None:
    assert to_milliseconds("x", timedelta(milliseconds=ms)) == ms
    assert to_milliseconds("x", ms / 1_000) == ms


@pytest.mark.parametrize("duration", [timedelta(microseconds=1), 0.0001, True, "1s", None])
def test_a_duration_that_cannot_be_kept_is_refused(duration: object) -> None:
    with pytest.raises(ConfigError, match="delivery_timeout"):
        to_milliseconds("delivery_timeout", duration)


def test_engine_settings_take_the_engines_names_and_units() -> None:
    given_settings = {"commit_interval": timedelta(seconds=2), "cache_entries": 7, "dead_letter": "dead"}
    assert engine_settings({**given_settings, "poll_records": None}) == {
        "commit_interval_ms": 2_000,
        "cache_entries": 7,
        "dead_letter": "dead",
    }


@pytest.mark.parametrize(
    "setting",
    [{"cache_entries": 1.5}, {"poll_records": True}, {"commit_interval": "1s"}, {"dead_letter": 7}],
)
def test_an_engine_setting_of_the_wrong_type_is_named(setting: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        engine_settings(setting)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("processing_guarantee", "no effect"),
        ("broker_commit_interval", "no effect"),
        ("comit_interval", "did you mean commit_interval"),
        ("nonsense", "no setting 'nonsense'$"),
    ],
)
def test_a_setting_without_effect_is_an_error(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_shell_settings([name])


def test_the_shells_settings_are_known_to_faust() -> None:
    own_arguments = {"beacon", "config_source", "loop", "monitor"}
    assert SHELL_SETTINGS - own_arguments <= Settings.SETTINGS.keys()
    check_shell_settings(SHELL_SETTINGS)


def test_the_engines_settings_are_those_of_its_configuration() -> None:
    assert {"commit_interval", "cache_entries", "dead_letter", "replication_factor"} <= ENGINE_SETTINGS
    assert not any(name.endswith("_ms") for name in ENGINE_SETTINGS)
