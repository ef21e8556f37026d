from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import faults, files
from demo.catalogue import SERVICES
from demo.files import InputError
from demo.personal_data import card_number, email, luhn_digit, order_number
from demo.sending import Outgoing, send
from demo.topics import RAW_LOGS, RAW_SPANS
from demo.traffic import Traffic
from pipeline.clock import ManualClock
from pipeline.errors import DeliveryError
from pipeline.observability.errors import InvalidEventError
from pipeline.observability.events import parse_event
from pipeline.observability.model import LogRecord, Span
from pipeline.observability.normalise import normalise_log, normalise_span
from pipeline.observability.redact import Redactor
from pipeline.record import TopicPartition
from pipeline.runtime.broker import TopicSpec, messages_of
from pipeline.runtime.memory import MemoryBroker
from pipeline.timestamps import Policy

START = 1_674_981_720_000  # 2023-01-29T08:42:00Z
MANY = 30_000
RATE = 100.0  # so that it is five minutes of traffic: what is delayed comes within it


@pytest.fixture(scope="module")
def traffic() -> list[Outgoing]:
    return list(islice(Traffic(1, START, RATE), MANY))


@pytest.fixture(scope="module")
def events(traffic: list[Outgoing]) -> list[dict[str, Any]]:
    """What is JSON and an object."""
    return [event for record in traffic if (event := decoded(record))]


def decoded(record: Outgoing) -> dict[str, Any]:
    try:
        event = json.loads(record.value)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def canonical(record: Outgoing) -> LogRecord | Span | None:
    """What the pipeline makes of a record; None for what it puts aside."""
    observed_ms = record.at_ms or 0
    try:
        event = parse_event(record.value)
        if record.topic == RAW_SPANS:
            return normalise_span(event)
        return normalise_log(event, observed_ms=observed_ms, missing_time=Policy.REJECT)
    except InvalidEventError:
        return None


def test_the_same_seed_and_start_give_the_same_bytes(traffic: list[Outgoing]) -> None:
    again = Traffic(1, START, RATE)
    assert list(islice(again, 2_000)) == traffic[:2_000]
    assert list(islice(again, 2_000)) == traffic[:2_000]
    assert list(islice(Traffic(2, START, RATE), 100)) != traffic[:100]


def test_records_come_in_the_order_in_which_they_are_sent(traffic: list[Outgoing]) -> None:
    times = [record.at_ms or 0 for record in traffic]
    assert times[0] >= START
    assert all(one <= other for one, other in pairwise(times))


