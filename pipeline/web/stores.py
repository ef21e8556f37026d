"""`GET /stores`: the tables of this worker, by name.

Answers hold committed state only. Rows are in the order of the keys' bytes, which for `int` keys
is not that of the numbers below zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from faust.web.base import Request, Response
from faust.web.blueprints import Blueprint

from pipeline.errors import BrokerError, StateError
from pipeline.runtime.queries import NotReadyError, Progress, Queries, StoreRegistry
from pipeline.runtime.scan import Range, Row
from pipeline.serde import BytesSerde, StringSerde
from pipeline.state.caching import ValueAndTimestamp
from pipeline.state.keyvalue import after_prefix
from pipeline.topology import StoreSpec
from pipeline.web.not_here import translated
from pipeline.web.parameters import (
    bad_request,
    check_names,
    encode_token,
    format_time,
    parse_key,
    parse_limit,
    parse_time,
    parse_token,
)
from pipeline.web.view import EngineView, HttpError

blueprint = Blueprint("stores")

_END_OF_TIME: Final = 2**63 - 1

_SCAN = frozenset({"start", "end", "prefix", "limit", "after"})
_TIMES = frozenset({"from", "to"})
#: Kinds of stores whose entries are in windows.
_WINDOWED = frozenset({"window", "session"})


class StoreView(EngineView):
    """A view on one store."""

    @property
    def queries(self) -> Queries:
        """Committed state."""
        return Queries(self.engine.stores)

    def spec(self, name: str) -> StoreSpec:
        """Return the store's declaration.

        Raises:
            HttpError: 404, there is no such store.
        """
        spec = self.engine.stores.spec(name)
        if spec is None:
            names = ", ".join(self.engine.stores.names()) or "none"
            raise HttpError(HTTPStatus.NOT_FOUND, f"no store {name!r}; there are: {names}")
        return spec

    def translate(self, error: StateError | BrokerError) -> HttpError:
        """Return the answer for a query that failed."""
        return translated(error, self.engine.status())


@blueprint.route("/stores/", name="all-slash")
@blueprint.route("/stores", name="all")
class AllStores(EngineView):
    """Every store of the topology."""

    async def get(self, request: Request) -> Response:  # noqa: ARG002 - Faust hands it over; nothing is read from it
        """Answer with name, type and state of each."""
        stores = self.engine.stores
        specs = (stores.spec(name) for name in stores.names())
        return self.answer({"stores": [describe_store(spec, stores) for spec in specs if spec is not None]})


@blueprint.route("/stores/{name}", name="scan")
class Scan(StoreView):
    """The entries of a store that this worker holds, a page at a time.

    Parameters: `start` (first key) and `end` (key after the last), or `prefix`; `limit`; `after`, the
    `next` of the page before. Of a window store also `from` and `to`, earliest and latest start; of a
    session store what sessions overlap. Of a versioned store, the latest versions are shown.
    """

    async def get(self, request: Request, name: str) -> Response:
        """Answer with a page."""
        spec = self.spec(name)
        query = request.query
        check_names(query, _SCAN | _TIMES if spec.kind in _WINDOWED else _SCAN)
        wanted = parse_range(query, spec)
        after, limit = parse_token(query), parse_limit(query)
        here = sorted(task.partition for task in self.engine.stores.open(name))
        try:
            page = self.queries.scan(spec, wanted, after=after, limit=limit)
            rows = [row_body(row, spec) for row in page.rows]
        except (StateError, BrokerError) as error:
            raise self.translate(error) from error
        if not here and self.engine.status().state != "running":
            raise self.translate(NotReadyError(f"store {name!r} is not open yet", None))
        return self.answer(
            {
                "store": name,
                "partitions": {"here": here, "total": self.engine.stores.partitions(name)},
                "rows": rows,
                "next": encode_token(page.next),
            }
        )


@blueprint.route("/stores/{name}/keys/{key:.*}", name="key")
class Key(StoreView):
    """One key: its value, or its windows, or its sessions.

    Parameters of a window store: `from` and `to`, earliest and latest start; `limit`. Of a session
    store likewise, for sessions that overlap these times. Of a versioned store: `as_of`, a moment.
    """

    async def get(self, request: Request, name: str, key: str) -> Response:
        """Answer with what is stored under the key."""
        spec = self.spec(name)
        parsed = parse_key("key", key, spec.key)
        try:
            if spec.kind == "window":
                return self._windows(spec, parsed, request.query)
            if spec.kind == "session":
                return self._sessions(spec, parsed, request.query)
            found = self.queries.get(spec, parsed, _as_of(spec, request.query))
        except (StateError, BrokerError) as error:
            raise self.translate(error) from error
        if found is None:
            then = f" as of {request.query['as_of']}" if "as_of" in request.query else ""
            raise HttpError(HTTPStatus.NOT_FOUND, f"store {name!r} has no key {key!r}{then}")
        return self.answer({"store": name, "key": parsed, **value_body(found)})

    def _windows(self, spec: StoreSpec, key: Any, query: Mapping[str, str]) -> Response:
        first, last, limit = _times(query)
        found = self.queries.windows(spec, key, first, last, limit + 1)
        if not found:
            raise HttpError(
                HTTPStatus.NOT_FOUND, f"store {spec.name!r} has no window of key {key!r} in that time"
            )
        windows = [
            {"window": window_body(start, spec.window_size_ms), **value_body(value)}
            for start, value in found[:limit]
        ]
        more = found[limit][0] if len(found) > limit else None
        return self.answer({"store": spec.name, "key": key, "windows": windows, "next_from": more})

    def _sessions(self, spec: StoreSpec, key: Any, query: Mapping[str, str]) -> Response:
        first, last, limit = _times(query)
        found = self.queries.sessions(spec, key, first, last, limit + 1)
        if not found:
            raise HttpError(
                HTTPStatus.NOT_FOUND, f"store {spec.name!r} has no session of key {key!r} in that time"
            )
        sessions = [
            {"session": span_body(start, end), **value_body(value)} for start, end, value in found[:limit]
        ]
        more = found[limit][1] if len(found) > limit else None
        return self.answer({"store": spec.name, "key": key, "sessions": sessions, "next_from": more})


def _times(query: Mapping[str, str]) -> tuple[int, int, int]:
    """Return `from`, `to` and `limit`, or their defaults."""
    check_names(query, _TIMES | {"limit"})
    first = parse_time("from", query["from"]) if "from" in query else 0
    last = parse_time("to", query["to"]) if "to" in query else _END_OF_TIME
    return first, last, parse_limit(query)


def _as_of(spec: StoreSpec, query: Mapping[str, str]) -> int | None:
    """Return `as_of`, which a versioned store takes; None if it is not given."""
    check_names(query, frozenset({"as_of"}) if spec.kind == "versioned" else frozenset())
    return parse_time("as_of", query["as_of"]) if "as_of" in query else None


def parse_range(query: Mapping[str, str], spec: StoreSpec) -> Range:
    """Return what `start`, `end`, `prefix`, `from` and `to` ask for.

    Raises:
        HttpError: 400, one of them cannot be used.
    """
    start, end = b"", None
    if "prefix" in query:
        if "start" in query or "end" in query:
            raise bad_request("prefix", "give either a prefix, or start and end")
        if not isinstance(spec.key, StringSerde | BytesSerde):
            raise bad_request(
                "prefix", f"keys of {spec.name!r} are {spec.key.name}: give start and end instead"
            )
        start = spec.key.serialize(parse_key("prefix", query["prefix"], spec.key))
        end = after_prefix(start)
    if "start" in query:
        start = spec.key.serialize(parse_key("start", query["start"], spec.key))
    if "end" in query:
        end = spec.key.serialize(parse_key("end", query["end"], spec.key))
    return Range(
        start,
        end,
        parse_time("from", query["from"]) if "from" in query else None,
        parse_time("to", query["to"]) if "to" in query else None,
    )


def describe_store(spec: StoreSpec, stores: StoreRegistry) -> dict[str, Any]:
    """Return a store's type, and where and in which state it is."""
    restoring = stores.restoring(spec.name)
    here = sorted(task.partition for task in stores.open(spec.name))
    body: dict[str, Any] = {
        "name": spec.name,
        "type": spec.kind,
        "key": spec.key.name,
        "value": spec.value.name,
        "state": "restoring" if restoring else "open" if here else "not here",
        "partitions": {"here": here, "total": stores.partitions(spec.name)},
    }
    if spec.kind == "window":
        body |= {"window_ms": spec.window_size_ms}
    if spec.kind in _WINDOWED:
        body |= {"retention_ms": spec.retention_ms}
    if spec.kind == "versioned":
        body |= {"history_ms": spec.retention_ms}
    if restoring:
        body["restoring"] = {str(task.partition): _progress(done) for task, done in restoring.items()}
    return body


def row_body(row: Row, spec: StoreSpec) -> dict[str, Any]:
    """Return a row as JSON shows it."""
    body: dict[str, Any] = {"key": spec.key.deserialize(row.position.key_bytes)}
    if spec.kind == "window":
        body["window"] = window_body(row.position.start, spec.window_size_ms)
    if spec.kind == "session":
        body["session"] = span_body(row.position.start, row.position.end)
    return body | value_body(ValueAndTimestamp(row.value, row.timestamp))


def value_body(found: ValueAndTimestamp[Any]) -> dict[str, Any]:
    """Return a value with its event time, in ms and as RFC 3339."""
    return {"value": found.value, "timestamp": found.timestamp, "time": format_time(found.timestamp)}


def window_body(start: int, size_ms: int) -> dict[str, Any]:
    """Return a window: start (inclusive) and end (exclusive), in ms and as RFC 3339."""
    return span_body(start, start + size_ms)


def span_body(start: int, end: int) -> dict[str, Any]:
    """Return start and end, which of a session is inclusive, in ms and as RFC 3339."""
    return {"start": start, "end": end, "start_time": format_time(start), "end_time": format_time(end)}


def _progress(progress: Progress) -> dict[str, int]:
    return {"restored": progress.restored, "total": progress.total}
