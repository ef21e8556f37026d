"""Asking agents: questions go to their topics, answers come by a topic of the asking process.

```
ask ---- question: reply-to, correlation-id ----> the agent's topic ----> the agent
    <--- answer: correlation-id ----------------- <application>-replies-<address> <--- what it yields
```

A question is written at once, by a producer of its own: within the transaction of an agent that asks it
would wait for the end of what waits for the answer. Answers are read by a thread, while any is waited for.
"""

from __future__ import annotations

import asyncio
import re
import threading
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from pipeline.agents.questions import CORRELATION_ID, REPLIES, REPLY_TO
from pipeline.errors import AskError, StreamsError
from pipeline.record import Headers, TopicPartition
from pipeline.runtime.broker import Broker, Reader, Records, TopicSpec, messages_of

#: Answers that nobody came for are deleted then.
_KEPT_MS: Final = 3_600_000
_POLL_RECORDS: Final = 500
_POLL_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Somebody who waits for an answer."""

    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[bytes | None]

    def tell(self, value: bytes | None, error: BaseException | None) -> None:
        """Pass on what came, from another thread."""
        try:
            self.loop.call_soon_threadsafe(self._told, value, error)
        except RuntimeError:
            # Its loop is closed: nobody waits any more.
            return

    def _told(self, value: bytes | None, error: BaseException | None) -> None:
        if self.answer.done():
            return
        if error is None:
            self.answer.set_result(value)
        else:
            self.answer.set_exception(error)


class Asker:
    """Writes questions, and hears the answers: one of a process. From any thread, and any event loop.

    Args:
        broker: where they are written to and read from.
        application: names the topic of the answers.
        address: what tells this process from others; names it, too.
        limit: so many answers are waited for at once.
        timeout_s: how long one is waited for.
    """

    def __init__(self, broker: Broker, application: str, address: str, limit: int, timeout_s: float) -> None:
        self.topic = f"{application}{REPLIES}{re.sub('[^A-Za-z0-9._-]+', '-', address)}"
        self.limit = limit
        self._broker, self._timeout_s = broker, timeout_s
        self._lock = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._asked, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    async def ask(self, whom: object, write: Callable[[Headers], Awaitable[None]]) -> bytes | None:
        """Ask a question; return the bytes of the first answer.

        Args:
            whom: who is asked, for messages.
            write: writes the question with these headers.

        Raises:
            AskError: nobody answered in time, or too many answers are waited for.
        """
        correlation, loop = uuid.uuid4().hex, asyncio.get_running_loop()
        waiting = _Waiting(loop, loop.create_future())
        with self._lock:
            if len(self._waiting) >= self.limit:
                raise AskError(
                    f"{whom} cannot be asked: {self.limit} answers are waited for already (max_asks)"
                )
            self._waiting[correlation] = waiting
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.to_thread(self._listen)
                self._asked.set()
                await write(((REPLY_TO, self.topic.encode()), (CORRELATION_ID, correlation.encode())))
                return await waiting.answer
        except TimeoutError as error:
            raise AskError(
                f"{whom} did not answer within {self._timeout_s:g} s (ask_timeout): it yields nothing for "
                "it, failed on it, is not running, or waits in the same task for whoever asks"
            ) from error
        finally:
            with self._lock:
                del self._waiting[correlation]

    def _listen(self) -> None:
        """Begin to read answers, at their topic's end."""
        with self._lock:
            if self._thread is not None:
                return
            admin = self._broker.admin()
            try:
                config = {"cleanup.policy": "delete", "retention.ms": str(_KEPT_MS)}
                admin.create_topics([TopicSpec(self.topic, 1, config)])
                partition = TopicPartition(self.topic, 0)
                end = admin.end_offsets([partition])[partition]
            finally:
                admin.close()
            reader = self._broker.reader()
            reader.add(partition, end, None)
            self._thread = threading.Thread(target=self._read, args=(reader,), name="replies", daemon=True)
            self._thread.start()

    def _read(self, reader: Reader) -> None:
        try:
            while not self._closed.is_set():
                if not self._waiting:
                    self._asked.clear()
                    if not self._waiting and not self._closed.is_set():
                        self._asked.wait()
                    continue
                try:
                    answers = reader.poll(_POLL_RECORDS, _POLL_S)
                except StreamsError as error:
                    self._fail(error)
                    answers = {}
                self._hand_over(answers)
                if not answers:
                    self._closed.wait(_POLL_S)
        finally:
            reader.close()

    def _hand_over(self, answers: Records) -> None:
        for answer in messages_of(answers):
            correlation = dict(answer.headers).get(CORRELATION_ID) or b""
            with self._lock:
                waiting = self._waiting.get(correlation.decode())
            # Others are second answers, or come too late.
            if waiting is not None:
                waiting.tell(answer.value, None)

    def _fail(self, error: StreamsError) -> None:
        with self._lock:
            waiting = list(self._waiting.values())
        for each in waiting:
            each.tell(None, error)

    def close(self) -> None:
        """Stop reading; whoever waits hears no more."""
        self._closed.set()
        self._asked.set()
        if self._thread is not None:
            self._thread.join()


def answer_of(data: bytes | None, decode: Callable[[bytes], Any]) -> Any:
    """Return an answer; None stands for itself."""
    return None if data is None else decode(data)