@pytest.mark.parametrize("rate", [100.0, 1_000.0, 10_000.0])
def test_the_rate_is_what_was_asked_for(rate: float) -> None:
    count = 20_000
    *_, last = (record.at_ms for record in islice(Traffic(3, START, rate), count))
    assert last is not None
    # A late or repeated record comes up to three minutes after its time: those are missing at first.
    assert 0.98 < (last - START) * rate / 1_000 / count < 1.06


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_rate_has_to_be_above_zero(rate: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Traffic(1, START, rate)


def test_what_is_broken_and_nothing_else_cannot_be_normalised(traffic: list[Outgoing]) -> None:
    rejected = sum(canonical(record) is None for record in traffic)
    assert 0.5 < rejected / (MANY * faults.MALFORMED_RATE) < 1.5


@pytest.mark.parametrize("broken", faults.BROKEN_LOGS)
def test_each_broken_log_is_rejected(broken: faults.Break, traffic: list[Outgoing]) -> None:
    good = next(decoded(record) for record in traffic if record.topic == RAW_LOGS and canonical(record))
    assert canonical(Outgoing(RAW_LOGS, broken(good), at_ms=START)) is None


@pytest.mark.parametrize("broken", faults.BROKEN_SPANS)
def test_each_broken_span_is_rejected(broken: faults.Break, traffic: list[Outgoing]) -> None:
    good = next(decoded(record) for record in traffic if record.topic == RAW_SPANS and canonical(record))
    assert canonical(Outgoing(RAW_SPANS, broken(good), at_ms=START)) is None


def test_times_are_those_of_the_events_however_they_are_written(traffic: list[Outgoing]) -> None:
    kinds = set()
    for record in traffic:
        event = canonical(record)
        if isinstance(event, LogRecord):
            written = decoded(record)["timestamp"]
            kinds.add(
                type(written) if not isinstance(written, str) else (written[10], written[-1], len(written))
            )
            behind_ms = (record.at_ms or 0) - event.time_unix_nano // 1_000_000
            assert 0 <= behind_ms < 200_000
    assert len(kinds) == 5


def test_logs_and_spans_share_traces_with_one_root_each(traffic: list[Outgoing]) -> None:
    spans = [event for record in traffic if isinstance(event := canonical(record), Span)]
    logs = [event for record in traffic if isinstance(event := canonical(record), LogRecord)]
    roots = Counter({span.trace_id: 0 for span in spans})
    for trace, _ in {(span.trace_id, span.span_id) for span in spans if not span.parent_span_id}:
        roots[trace] += 1
    assert max(roots.values()) == 1
    # Those of the last moments are still under way, and late ones are missing.
    assert sum(roots.values()) > 0.95 * len(roots)
    ids = {(span.trace_id, span.span_id) for span in spans}
    assert sum((log.trace_id, log.span_id) in ids for log in logs) > 0.95 * len(logs)
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    for span in spans:
        parent = by_id.get((span.trace_id, span.parent_span_id))
        if parent is not None:
            assert parent.start_time_unix_nano <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= parent.end_time_unix_nano


def test_copies_have_the_same_id_and_the_same_bytes(traffic: list[Outgoing]) -> None:
    logs = [
        (event.event_id, record.value)
        for record in traffic
        if isinstance(event := canonical(record), LogRecord)
    ]
    copies = len(logs) - len(set(logs))
    assert len({event_id for event_id, _ in logs}) == len(set(logs))
    assert 0.5 < copies / (len(logs) * faults.DUPLICATE_RATE) < 1.5


def test_services_and_severities_vary(traffic: list[Outgoing]) -> None:
    logs = [event for record in traffic if isinstance(event := canonical(record), LogRecord)]
    assert {log.service for log in logs} == {service.name for service in SERVICES}
    severities = Counter(log.severity_number for log in logs)
    assert set(severities) >= {9, 13, 17}
    assert severities[9] > severities[17] > len(logs) * 0.005


def test_users_follow_zipf(events: list[dict[str, Any]]) -> None:
    seen = Counter(event["user_id"] for event in events if "user_id" in event)
    ordered = [count for _, count in seen.most_common()]
    assert len(ordered) > 2_000
    assert ordered[0] > 5 * ordered[20] > 5 * ordered[-1]
    assert all(len(user) == len("user-000001") and int(user[5:]) < 100_000 for user in seen)


def test_there_is_something_to_redact_and_something_that_only_looks_like_it(
    traffic: list[Outgoing],
) -> None:
    redactor = Redactor()
    found: Counter[str] = Counter()
    for record in traffic:
        event = canonical(record)
        if isinstance(event, LogRecord):
            redacted = redactor.text(str(event.body))
            found.update(rule for rule in ("email", "card") if f"[REDACTED:{rule}]" in redacted)
            found["order"] += event.service == "shipping" and redacted == event.body
    assert min(found["email"], found["card"], found["order"]) > 100


@given(st.integers())
def test_card_numbers_pass_luhn_and_order_numbers_do_not(seed: int) -> None:
    source = random.Random(seed)
    card = "".join(character for character in card_number(source) if character.isdecimal())
    assert len(card) in (15, 16)
    assert luhn_digit(card[:-1]) == card[-1]
    order = order_number(source)
    assert len(order) == 16
    assert luhn_digit(order[:-1]) != order[-1]


@pytest.mark.parametrize("number", ["4111111111111111", "5555555555554444", "378282246310005", "79927398713"])
def test_luhn_digit_of_published_numbers(number: str) -> None:
    assert luhn_digit(number[:-1]) == number[-1]


@given(st.integers(1, 99_999))
def test_addresses_are_addresses(rank: int) -> None:
    assert Redactor().text(f"to {email(rank)}.") == "to [REDACTED:email]."


class Stopping:
    """Asks to stop after a number of waits, and lets the clock run meanwhile."""

    def __init__(self, clock: ManualClock, waits: int) -> None:
        self._clock = clock
        self._left = waits

    def requested(self) -> bool:
        return self._left <= 0

    def wait(self, timeout_s: float) -> bool:
        self._left -= 1
        self._clock.advance(round(timeout_s * 1_000))
        return self.requested()


def written(broker: MemoryBroker, topic: str) -> list[tuple[bytes | None, int]]:
    partition = TopicPartition(topic, 0)
    end = broker.admin().end_offsets([partition])[partition]
    reader = broker.reader()
    reader.add(partition, 0, end)
    records: list[tuple[bytes | None, int]] = []
    while len(records) < end:
        polled = messages_of(reader.poll(100, 1.0))
        records += [(message.value, message.timestamp) for message in polled]
    return records


def test_records_wait_for_their_times() -> None:
    clock = ManualClock(START)
    broker = MemoryBroker(clock)
    broker.admin().create_topics([TopicSpec("t", 1, {})])
    records = [Outgoing("t", b"now"), *(Outgoing("t", b"%d" % at, at_ms=START + at) for at in (5, 10, 1_000))]
    assert send(records, broker.producer("test"), clock, Stopping(clock, 100)) == 4
    assert clock.now_ms() == START + 1_000
    assert [value for value, _ in written(broker, "t")] == [b"now", b"5", b"10", b"1000"]
    assert [at - START for _, at in written(broker, "t")][1:] == [5, 10, 1_000]


def test_sending_ends_when_it_is_time_to_stop() -> None:
    clock = ManualClock(START)
    broker = MemoryBroker(clock)
    broker.admin().create_topics([TopicSpec("t", 1, {})])
    endless = (Outgoing("t", b"x", at_ms=START + 100 * number) for number in range(1_000_000))
    assert send(endless, broker.producer("test"), clock, Stopping(clock, 5)) == 5
    assert len(written(broker, "t")) == 5


def test_a_record_that_the_broker_refuses_is_an_error() -> None:
    clock = ManualClock(START)
    broker = MemoryBroker(clock)
    with pytest.raises(DeliveryError, match="nowhere: the broker refused 1 records"):
        send([Outgoing("nowhere", b"x")], broker.producer("test"), clock, Stopping(clock, 1))


LOG_1 = b'{"timestamp":"2023-01-29T08:42:01Z","message":"one"}'
LOG_3 = b'{"timestamp":1674981723000,"message":"three"}'
SPAN_2 = b'{"trace_id":"a","name":"two","start_time_unix_nano":1674981722000000000}'
SPAN_4 = b'{"trace_id":"a","name":"four","startTime":"2023-01-29T08:42:04Z"}'


def topics_and_lines(folder: Path) -> Iterator[tuple[str, bytes]]:
    return ((record.topic, record.value) for record in files.records(files.find(folder)))


def test_files_are_merged_by_event_time(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(LOG_1 + b"\n" + LOG_3 + b"\n")
    (tmp_path / "nested").mkdir()
    with gzip.open(tmp_path / "nested" / "traces.ndjson.gz", "wb") as file:
        file.write(SPAN_2 + b"\r\n" + SPAN_4)
    (tmp_path / "LICENSE").write_text("no events", encoding="utf-8")
    assert list(topics_and_lines(tmp_path)) == [
        (RAW_LOGS, LOG_1),
        (RAW_SPANS, SPAN_2),
        (RAW_LOGS, LOG_3),
        (RAW_SPANS, SPAN_4),
    ]


def test_what_is_no_json_is_sent_as_it_is_and_keeps_its_place(tmp_path: Path) -> None:
    lines = [b"plain line", LOG_1, b'{"broken":', b"caf\xe9", b'["an array"]', b"17", LOG_3]
    (tmp_path / "a.log").write_bytes(b"\n\n".join(lines))
    (tmp_path / "b.json").write_bytes(SPAN_2)
    expected = [(RAW_LOGS, line) for line in lines]
    expected.insert(6, (RAW_SPANS, SPAN_2))
    assert list(topics_and_lines(tmp_path)) == expected


def test_a_file_of_spans_by_its_name_has_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "Spans.ndjson").write_bytes(LOG_1 + b"\nnot json")
    assert list(topics_and_lines(tmp_path)) == [(RAW_SPANS, LOG_1), (RAW_SPANS, b"not json")]


def test_one_file_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "events.txt").write_bytes(LOG_1)
    assert files.find(tmp_path / "events.txt") == [tmp_path / "events.txt"]


def test_what_cannot_be_fed_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent does not exist"):
        files.find(tmp_path / "absent")
    with pytest.raises(InputError, match=r"has no file that ends with \.ndjson"):
        files.find(tmp_path)
    (tmp_path / "bad.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"bad\.gz cannot be read"):
        list(files.records(files.find(tmp_path)))
    (tmp_path / "bad.gz").write_bytes(gzip.compress(LOG_1)[:-9])
    with pytest.raises(InputError, match=r"bad\.gz cannot be read"):
        list(files.records(files.find(tmp_path)))


def test_a_line_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(LOG_1 + b"\n" + b"x" * (files.MAX_LINE + 1))
    with pytest.raises(InputError, match=r"a\.log, line 2: longer than"):
        list(files.records(files.find(tmp_path)))


def test_so_many_files_are_too_many(tmp_path: Path) -> None:
    for number in range(files.MAX_FILES + 1):
        (tmp_path / f"{number}.log").touch()
    with pytest.raises(InputError, match="at most 256"):
        files.find(tmp_path)
