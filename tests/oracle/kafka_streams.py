"""Runs cases through Kafka Streams itself: a JVM with the program in `java/`, one JSON line a case."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pipeline.errors import BrokerError
from pipeline.testing.java import compiled, jdk
from pipeline.testing.kafka_jars import classpath, kafka_directory
from tests.oracle.cases import Case, Output, Result
from tests.oracle.probes import probe

_HERE: Final = Path(__file__).parent
_LOCK: Final = _HERE / "kafka-streams-jars.lock"
_SOURCES: Final = _HERE / "java"
#: Cases are small: the time goes into starting them, which the quick compiler does best.
_JVM_OPTIONS: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m")


class KafkaStreams:
    """One JVM, for any number of cases.

    Args:
        directory: where jars and classes are kept; default `.kafka` in the current directory.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or kafka_directory()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        java = jdk() / "java"
        path = classpath(self._directory, _LOCK)
        classes = compiled(_SOURCES, path, self._directory, "oracle")
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [java, *_JVM_OPTIONS, "-cp", f"{classes}{os.pathsep}{path}", "Oracle"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def run(self, case: Case, improvements: Iterable[int] = ()) -> Result:
        """Return what Kafka Streams makes of a case; may be called from several threads, one at a time runs.

        Args:
            case: the case.
            improvements: numbers of the documented improvements with which it is to be corrected.

        Raises:
            BrokerError: the JVM has ended.
        """
        probed = probe(case)
        request = case.json() | {
            "improvements": sorted(improvements),
            "probe": {"keys": probed.keys, "times": probed.times},
        }
        with self._lock:
            return _result(self._ask(json.dumps(request)))

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            self._log.seek(0)
            said = self._log.read()[-2000:].decode(errors="replace")
            raise BrokerError(f"the JVM with Kafka Streams has ended: {said}")
        read: dict[str, Any] = json.loads(answer)
        return read


def _result(answer: dict[str, Any]) -> Result:
    outputs = [
        [Output(topic, _bytes(key), _bytes(value), *rest) for topic, key, value, *rest in records]
        for records in answer["outputs"]
    ]
    stores = {name: [tuple(row) for row in rows] for name, rows in answer.get("stores", {}).items()}
    return Result(outputs, stores, answer.get("error"))


def _bytes(encoded: str | None) -> bytes | None:
    return None if encoded is None else base64.b64decode(encoded)
