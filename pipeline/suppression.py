"""When a table's changes go on that are held back: pure, and in whole milliseconds.

Sources: `Suppressed` of Kafka Streams, a3 of its semantics.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal, TypeAlias

from pipeline.declaration import declaration_site, declares
from pipeline.errors import TopologyError
from pipeline.windows import Windows, milliseconds


@dataclass(frozen=True, slots=True)
class BufferConfig:
    """How much is held back at most, in each task, and what is done beyond that.

    What is held back lies in a store with a changelog, on disk as any table: without limits it grows as far
    as time lets it.

    Attributes:
        max_records: number of keys; None: no limit.
        max_bytes: bytes of keys, values and headers, and 16 for the times of each; None: no limit.
        when_full: `shut-down`: the worker stops with an error that says so, having emitted nothing
            early; `emit-early`: what has waited longest is emitted.
        logging: False: no changelog: what is held back is lost with the worker's data folder.
    """

    max_records: int | None = None
    max_bytes: int | None = None
    when_full: Literal["shut-down", "emit-early"] = "shut-down"
    logging: bool = True

    def __post_init__(self) -> None:
        for name, limit in (("max_records", self.max_records), ("max_bytes", self.max_bytes)):
            if limit is not None and (not isinstance(limit, int) or limit < 1):
                raise _refused(f"{name} must be a positive number, not {limit!r}")
        if self.when_full not in {"shut-down", "emit-early"}:
            raise _refused(f"when_full must be 'shut-down' or 'emit-early', not {self.when_full!r}")
        if self.when_full == "emit-early" and not self.limited:
            raise _refused("when_full='emit-early' needs max_records= or max_bytes=: else it is never full")

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self.max_records is not None or self.max_bytes is not None

    def is_full(self, records: int, size: int) -> bool:
        """Return whether more is held back than may be."""
        return (self.max_records is not None and records > self.max_records) or (
            self.max_bytes is not None and size > self.max_bytes
        )

    def __str__(self) -> str:
        limits = ((self.max_records, "records"), (self.max_bytes, "bytes"))
        shown = [f"{limit} {of}" for limit, of in limits if limit is not None]
        return f"at most {' and '.join(shown)}, else {self.when_full}" if shown else "without limit"


@dataclass(frozen=True, slots=True)
class UntilWindowCloses:
    """A window goes on once, when it can change no more.

    ```
    tumbling 10, grace 2
    changes        k [0,10) 1@3   k [0,10) 2@8   k [10,20) 1@12
    goes on                                      k [0,10) 2@8       stream time 12 is end plus grace
    ```

    Kafka Streams lets sliding windows and sessions go a millisecond earlier, at which they still take a
    record: there such a window may go on twice. A session that has gone on can be joined by a record that
    is late for it, but not by itself: the longer session that they make goes on, too.

    Attributes:
        buffer: how much is held back at most.
        windows: of the aggregates that the table comes from: the last to close decides.
    """

    buffer: BufferConfig
    windows: tuple[Windows, ...] = ()
    #: Each window goes on once; one that is deleted before it closes was never told of (rule a3.4).
    is_final: ClassVar[bool] = True

    def waits_for(self, key: Any, timestamp: int) -> int:  # noqa: ARG002 - the limit of time needs it
        """Return the time by which a change of a windowed key waits: the end of its window."""
        end: int = key.end
        return end

    def due_until(self, stream_time: int) -> int:
        """Return the last time by which changes wait that may go on."""
        return min(windows.closed_until(stream_time) for windows in self.windows)

    def __str__(self) -> str:
        return "until windows close"


@dataclass(frozen=True, slots=True)
class UntilTimeLimit:
    """A key's last change goes on when a time has passed since its first one; then the key starts anew.

    ```
    wait 10
    changes   k:a@0   k:b@7         z:c@10   k:d@12
    goes on                         k:b@7               10 after k:a; k:d waits until 22
    ```

    Attributes:
        wait_ms: how long, in stream time.
        buffer: how much is held back at most.
    """

    wait_ms: int
    buffer: BufferConfig
    is_final: ClassVar[bool] = False

    def waits_for(self, key: Any, timestamp: int) -> int:  # noqa: ARG002 - the end of windows needs it
        """Return the time by which a change waits: its own, if the key does not wait already."""
        return timestamp

    def due_until(self, stream_time: int) -> int:
        """Return the last time by which changes wait that may go on."""
        return stream_time - self.wait_ms

    def __str__(self) -> str:
        return f"until {self.wait_ms} ms have passed"


#: What `KTable.suppress` takes.
Suppressed: TypeAlias = UntilWindowCloses | UntilTimeLimit


@declares
def until_window_closes(buffer: BufferConfig | None = None) -> UntilWindowCloses:
    """Hold the changes of a windowed table back until their windows can change no more.

    Args:
        buffer: how much is held back at most; no limit unless told.

    Raises:
        TopologyError: the buffer may emit early: then results would not be final.
    """
    buffer = _buffer(buffer)
    if buffer.when_full == "emit-early":
        raise ValueError("until_window_closes emits final results only: its buffer cannot emit early")
    return UntilWindowCloses(buffer)


@declares
def until_time_limit(wait: timedelta, buffer: BufferConfig | None = None) -> UntilTimeLimit:
    """Hold a key's changes back for a time after the first of them, and let the last one go on.

    Args:
        wait: how long, in stream time; zero holds nothing back.
        buffer: how much is held back at most; no limit unless told.

    Raises:
        TopologyError: the wait is negative, or finer than a millisecond.
    """
    wait_ms = milliseconds(wait, "wait")
    if wait_ms < 0:
        raise ValueError(f"wait must not be negative, not {wait_ms} ms")
    return UntilTimeLimit(wait_ms, _buffer(buffer))


def _buffer(given: object) -> BufferConfig:
    if given is None:
        return BufferConfig()
    if not isinstance(given, BufferConfig):
        raise TypeError(f"the buffer must be a BufferConfig, not {given!r}")
    return given


def _refused(why: str) -> TopologyError:
    return TopologyError(f"BufferConfig at {declaration_site()}: {why}")
