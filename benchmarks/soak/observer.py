"""What a worker does, seen from outside of it: its memory, what it has committed, what it says of itself."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

_TIMEOUT_S: Final = 10.0
_PAGE: Final = 1_000
_KIB: Final = 1024


class Sample(NamedTuple):
    """One look.

    Attributes:
        second: since the feeding began.
        sent: events sent by then.
        done: events whose results are committed.
        resident: bytes of memory of the worker's process.
        problem: what the worker says keeps it from working; None: nothing.
    """

    second: float
    sent: int
    done: int
    resident: int
    problem: str | None


class Observer:
    """Looks at a worker.

    Args:
        address: bootstrap address that nothing stalls.
        group: the application.
        source: its topic.
        partitions: of the topic.
        pid: of the worker.
        port: of its HTTP views.
    """

    def __init__(self, address: str, group: str, source: str, partitions: int, pid: int, port: int) -> None:
        settings = {"bootstrap.servers": address, "group.id": group, "log_level": 3}
        self._client = Consumer(settings | {"enable.auto.commit": False})
        self._partitions = [TopicPartition(source, number) for number in range(partitions)]
        self._status, self._port = Path(f"/proc/{pid}/status"), port
        self._done = 0

    def look(self, second: float, sent: int) -> Sample:
        """Return what there is to see now."""
        return Sample(second, sent, self.done(), self.resident(), self.problem())

    def done(self) -> int:
        """Return how many events are committed; while the coordinator does not answer, what it said last."""
        try:
            committed = self._client.committed(self._partitions, timeout=_TIMEOUT_S)
        except KafkaException:
            return self._done
        self._done = sum(max(0, partition.offset) for partition in committed)
        return self._done

    def resident(self) -> int:
        """Return the bytes of memory that the worker's process has."""
        lines = self._status.read_text(encoding="ascii").splitlines()
        (line,) = (line for line in lines if line.startswith("VmRSS:"))
        return int(line.split()[1]) * _KIB

    def written(self, topic: str) -> int:
        """Return how many records a topic has got."""
        ends: Iterator[tuple[int, int]] = (
            self._client.get_watermark_offsets(TopicPartition(topic, partition.partition), timeout=_TIMEOUT_S)
            for partition in self._partitions
        )
        return sum(end for _begin, end in ends)

    def problem(self) -> str | None:
        """Return why the worker is not ready, None if it is."""
        status, body = self._get("/ready")
        return None if status == 200 else str(body.get("error", "it does not answer"))  # noqa: PLR2004 - HTTP's OK

    def counted(self, store: str) -> int:
        """Return the sum of all counts in a store, page by page."""
        total, after = 0, ""
        while True:
            status, body = self._get(f"/stores/{store}?limit={_PAGE}{after}")
            if "rows" not in body:
                raise RuntimeError(f"{store}: {status} {body}")
            counts: list[int] = [row["value"] for row in body["rows"]]
            total += sum(counts)
            if body["next"] is None:
                return total
            after = f"&after={body['next']}"

    def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        try:
            url = f"http://127.0.0.1:{self._port}{path}"
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}

    def close(self) -> None:
        """Free the connection."""
        self._client.close()
