"""What is answered for a key that this worker does not hold: by `/stores`, and by an application's views."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from aiohttp.web import Request, Response, StreamResponse, middleware

from pipeline.errors import BrokerError, BrokerUnreachableError, RewindError, StateError
from pipeline.runtime.queries import ElsewhereError, NotReadyError
from pipeline.web.view import HttpError, Shell

if TYPE_CHECKING:
    from pipeline.runtime.worker import WorkerStatus

RETRY_AFTER_S: Final = 1

Handler: TypeAlias = Callable[[Request], Awaitable[StreamResponse]]


def translated(error: StateError | BrokerError, status: WorkerStatus) -> HttpError:
    """Return the answer for a query that failed; a schema registry that is away is a broker that is.

    421: another worker holds the key; 503: nobody can say now, or it is being restored.
    """
    if isinstance(error, ElsewhereError) and status.state == "running":
        return HttpError(HTTPStatus.MISDIRECTED_REQUEST, str(error), partition=error.partition)
    progress = error.progress if isinstance(error, NotReadyError) else None
    details = {} if progress is None else {"restored": progress.restored, "total": progress.total}
    return HttpError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        status.problem or str(error),
        retry_after_s=RETRY_AFTER_S,
        state=status.state,
        **details,
    )


def answering(shell: Shell) -> Any:
    """Return a middleware of aiohttp that answers for views in which a table says that a key is not here.

    And likewise where its value cannot be read now, as the schema registry is away.

    Args:
        shell: the application.
    """

    @middleware
    async def answer(request: Request, handler: Handler) -> StreamResponse:
        try:
            return await handler(request)
        except (StateError, BrokerUnreachableError, RewindError) as error:
            answer = translated(error, shell.engine.status())
            headers = {"Cache-Control": "no-store"}
            if answer.retry_after_s is not None:
                headers["Retry-After"] = str(answer.retry_after_s)
            body = msgspec.json.encode({"error": answer.detail, **answer.extra_context})
            return Response(body=body, status=answer.code, content_type="application/json", headers=headers)

    return answer
