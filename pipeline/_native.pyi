from collections.abc import Callable, Iterator
from typing import Any, final

import confluent_kafka

from pipeline.observability.patterns import Mask, Step
from pipeline.record import Headers
from pipeline.runtime.decoding import Decoded, Decoding
from pipeline.runtime.producer import Produce
from pipeline.runtime.taking import Queue, Taker
from pipeline.state.window_entries import Columns, WindowEntry

def link(path: str, /) -> None: ...
def encode_entries(
    kind: type[WindowEntry],
    entries: tuple[WindowEntry, ...],
    serialize: Callable[[Any], bytes],
    segment: bytes,
    slot: bytes,
    changes: dict[bytes, bytes | None],
    /,
) -> Columns: ...

@final
class Expression:
    def __init__(self, steps: tuple[Step, ...], otherwise: Mask, /) -> None: ...
    def mask(self, text: str, replacement: str, /) -> str: ...

@final
class Message:
    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def headers(self) -> Headers: ...
    def __len__(self) -> int: ...

@final
class Fetcher:
    def __init__(self, client: confluent_kafka.Consumer, /) -> None: ...
    def route(self, topic: str, partition: int, /) -> None: ...
    def fetch(
        self, limit: int, least: int, timeout_ms: int, /
    ) -> tuple[
        list[tuple[str, int, list[Message]]],
        list[tuple[int, str, str | None, int, int]],
        list[tuple[int, str, bool]],
    ]: ...
    def close(self) -> None: ...

@final
class Producer:
    def __init__(
        self,
        client: confluent_kafka.Producer,
        error: Callable[[int], BaseException],
        by_client: Produce,
        /,
    ) -> None: ...
    @property
    def produce(self) -> Produce: ...
    def failures(self) -> list[tuple[int, str, int, bytes | None, bytes | None]]: ...
    def __len__(self) -> int: ...
    def close(self) -> None: ...

@final
class Taking:
    def __init__(self, queue: Queue, taker: Taker, decoding: Decoding, /) -> None: ...
    def __call__(self, limit: int, until: int, /) -> Iterator[Decoded]: ...
