"""The operators for pipelines of logs, as they are put together."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import App, TopologyError
from pipeline.observability import Redactor, normalise_logs, redact
from pipeline.testing.driver import TopologyTestDriver


def test_logs_keep_their_key_so_they_are_counted_by_it_where_they_are() -> None:
    app = App("test")
    raw = app.stream("raw", key=str, value=dict[str, Any])
    redact(normalise_logs(raw), Redactor()).group_by_key().count(name="counts")
    with TopologyTestDriver(app) as driver:
        for _ in range(2):
            driver.input_topic("raw", key=str).pipe("host-1", {"message": "hello"}, 5)
        assert driver.store("counts").get("host-1") == 2
        assert not [topic for topic in driver.broker.topics() if topic.endswith("repartition")]


def test_two_streams_are_normalised_under_two_names() -> None:
    app = App("test")
    for name in ("web", "db"):
        raw = app.stream(name, value=dict[str, Any])
        redact(normalise_logs(raw, name=f"normalise-{name}"), Redactor(), name=f"redact-{name}").to("logs")
    assert len(app.plan.subtopologies) == 2


def test_one_name_is_taken_once() -> None:
    app = App("test")
    normalise_logs(app.stream("web", value=dict[str, Any]))
    db = app.stream("db", value=dict[str, Any])
    with pytest.raises(TopologyError, match="'normalise-logs' is used twice"):
        normalise_logs(db)
