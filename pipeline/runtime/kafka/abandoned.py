"""Calls of a client that may never return, made in a thread that can be left behind.

`send_offsets_to_transaction` (librdkafka 2.10 to 2.16 at least) does not keep to its timeout: when the
broker that coordinates the group dies and is struck off the cluster's metadata, the call waits for a
connection to it until some other connection changes, which may be never
(https://github.com/confluentinc/librdkafka/issues/5456 and 5511). Closing a client with an open transaction
aborts it first, likewise, and without any timeout.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


class CallAbandonedError(Exception):
    """The call has not returned in time, and may never: whatever it was made on can be used no more."""


@dataclass(slots=True)
class _Call:
    function: Callable[[], Any]
    done: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None


class CallThread:
    """Makes one call at a time in a thread of its own, which starts with the first.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        #: Whether a call was left behind.
        self.abandoned = False

    def call(self, function: Callable[[], object], timeout_s: float) -> None:
        """Make a call, and return when it does.

        Raises:
            CallAbandonedError: it has not returned within `timeout_s`.
            Exception: what the call raised.
        """
        if self._thread is None:
            # A daemon: what never returns must not keep the process from ending.
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        call = _Call(function)
        self._calls.put(lambda: _make(call))
        if not call.done.wait(timeout_s):
            self.abandoned = True
            raise CallAbandonedError
        if call.failure is not None:
            raise call.failure

    def close(self, last: Callable[[], object], timeout_s: float) -> bool:
        """Have the thread make a last call, and end; return whether it has made it within `timeout_s`.

        One that was left behind returns first, if it does: nobody waits for that.

        Raises:
            Exception: what the call raised.
        """
        if self.abandoned:
            self._calls.put(last)
        else:
            with suppress(CallAbandonedError):
                self.call(last, timeout_s)
        self._calls.put(None)
        return not self.abandoned

    def _run(self) -> None:
        while (function := self._calls.get()) is not None:
            function()


def _make(call: _Call) -> None:
    try:
        call.function()
    except BaseException as error:  # noqa: BLE001 (raised by `call`, in its caller's thread)
        call.failure = error
    call.done.set()
