"""`python -m benchmarks.soak.proxy PORT TARGET`: what stands between a worker and its broker.

SIGUSR1 stalls the sink: connections that have brought records carry no more of them, all others go on, so
that the worker is fed and stays a member. SIGUSR2 releases it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Final

from benchmarks.soak.requests import Requests

_CHUNK: Final = 256 * 1024


class Proxy:
    """Forwards connections to a port of this machine."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._released = asyncio.Event()
        self._released.set()

    async def serve(self, port: int) -> None:
        """Listen, until the process is ended."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._released.clear)
        loop.add_signal_handler(signal.SIGUSR2, self._released.set)
        server = await asyncio.start_server(self._connect, "127.0.0.1", port, limit=_CHUNK)
        await server.serve_forever()

    async def _connect(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            broker, to_broker = await asyncio.open_connection("127.0.0.1", self._target, limit=_CHUNK)
        except OSError:
            to_client.close()
            return
        await asyncio.gather(self._requests(client, to_broker), self._answers(broker, to_client))

    async def _requests(self, client: asyncio.StreamReader, to_broker: asyncio.StreamWriter) -> None:
        requests = Requests()
        with suppress(OSError):
            while data := await client.read(_CHUNK):
                requests.feed(data)
                if requests.produces:
                    await self._released.wait()
                to_broker.write(data)
                await to_broker.drain()
        to_broker.close()

    async def _answers(self, broker: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await broker.read(_CHUNK):
                to_client.write(data)
                await to_client.drain()
        to_client.close()


async def main() -> None:
    """Serve on the first port for what listens on the second."""
    await Proxy(int(sys.argv[2])).serve(int(sys.argv[1]))


if __name__ == "__main__":
    asyncio.run(main())
