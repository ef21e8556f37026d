"""`from pipeline import faust`: Faust's names, and its settings."""

from __future__ import annotations

from typing import Any

import faust as stock
import pytest

from pipeline import App, faust
from pipeline.actors.models import type_of
from pipeline.errors import ConfigError, TopologyError
from pipeline.serde import BYTES, STRING

#: What has no meaning here, by why: docs/from-faust.md says what to use.
ABSENT = {"Schema"}


def test_every_name_of_faust_is_there_or_says_where_to_look() -> None:
    assert set(stock.__all__) - ABSENT <= set(faust.__all__)
    for name in ABSENT - set(faust.__all__):
        with pytest.raises(AttributeError, match=f"has no {name}: docs/from-faust.md"):
            getattr(faust, name)


@pytest.mark.parametrize("name", faust.__all__)
def test_what_is_named_is_there(name: str) -> None:
    assert getattr(faust, name) is not None


@pytest.mark.parametrize(
    ("given", "setting", "value"),
    [
        ({"broker_commit_interval": 2.5}, "commit_interval_ms", 2_500),
        ({"broker_max_poll_records": 7}, "poll_records", 7),
        ({"broker_session_timeout": 12}, "session_timeout_ms", 12_000),
        ({"consumer_group_instance_id": "me"}, "group_instance_id", "me"),
        ({"table_standby_replicas": 1}, "standby_replicas", 1),
        ({"topic_replication_factor": 3}, "replication_factor", 3),
        ({"processing_guarantee": "exactly_once"}, "processing_guarantee", "exactly_once"),
        ({"store": "rocksdb://", "commit_interval": 3}, "commit_interval_ms", 3_000),
    ],
)
def test_fausts_settings_have_their_effect(given: dict[str, Any], setting: str, value: Any) -> None:
    app = faust.App("settings", **given)
    assert isinstance(app, App)
    assert getattr(app.streams_config, setting) == value


@pytest.mark.parametrize("name", ["stream_buffer_maxsize", "producer_linger", "topic_disable_leader"])
def test_a_setting_without_effect_is_said(name: str) -> None:
    with pytest.warns(UserWarning, match=rf"App\({name}=\) has no effect") as warned:
        faust.App("settings", **{name: 1})
    assert warned[0].filename == __file__


def test_a_setting_of_neither_is_refused() -> None:
    with pytest.raises(ConfigError, match="no setting 'comit_interval'; did you mean commit_interval"):
        faust.App("settings", comit_interval=1)


def test_defaults_of_topics() -> None:
    app = faust.App("settings", key_serializer="text", value_serializer="raw", topic_partitions=3)
    plain, typed = app.topic("plain"), app.topic("typed", key_type=bytes, value_serializer="text")
    assert (plain.key, plain.value, typed.key, typed.value) == (STRING, BYTES, BYTES, STRING)

    @app.agent()
    async def own(stream: Any) -> None:
        async for _ in stream:
            pass

    ((topic),) = app.plan.topics
    assert topic.partitions == 3


@pytest.mark.parametrize("serializer", ["pickle", 7])
def test_a_serializer_is_one_of_three(serializer: Any) -> None:
    with pytest.raises(TopologyError, match="give raw, text or json"):
        type_of(None, serializer)
