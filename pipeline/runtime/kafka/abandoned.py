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


class CallAbandonedError(Exception):
    """The call has not returned in time, and may never: whatever it was made on can be used no more."""


class Call:
    """A call that a thread makes; satisfies `pipeline.runtime.background.Running`."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._ended = threading.Event()
        self._failure: BaseException | None = None

    def make(self) -> None:
        """Make it."""
        try:
            self._function()
        except BaseException as error:  # noqa: BLE001 (raised by `wait`, in its caller's thread)
            self._failure = error
        self._ended.set()

    @property
    def done(self) -> bool:
        """Whether it has returned, or raised."""
        return self._ended.is_set()

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when it does.

        Raises:
            CallAbandonedError: it has not returned within `timeout_s`.
            Exception: what the call raised.
        """
        if not self._ended.wait(timeout_s):
            raise CallAbandonedError
        if self._failure is not None:
            raise self._failure


class CallThread:
    """Makes one call at a time in a thread of its own, which starts with the first.

    Satisfies `pipeline.runtime.background.Background`.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        #: Whether a call was left behind.
        self.abandoned = False

    def begin(self, function: Callable[[], object]) -> Call:
        """Begin a call."""
        if self._thread is None:
            # A daemon: what never returns must not keep the process from ending.
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        call = Call(function)
        self._calls.put(call.make)
        return call

    def call(self, function: Callable[[], object], timeout_s: float) -> None:
        """Make a call, and return when it does.

        Raises:
            CallAbandonedError: it has not returned within `timeout_s`.
            Exception: what the call raised.
        """
        try:
            self.begin(function).wait(timeout_s)
        except CallAbandonedError:
            self.abandoned = True
            raise

    def close_with(self, last: Callable[[], object], timeout_s: float) -> bool:
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
        self.close()
        return not self.abandoned

    def close(self) -> None:
        """End when the calls that were begun have been made."""
        self._calls.put(None)

    def _run(self) -> None:
        while (function := self._calls.get()) is not None:
            function()
