"""Bad input among good: it goes to the dead letters as it came, it is counted, the rest goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from demo.topics import topic_specs
from pipeline.record import Headers
from pipeline.runtime.broker import Message
from pipeline.testing.brokers import ApacheKafka
from tests.integration.flagship.broker import EMBEDDED, KAFKA, project_directory, started
from tests.integration.flagship.topics import Outgoing, Topics
from tests.integration.flagship.waiting import wait_until
from tests.integration.flagship.worker import Flagship

GROUP: Final = "observability"
PARTITIONS: Final = 4
RAW_LOGS, RAW_SPANS, OWNERS = "raw.logs", "raw.spans", "service.owners"
AT_MS: Final = 1_674_981_729_487
AT_NS: Final = AT_MS * 1_000_000
MIB: Final = 1024 * 1024
#: Good events of each kind.
GOOD: Final = 400
ERRORS: Final = "__streams.errors."


#: Sources have no names of their own: the message has the line of the user's module.
SOURCE: Final = r"^source-[0-9]+ \(topologies/observability\.py:[0-9]+\)"


class Bad(NamedTuple):
    """A record that cannot be processed.

    Attributes:
        name: of the case.
        topic: where it is written.
        value: value bytes.
        message: what the dead letter's message must match: the operator, and what is wrong.
        key: key bytes.
    """

    name: str
    topic: str
    value: bytes | None
    message: str
    key: bytes | None = b"key \xff"


def log(**fields: Any) -> bytes:
    return json.dumps({"timestamp": AT_NS, "service": "shop", "message": "hello"} | fields).encode()


def span(**fields: Any) -> bytes:
    times = {"start_time_unix_nano": AT_NS, "end_time_unix_nano": AT_NS + 1_000}
    ids = {"trace_id": "0123456789abcdef" * 2, "span_id": "0123456789abcdef"}
    event = {**ids, **times, "service": "shop", "name": "GET /"} | fields
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()


BAD: Final = (
    Bad("no-value", RAW_LOGS, None, r"normalise-logs.*no value"),
    Bad("not-json", RAW_LOGS, b"{not json", SOURCE + r".*JSON"),
    Bad("cut-off", RAW_LOGS, log()[:-1], SOURCE + r".*truncated"),
    Bad("empty", RAW_LOGS, b"", SOURCE),
    Bad("no-object", RAW_LOGS, b"[1,2]", SOURCE + r".*object"),
    Bad("invalid-utf-8", RAW_LOGS, log().replace(b"hello", b"h\xffllo"), SOURCE + r".*utf-8"),
    Bad("two-mebibytes", RAW_LOGS, log(message="x" * 2 * MIB), SOURCE + r".*max_record_bytes"),
    Bad("invalid-timestamp", RAW_LOGS, log(timestamp="yesterday"), SOURCE + r".*timestamp.*yesterday"),
    Bad("no-body", RAW_LOGS, b'{"timestamp":1674981729487}', r"normalise-logs.*body.*missing"),
    Bad("service-is-a-number", RAW_LOGS, log(service=7), r"normalise-logs.*service.*int"),
    Bad("severity-is-a-list", RAW_LOGS, log(severity=[]), r"normalise-logs.*severity.*list"),
    Bad("no-trace", RAW_SPANS, span(trace_id=None), r"map-values-1 .*.*trace_id.*missing"),
    Bad("span-id-is-none", RAW_SPANS, span(span_id="xyz"), r"map-values-1 .*.*span_id"),
    Bad("no-start", RAW_SPANS, span(start_time_unix_nano=None), SOURCE + r".*start_time"),
    Bad(
        "ends-before-start", RAW_SPANS, span(end_time_unix_nano=1), r"map-values-1 .*.*ends before it starts"
    ),
    Bad("name-is-a-number", RAW_SPANS, span(name=5), r"map-values-1 .*.*name.*int"),
    Bad("owner-without-key", OWNERS, b'{"team":"core"}', r"service-owners.*null key", key=None),
    Bad("owner-without-team", OWNERS, b"{}", r"service-owners.*team", key=b"shop"),
    Bad("owner-of-invalid-utf-8", OWNERS, b'{"team":"core"}', r"service-owners", key=b"\xff"),
)


class Processed(NamedTuple):
    topics: Topics
    worker: Flagship

    def letters(self) -> dict[str, list[Message]]:
        """Return the dead letters by the name of their case."""
        return by_case(self.topics.read("dead.letters"))

    def source(self, bad: Bad) -> Message:
        """Return the record that a case wrote."""
        (message,) = by_case(self.topics.read(bad.topic))[bad.name]
        return message


def by_case(messages: list[Message]) -> dict[str, list[Message]]:
    cases: dict[str, list[Message]] = {}
    for message in messages:
        name = dict(message.headers).get("case")
        if name is not None:
            cases.setdefault(name.decode(), []).append(message)
    return cases


def case_headers(bad: Bad) -> Headers:
    return (("case", bad.name.encode()), ("twice", b"1"), ("twice", None), ("binary", b"\xff\x00"))


def traffic() -> Iterator[Outgoing]:
    """Good events, the bad ones in between."""
    places = {(number + 1) * (GOOD // (len(BAD) + 1)): bad for number, bad in enumerate(BAD)}
    for number in range(GOOD):
        yield Outgoing(RAW_LOGS, None, log(message=f"message {number}"), AT_MS)
        yield Outgoing(RAW_SPANS, None, span(span_id=f"{number + 1:016x}"), AT_MS)
        bad = places.get(number)
        if bad is not None:
            yield Outgoing(bad.topic, bad.key, bad.value, AT_MS + number, case_headers(bad))


@pytest.fixture(scope="module", params=[EMBEDDED, KAFKA])
def processed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Processed]:
    with (
        started(request.param) as address,
        Topics(address, GROUP) as topics,
        Flagship(address, tmp_path_factory.mktemp("bad-input")) as worker,
    ):
        # Logs may be larger than the worker takes; owners are not compacted, for then a broker
        # refuses null keys.
        added = {RAW_LOGS: {"max.message.bytes": str(4 * MIB)}, OWNERS: {"cleanup.policy": "delete"}}
        topics.create(
            [
                each._replace(config={"retention.ms": "-1", **each.config, **added.get(each.name, {})})
                for each in topic_specs(PARTITIONS)
            ]
        )
        topics.write(traffic())
        worker.start()
        worker.wait_ready()

        def done() -> bool:
            worker.check()
            outputs = ("archive.logs", "stackdriver.traces", "dead.letters")
            counts = [sum(topics.ends([topic]).values()) for topic in outputs]
            return counts[0] >= GOOD and counts[1] >= GOOD and counts[2] >= len(BAD)

        wait_until(done, f"good and bad are processed: {worker.log()}")
        yield Processed(topics, worker)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a10_5_b6_it_is_a_dead_letter_as_it_came(processed: Processed, bad: Bad) -> None:
    (letter,) = processed.letters()[bad.name]
    source = processed.source(bad)
    assert (letter.key, letter.value) == (bad.key, bad.value)
    assert letter.timestamp == source.timestamp
    sent = case_headers(bad)
    assert tuple(letter.headers)[: len(sent)] == sent


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_its_headers_say_why_and_where(processed: Processed, bad: Bad) -> None:
    (letter,) = processed.letters()[bad.name]
    source = processed.source(bad)
    added = tuple(letter.headers)[len(case_headers(bad)) :]
    why = {name.removeprefix(ERRORS): (text or b"").decode() for name, text in added}
    assert (why["topic"], why["partition"], why["offset"]) == (
        bad.topic,
        str(source.partition),
        str(source.offset),
    )
    assert re.search(bad.message, why["message"], re.DOTALL), why["message"]
    assert why["exception"].endswith("Error")
    assert why["application"].startswith("observability ")


def test_each_is_counted_once(processed: Processed) -> None:
    wait_until(
        lambda: processed.worker.metric("dead_letters_total") == len(BAD),
        f"{len(BAD)} dead letters are counted",
    )
    assert sum(map(len, processed.letters().values())) == len(BAD)
    assert sum(processed.topics.ends(["dead.letters"]).values()) == len(BAD)


@pytest.mark.parametrize("topic", ["archive.logs", "splunk.logs", "stackdriver.traces"])
def test_the_rest_is_processed(processed: Processed, topic: str) -> None:
    values = [each.value for each in processed.topics.read(topic) if each.key == b"shop"]
    assert len(values) == len(set(values)) == GOOD


def test_the_worker_goes_on(processed: Processed) -> None:
    assert processed.worker.get("/ready").status == 200
    processed.topics.write([Outgoing(RAW_LOGS, None, log(message="one more", service="later"), AT_MS)])
    wait_until(
        lambda: any(each.key == b"later" for each in processed.topics.read("archive.logs")),
        "a log that comes later is processed",
    )


@pytest.mark.kafka
def test_a_broker_that_is_not_there_yet_is_named_and_waited_for(tmp_path: Path) -> None:
    # Nine seconds by default, and a broker that was killed is not let in again before.
    session = {"broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "500"}
    with project_directory(), ApacheKafka(directory=tmp_path / "kafka", settings=session) as kafka:
        with Topics(kafka.address, GROUP) as topics:
            topics.create(topic_specs(PARTITIONS))
            topics.write([Outgoing(RAW_LOGS, None, log(), AT_MS)])
        kafka.kill(0)
        with Flagship(kafka.address, tmp_path / "worker") as worker:
            worker.start()

            def told() -> bool:
                ready = worker.get("/ready")
                return ready.status == 503 and kafka.address in ready.body["error"]

            wait_until(told, "/ready names the address of the broker that is missing", deadline_s=30)
            assert worker.get("/health").status == 200
            assert worker.get("/ready").body["broker"] == kafka.address
            kafka.restart(0)
            worker.wait_ready()
            with Topics(kafka.address, GROUP) as topics:
                wait_until(lambda: topics.read("archive.logs"), "the log is processed")
            assert worker.stop() == 0
