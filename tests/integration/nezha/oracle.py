"""Oracle: what the flagship must make of the input, topic by topic and table by table.

Plain Python over the files; nothing in here, or in the modules that it uses, imports `pipeline`.
The data spans 23 minutes, so within the grace of an hour no record is ever late.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from tests.integration.nezha import shapes, tables
from tests.integration.nezha.data import HEADERS, RAW_LOGS, Raw
from tests.integration.nezha.events import Event, log_event, span_event
from tests.integration.nezha.rows import Row, canonical
from tests.integration.nezha.tables import Points, Table

_COPIES_MS: Final = 600_000
_REQUEST_MS: Final = 300_000
_ERROR: Final = 17
_TOO_MANY_ERRORS: Final = 10

#: Destinations that get one record for each event, or for each pair of a log and its request.
DESTINATIONS: Final = ("splunk.logs", "archive.logs", "stackdriver.traces", "honeycomb.events")
METRICS: Final = "datadog.metrics"
ALERTS: Final = "alerts"
DEAD_LETTERS: Final = "dead.letters"

_REPARTITION: Final = "observability-{}-repartition"
SEEN_LOGS: Final = _REPARTITION.format("seen-logs")
SEEN_SPANS: Final = _REPARTITION.format("seen-spans")
ERRORS: Final = _REPARTITION.format("errors-by-service")
USERS: Final = _REPARTITION.format("logs-by-user")
OPERATIONS: Final = _REPARTITION.format("spans-by-operation")
LOGS_BY_SERVICE: Final = _REPARTITION.format("logs-by-service")
SPANS_BY_SERVICE: Final = _REPARTITION.format("spans-by-service")
LOGS_BY_TRACE: Final = _REPARTITION.format("log-request-left")
ROOTS_BY_TRACE: Final = _REPARTITION.format("log-request-right")

#: The topics between sub-topologies.
REPARTITIONS: Final = (
    SEEN_LOGS,
    SEEN_SPANS,
    ERRORS,
    USERS,
    OPERATIONS,
    LOGS_BY_SERVICE,
    SPANS_BY_SERVICE,
    LOGS_BY_TRACE,
    ROOTS_BY_TRACE,
)

#: By table, the topic that it is folded from.
FOLDS: Final[dict[str, tuple[str, Callable[[Iterable[Row]], Table]]]] = {
    "seen-logs": (SEEN_LOGS, tables.seen),
    "seen-spans": (SEEN_SPANS, tables.seen),
    "errors-per-minute": (ERRORS, tables.counts),
    "events-per-user": (USERS, tables.counts),
    "requests-per-minute": (OPERATIONS, tables.requests),
}


class Oracle:
    """What must come out.

    Args:
        raw: the input, in an order that keeps that of each partition.
        owners: by service, who answers for it.
    """

    def __init__(self, raw: Iterable[Raw], owners: dict[str, dict[str, str]]) -> None:
        self._owners = owners
        self._all_logs, self._all_spans = [], []
        for each in raw:
            if each.topic == RAW_LOGS:
                self._all_logs.append(log_event(each))
            else:
                self._all_spans.append(span_event(each))
        self._logs, self._spans = list(_first(self._all_logs)), list(_first(self._all_spans))

    def rows(self, topic: str) -> Counter[Row]:
        """Return the records that a topic must hold, where nothing crashed."""
        return Counter(_ROWS[topic](self))

    def table(self, name: str) -> Table:
        """Return a table, where nothing crashed."""
        topic, fold = FOLDS[name]
        return fold(self.rows(topic).elements())

    def points(self) -> Points:
        """Return the last value of every metric's point, where nothing crashed."""
        return tables.points(self.table("errors-per-minute"), self.table("requests-per-minute"))

    def alerts(self) -> Counter[tuple[str, int | None]]:
        """Return service and minute of every alert, where nothing crashed: one for each."""
        errors = self.table("errors-per-minute")
        return Counter(
            (json.loads(key), minute)
            for (key, minute), (count, _) in errors.items()
            if count >= _TOO_MANY_ERRORS
        )

    def owned(self, events: Iterable[Event]) -> Iterator[tuple[Event, dict[str, Any]]]:
        """Yield events and what they become with their service's owner."""
        for event in events:
            yield event, shapes.with_owner(event, self._owners.get(event.service))

    def splunk(self) -> Iterator[Row]:
        """Logs as HEC events."""
        return (_row(event.service, shapes.hec(log), event.time_ms) for event, log in self.owned(self._logs))

    def archive(self) -> Iterator[Row]:
        """Logs as they are."""
        return (_row(event.service, log, event.time_ms) for event, log in self.owned(self._logs))

    def traces(self) -> Iterator[Row]:
        """Spans as Cloud Trace takes them."""
        for event, span in self.owned(self._spans):
            yield _row(event.service, shapes.cloud_trace(span), event.time_ms)

    def requests(self) -> Iterator[Row]:
        """Logs with the root spans of their traces that began within five minutes of them."""
        roots = defaultdict(list)
        for root in self._roots():
            roots[root.trace].append(root)
        for log in self._logs:
            for root in roots[log.trace]:
                if abs(log.time_ms - root.time_ms) <= _REQUEST_MS:
                    joined = shapes.honeycomb(log.record, root.record)
                    yield _row(log.trace, joined, max(log.time_ms, root.time_ms))

    def seen_logs(self) -> Iterator[Row]:
        """All logs, copies included, by event id."""
        return (_row(log.id, log.record, log.time_ms) for log in self._all_logs)

    def seen_spans(self) -> Iterator[Row]:
        """All spans, copies included, by event id."""
        return (_row(span.id, span.record, span.time_ms) for span in self._all_spans)

    def logs_by_service(self) -> Iterator[Row]:
        """Logs by service."""
        return (_row(log.service, log.record, log.time_ms) for log in self._logs)

    def spans_by_service(self) -> Iterator[Row]:
        """Spans by service."""
        return (_row(span.service, span.record, span.time_ms) for span in self._spans)

    def errors(self) -> Iterator[Row]:
        """Logs of errors by service."""
        errors = (log for log in self._logs if log.record["severityNumber"] >= _ERROR)
        return (_row(log.service, log.record, log.time_ms) for log in errors)

    def users(self) -> Iterator[Row]:
        """Logs that name a user, by user."""
        users = ((log, log.record["attributes"].get("user_id")) for log in self._logs)
        return (_row(user, log.record, log.time_ms) for log, user in users if user is not None)

    def operations(self) -> Iterator[Row]:
        """Spans by service and operation."""
        for span in self._spans:
            key = canonical([span.service, span.record["name"]]).decode()
            yield _row(key, span.record, span.time_ms)

    def logs_by_trace(self) -> Iterator[Row]:
        """Logs by trace: all of them have one."""
        return (_row(log.trace, log.record, log.time_ms) for log in self._logs)

    def roots_by_trace(self) -> Iterator[Row]:
        """Spans without a parent by trace."""
        return (_row(root.trace, root.record, root.time_ms) for root in self._roots())

    def _roots(self) -> Iterator[Event]:
        return (span for span in self._spans if "parentSpanId" not in span.record)


_ROWS: Final[dict[str, Callable[[Oracle], Iterator[Row]]]] = {
    "splunk.logs": Oracle.splunk,
    "archive.logs": Oracle.archive,
    "stackdriver.traces": Oracle.traces,
    "honeycomb.events": Oracle.requests,
    SEEN_LOGS: Oracle.seen_logs,
    SEEN_SPANS: Oracle.seen_spans,
    ERRORS: Oracle.errors,
    USERS: Oracle.users,
    OPERATIONS: Oracle.operations,
    LOGS_BY_SERVICE: Oracle.logs_by_service,
    SPANS_BY_SERVICE: Oracle.spans_by_service,
    LOGS_BY_TRACE: Oracle.logs_by_trace,
    ROOTS_BY_TRACE: Oracle.roots_by_trace,
}


def _first(events: Iterable[Event]) -> Iterator[Event]:
    """Leave out copies: a later event of the same id, within ten minutes of one that went through."""
    times: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        before = times[event.id]
        if all(abs(event.time_ms - other) > _COPIES_MS for other in before):
            before.append(event.time_ms)
            yield event


def _row(key: str, value: dict[str, Any], timestamp: int) -> Row:
    return Row(key.encode(), canonical(value), timestamp, HEADERS)
