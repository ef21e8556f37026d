"""Feeds records to the broker in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from demo.sending import Outgoing, send
from demo.stop import Stop
from pipeline.clock import Clock
from pipeline.runtime.kafka import KafkaBroker


class Feeder:
    """Sends while its context is open.

    Args:
        records: what to send.
        broker: where to.
        clock: by which records wait for their times.
        stop: asked on leaving the context, so that the thread ends.
    """

    def __init__(self, records: Iterable[Outgoing], broker: KafkaBroker, clock: Clock, stop: Stop) -> None:
        self._records = records
        self._broker = broker
        self._clock = clock
        self._stop = stop
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feeder")
        self._outcome: Future[int] = Future()

    def __enter__(self) -> Self:
        self._outcome = self._pool.submit(self._run)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.request()
        self._pool.shutdown()

    def finished(self) -> int | None:
        """Return how many records were sent, None while there are more.

        Raises:
            BrokerError: the broker refused one, or does not answer.
            InputError: a file cannot be read.
        """
        return self._outcome.result() if self._outcome.done() else None

    def _run(self) -> int:
        producer = self._broker.producer("headrace-demo-feeder")
        try:
            return send(self._records, producer, self._clock, self._stop)
        finally:
            producer.close()
