"""What all views share: access to the engine, JSON answers, and errors as JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Protocol, cast

import msgspec
from faust.web.base import Request, Response
from faust.web.exceptions import WebError
from faust.web.views import View

from pipeline.engine import Engine
from pipeline.serde.json import representation


class Shell(Protocol):
    """What the views need of `pipeline.App`."""

    @property
    def engine(self) -> Engine:
        """The service that runs the topology."""
        ...


class HttpError(WebError):
    """An answer other than 200.

    Args:
        status: HTTP status.
        message: what is wrong and what to do, for the reader of the answer.
        details: further fields of the JSON body.
        retry_after_s: for 503: when to come again, in seconds.
    """

    def __init__(
        self, status: HTTPStatus, message: str, *, retry_after_s: int | None = None, **details: Any
    ) -> None:
        super().__init__(message, code=int(status), **details)
        self.retry_after_s = retry_after_s


class EngineView(View):
    """A view on the engine."""

    @property
    def engine(self) -> Engine:
        """The application's engine."""
        return cast("Shell", self.app).engine

    def answer(
        self, body: object, *, status: int = HTTPStatus.OK, retry_after_s: int | None = None
    ) -> Response:
        """Return `body` as JSON.

        Raises:
            HttpError: 500, if a value in it has no JSON form.
        """
        try:
            data = msgspec.json.encode(body, enc_hook=representation)
        except (TypeError, ValueError) as error:
            raise HttpError(
                HTTPStatus.INTERNAL_SERVER_ERROR, f"this value has no JSON form: {error}"
            ) from error
        headers = {"Cache-Control": "no-store"}
        if retry_after_s is not None:
            headers["Retry-After"] = str(retry_after_s)
        return self.bytes(data, content_type="application/json", status=status, headers=headers)

    async def on_request_error(self, request: Request, exc: WebError) -> Response:  # noqa: ARG002 - Faust's signature
        """Answer with the error as JSON: `{"error": message, ...}`."""
        retry_after_s = exc.retry_after_s if isinstance(exc, HttpError) else None
        return self.answer(
            {"error": exc.detail, **exc.extra_context}, status=exc.code, retry_after_s=retry_after_s
        )
