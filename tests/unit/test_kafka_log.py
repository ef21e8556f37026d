"""What the client logs while nobody answers: each thing once, and how often it was said since."""

from __future__ import annotations

import logging

import pytest

from pipeline.errors import BrokerUnreachableError
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.kafka.repeats import Repeats
from pipeline.testing.process import free_port

REFUSED = "[thrd:a:1/bootstrap]: a:1: Connect to a failed: Connection refused (after %dms in state CONNECT)"


def test_one_line_tells_that_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    admin = KafkaBroker(f"127.0.0.1:{free_port()}").admin()
    with caplog.at_level(logging.WARNING), pytest.raises(BrokerUnreachableError):
        admin.partition_counts(["orders"])
    admin.close()
    assert len([line for line in caplog.messages if "Connection refused" in line]) == 1


@pytest.mark.parametrize(
    ("lines", "logged"),
    [
        pytest.param(
            [(0.0, "FAIL [w#producer-1] " + REFUSED % 0), (29.0, "FAIL [w#producer-7] " + REFUSED % 12)],
            ["FAIL [w#producer-1] " + REFUSED % 0],
            id="another client and another wait are the same line",
        ),
        pytest.param([(0.0, "a"), (0.0, "b"), (1.0, "a")], ["a", "b"], id="another text is another line"),
        pytest.param(
            [(0.0, "a"), (1.0, "a"), (2.0, "a"), (30.0, "a"), (31.0, "a"), (61.0, "a")],
            ["a", "a (2 more like it since)", "a (1 more like it since)"],
            id="again after half a minute, and how often it came meanwhile",
        ),
        pytest.param([(0.0, "a"), (30.0, "a")], ["a", "a"], id="a line that comes seldom is left as it is"),
    ],
)
def test_a_line_is_not_said_again_at_once(lines: list[tuple[float, str]], logged: list[str]) -> None:
    repeats = Repeats()
    records = []
    for seconds, text in lines:
        record = logging.LogRecord("client", logging.ERROR, "", 0, "%s", (text,), None)
        record.created = 1_700_000_000.0 + seconds
        records.append(record)
    assert [record.getMessage() for record in records if repeats.filter(record)] == logged
