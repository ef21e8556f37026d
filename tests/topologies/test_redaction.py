"""Redaction comes before anything is written: no topic holds a secret but the dead letters."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from pipeline.record import Headers
from pipeline.runtime.memory import MemoryBroker
from tests.topologies.flagship import DEAD_LETTERS, TRACE, Flagship, flagship, log, span
from topologies.observability import TOO_MANY_ERRORS

EMAIL: Final = "jane.doe+shop@example.com"
CARD: Final = "4111 1111 1111 1111"
#: What is left of either, however it is written.
SECRETS: Final = re.compile(rb"jane\.doe|example\.com|4111[ -]?1111[ -]?1111[ -]?1111")
#: What came in, and dead letters, which hold records as they came.
AS_THEY_CAME: Final = {"raw.logs", "raw.spans", DEAD_LETTERS}

LOGS: Final[dict[str, dict[str, Any]]] = {
    "body": {"message": f"paid by {EMAIL} with {CARD}"},
    "structured body": {"message": {"by": [EMAIL, {"card": CARD}]}},
    "attribute": {"customer": EMAIL, "card": int(CARD.replace(" ", ""))},
    "name of an attribute": {f"cart of {EMAIL}": 1, CARD: 2},
    "nested attribute": {"cart": {"items": [{"for": EMAIL, "paid": CARD.replace(" ", "-")}]}},
    "url": {"url": f"https://shop.example/?q={EMAIL.replace('@', '%40')}"},
    "id": {"event_id": EMAIL},
    "user, who is a key": {"user_id": EMAIL},
    "card as a user": {"user_id": int(CARD.replace(" ", ""))},
    "service, which is a key": {"service": f"mailer {EMAIL}", "level": "error"},
    "resource": {"resource": {"host.name": EMAIL}},
    "severity": {"level": EMAIL},
    "ids that are none": {"trace_id": EMAIL, "span_id": CARD},
    "wrapped by a container": {"message": None, "log": f'{{"log": "mail from {EMAIL} {CARD}"}}'},
}
SPANS: Final[dict[str, dict[str, Any]]] = {
    "name, which is a key": {"name": f"GET /users/{EMAIL}/cards/{CARD}"},
    "status": {"status": "ERROR", "status_message": f"{EMAIL} has no {CARD}"},
    "attribute of a span": {"http.url": f"/pay?by={EMAIL}", "card": CARD},
    "service of a span": {"service": EMAIL},
    "resource of a span": {"resource": {"k8s.pod.name": CARD}},
}
HEADERS: Final[Headers] = (("sender", EMAIL.encode()), (f"card {CARD}", b"1"), ("none", None))


def leaks(broker: MemoryBroker) -> list[str]:
    """Name what still shows a secret: every key, value and header of every topic."""
    found = []
    for topic in set(broker.topics()) - AS_THEY_CAME:
        for record in broker.records(topic):
            headers = [part for name, value in record.headers for part in (name.encode(), value or b"")]
            found += [
                f"{topic}: {part!r}"
                for part in (record.key or b"", record.value or b"", *headers)
                if SECRETS.search(part)
            ]
    return found


def written(run: Flagship) -> dict[str, int]:
    """Return the number of records by topic."""
    broker = run.driver.broker
    return {topic: len(broker.records(topic)) for topic in broker.topics()}


@pytest.mark.parametrize("fields", LOGS.values(), ids=LOGS)
def test_a_log_is_redacted_before_it_is_written(fields: dict[str, Any]) -> None:
    with flagship() as run:
        run.span(span())
        run.log(log(trace_id=TRACE) | fields | ({"trace_id": TRACE} if "trace_id" not in fields else {}))
        assert leaks(run.driver.broker) == []
        assert len(run.records("archive.logs")) == len(run.records("splunk.logs")) == 1
        assert run.records(DEAD_LETTERS) == []


@pytest.mark.parametrize("fields", SPANS.values(), ids=SPANS)
def test_a_span_is_redacted_before_it_is_written(fields: dict[str, Any]) -> None:
    with flagship() as run:
        run.span(span() | fields)
        run.log(log(trace_id=TRACE))
        assert leaks(run.driver.broker) == []
        assert len(run.records("stackdriver.traces")) == len(run.records("honeycomb.events")) == 1


def test_headers_and_keys_are_redacted_before_they_are_written() -> None:
    with flagship() as run:
        run.log(log(trace_id=TRACE, level="error", user_id="u"), headers=HEADERS, key=EMAIL.encode())
        run.span(span(), headers=HEADERS, key=CARD.encode())
        assert leaks(run.driver.broker) == []
        (record,) = run.records("archive.logs")
        assert record.headers == (
            ("sender", b"[REDACTED:email]"),
            ("card [REDACTED:card]", b"1"),
            ("none", None),
        )


def test_the_search_covers_every_kind_of_topic() -> None:
    """The tests above are worth something: a secret reaches every topic, in its redacted form."""
    with flagship() as run:
        run.owner("checkout", {"team": "payments"})
        run.span(span(name=EMAIL), headers=HEADERS)
        for _ in range(TOO_MANY_ERRORS):
            run.log(log(trace_id=TRACE, level="error", user_id=EMAIL), headers=HEADERS)
        broker = run.driver.broker
        without = {"raw.logs", "raw.spans", "service.owners", "observability-service-owners-changelog"}
        for topic in set(broker.topics()) - without - {DEAD_LETTERS}:
            records = broker.records(topic)
            assert records, topic
            # A count, a time at which an id was seen, that a service was told of: state without a word of
            # the event.
            if topic.split("-", 1)[-1] not in {
                "seen-logs-changelog",
                "seen-spans-changelog",
                "errors-per-minute-changelog",
                "alerted-changelog",
            }:
                text = repr([(each.key, each.value, each.headers) for each in records])
                assert "[REDACTED:email]" in text, topic


def test_a_secret_in_what_cannot_be_processed_stays_in_the_dead_letters() -> None:
    with flagship() as run:
        run.log({"customer": EMAIL, "card": CARD}, headers=HEADERS)
        assert leaks(run.driver.broker) == []
        assert written(run)[DEAD_LETTERS] == 1
        (letter,) = run.driver.broker.records(DEAD_LETTERS)
        why = [value or b"" for name, value in letter.headers if name.startswith("__streams")]
        assert why
        assert not any(SECRETS.search(value) for value in why)
