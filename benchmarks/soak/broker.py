"""Apache Kafka with a sink that can be stalled: its clients' records stop, everything else goes on."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from pipeline.testing.brokers import ApacheKafka
from pipeline.testing.process import ServerProcess, accepts_connections, free_port

_ATTEMPTS: Final = 3_000
_MAP: Final = {"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT"}


class StallableKafka(ApacheKafka):
    """One broker with two listeners: clients of the second one come through a proxy.

    Args:
        settings: server properties.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(settings={**(settings or {}), **_MAP})
        self._inner, self._outer = free_port(), free_port()
        self._folder_of_proxy = tempfile.TemporaryDirectory(prefix="headrace-proxy-")
        self._proxy: ServerProcess | None = None

    @property
    def proxied(self) -> str:
        """Bootstrap address of the clients whose records are to be stalled."""
        return f"127.0.0.1:{self._outer}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Start broker and proxy."""
        super().start()
        command = [sys.executable, "-m", "benchmarks.soak.proxy", str(self._outer), str(self._inner)]
        self._proxy = ServerProcess("the proxy", command, Path(self._folder_of_proxy.name) / "proxy.log")
        self._proxy.wait_ready(lambda: accepts_connections(self._outer), _ATTEMPTS)

    def stop(self) -> None:
        """Stop both."""
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            proxy.stop()
        super().stop()
        self._folder_of_proxy.cleanup()

    def stall(self) -> None:
        """Let no record through."""
        self._signal(signal.SIGUSR1)

    def release(self) -> None:
        """Let them through again."""
        self._signal(signal.SIGUSR2)

    def _signal(self, number: signal.Signals) -> None:
        assert self._proxy is not None, "the broker is not started"  # noqa: S101 - a mistake of the caller
        os.kill(self._proxy.pid, number)

    def _roles(self, node: int) -> dict[str, str]:
        roles = super()._roles(node)
        roles["listeners"] += f",PROXIED://127.0.0.1:{self._inner}"
        roles["advertised.listeners"] += f",PROXIED://{self.proxied}"
        return roles
