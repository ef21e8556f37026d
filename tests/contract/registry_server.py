"""A schema registry over HTTP that speaks as much of Confluent's protocol as its clients need."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Mapping
from typing import Any, Final, Self

from aiohttp import web

from pipeline.serde.compatibility import incompatibility

#: Confluent's error codes.
_NO_SUBJECT: Final = 40401
_NO_VERSION: Final = 40402
_NO_SCHEMA: Final = 40403
_INCOMPATIBLE: Final = 409


class RegistryServer:
    """Serves in a thread of its own; subjects take versions that can read the one before.

    Attributes:
        requests: what it was asked, as `POST /subjects/orders-value/versions`.
        failing: answers every request with this status; None: answers.
        failing_for: answers requests of these paths with 503.
        user: who may ask, `name:password`; None: anybody.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.failing: int | None = None
        self.failing_for: set[str] = set()
        self.user: str | None = None
        self._schemas: list[dict[str, Any]] = []
        self._subjects: dict[str, list[int]] = {}
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def subjects(self) -> dict[str, list[int]]:
        """By subject, the ids of its versions."""
        return dict(self._subjects)

    def __enter__(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def listen(self) -> None:
        """Answer, at the same port as before."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    async def _listen(self) -> None:
        app = web.Application(middlewares=[self._gate])
        app.add_routes(
            [
                web.post("/subjects/{subject}/versions", self._register),
                web.post("/subjects/{subject}", self._look_up),
                web.get("/schemas/ids/{id}", self._schema),
                web.get("/subjects/{subject}/versions/{version}", self._version),
            ]
        )
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        assert self._runner.addresses
        self._port = self._runner.addresses[0][1]

    def close(self) -> None:
        """Be gone: connections are refused."""
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
            self._runner = None

    def put(self, subject: str, schema: Any, **more: Any) -> int:
        """Register a schema as somebody else does."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return self._add(subject, {"schema": text, **more})

    def _add(self, subject: str, given: Mapping[str, Any]) -> int:
        known = {name: given[name] for name in ("schema", "schemaType", "references") if given.get(name)}
        if known not in self._schemas:
            self._schemas.append(known)
        schema_id = self._schemas.index(known) + 1
        versions = self._subjects.setdefault(subject, [])
        if schema_id not in versions:
            versions.append(schema_id)
        return schema_id

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        if self.failing is not None or request.path in self.failing_for:
            return _error(self.failing or 503, 50001, "no leader, or too many of you")
        wanted = None if self.user is None else base64.b64encode(self.user.encode()).decode()
        if wanted is not None and request.headers.get("Authorization") != f"Basic {wanted}":
            return _error(401, 40101, "Unauthorized")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _register(self, request: web.Request) -> web.Response:
        subject, given = request.match_info["subject"], await request.json()
        versions = self._subjects.get(subject, ())
        for version in versions[-1:]:
            if reason := incompatibility(given["schema"], self._schemas[version - 1]["schema"]):
                return _error(409, _INCOMPATIBLE, f"Schema being registered is incompatible: {reason}")
        return web.json_response({"id": self._add(subject, given)})

    async def _look_up(self, request: web.Request) -> web.Response:
        subject, given = request.match_info["subject"], await request.json()
        if subject not in self._subjects:
            return _error(404, _NO_SUBJECT, f"Subject '{subject}' not found.")
        for version, schema_id in enumerate(self._subjects[subject], 1):
            if self._schemas[schema_id - 1]["schema"] == given["schema"]:
                return web.json_response(
                    {"subject": subject, "id": schema_id, "version": version, "schema": given["schema"]}
                )
        return _error(404, _NO_SCHEMA, "Schema not found")

    async def _schema(self, request: web.Request) -> web.Response:
        schema_id = int(request.match_info["id"])
        if not 1 <= schema_id <= len(self._schemas):
            return _error(404, _NO_SCHEMA, f"Schema {schema_id} not found")
        return web.json_response(self._schemas[schema_id - 1])

    async def _version(self, request: web.Request) -> web.Response:
        subject, version = request.match_info["subject"], int(request.match_info["version"])
        versions = self._subjects.get(subject, [])
        if not 1 <= version <= len(versions):
            return _error(404, _NO_VERSION, f"Version {version} not found.")
        schema_id = versions[version - 1]
        body = {"subject": subject, "version": version, "id": schema_id, **self._schemas[schema_id - 1]}
        return web.json_response(body)


def _error(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"error_code": code, "message": message}, status=status)
