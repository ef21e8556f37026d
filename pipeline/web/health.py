"""`GET /health`: is the process alive? `GET /ready`: does it process, and may it be queried?"""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from faust.web.base import Request, Response
from faust.web.blueprints import Blueprint

from pipeline.web.view import EngineView

blueprint = Blueprint("health")

RETRY_AFTER_S = 1


@blueprint.route("/health", name="health")
class Health(EngineView):
    """200 while the engine's thread lives, whatever it waits for; 500 after it ended."""

    async def get(self, request: Request) -> Response:  # noqa: ARG002 - Faust hands it over; nothing is read from it
        """Answer at once: nothing is asked of the broker."""
        engine = self.engine
        if engine.alive:
            return self.answer({"status": "alive", "state": engine.status().state})
        failure = engine.failure
        reason = "the engine is not running" if failure is None else str(failure)
        return self.answer({"status": "dead", "error": reason}, status=HTTPStatus.INTERNAL_SERVER_ERROR)


@blueprint.route("/ready", name="ready")
class Ready(EngineView):
    """200 while records are processed; 503 with the reason otherwise."""

    async def get(self, request: Request) -> Response:  # noqa: ARG002 - Faust hands it over; nothing is read from it
        """Answer with state, broker and number of tasks."""
        status = self.engine.status()
        body: dict[str, Any] = {"state": status.state, "broker": status.address, "tasks": status.tasks}
        if status.restoring is not None:
            body["restoring"] = asdict(status.restoring)
        if status.standbys is not None:
            body["standbys"] = asdict(status.standbys)
        if status.state == "running" and status.problem is None and self.engine.alive:
            return self.answer(body)
        reason = status.problem or f"the worker is {status.state}"
        return self.answer(
            {"error": reason, **body}, status=HTTPStatus.SERVICE_UNAVAILABLE, retry_after_s=RETRY_AFTER_S
        )
