"""What every windowed aggregate does around its windows: admit records, send results on.

```
record -> has it a key and a value? -> it advances time -> windows that this closes are emitted, if
                                                           results go downstream when windows close
       -> the family's own part: `time_windows`, `sliding_windows`, `session_windows`
```
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pipeline.operators.closing_windows import ClosingWindows
from pipeline.operators.context import OperatorContext, StreamTime, failed, unencodable
from pipeline.record import Change, Forward, Headers, Windowed
from pipeline.state.store import Entry
from pipeline.topology import Aggregate
from pipeline.windows import SessionWindows

#: `(key_bytes, key, value, timestamp_ms, headers)`: what adds a record to its windows.
Take: TypeAlias = Callable[[bytes, Any, Any, int, Headers], None]

#: Why a record of a cogroup's stream is dropped that is on time by its own stream's time.
FORGOTTEN: Final = "window is older than the retention: another stream is ahead"


@dataclass(frozen=True, slots=True)
class Input:
    """One of the streams that an aggregate folds.

    Attributes:
        node: the aggregate.
        number: which of its inputs.
        context: its task.
        time: stream time. Each stream of a cogroup is judged by its own, as in Kafka Streams.
        closing: emits windows when they close; None: every update is emitted.
    """

    node: Aggregate
    number: int
    context: OperatorContext
    time: StreamTime
    closing: ClosingWindows | None

    @property
    def store(self) -> Any:
        """The aggregate's store."""
        return self.context.store(self.node.store.name)

    @property
    def aggregator(self) -> Callable[[Any, Any, Any], Any]:
        """What adds one of the stream's values."""
        return self.node.aggregators[self.number]


def build_inputs(
    node: Aggregate,
    context: OperatorContext,
    forward: Forward | None,
    family: Callable[[Any, Input], Take],
) -> tuple[Forward, ...]:
    """Return, by input, what processes its records.

    Args:
        node: the aggregate.
        context: its task.
        forward: what follows; None if nothing does.
        family: `(windows, input)`: returns the part that depends on the kind of the windows.
    """
    times = [context.stream_time(node, number) for number in range(len(node.grouped))]
    closing = None
    if node.waiting is None:
        _forward_updates(node, context, forward)
    else:
        closing = ClosingWindows(node, context, forward, times[0], _reader(node, context))
    inputs = (Input(node, number, context, time, closing) for number, time in enumerate(times))
    return tuple(_admit(one, family(node.windows, one)) for one in inputs)


def _admit(source: Input, take: Take) -> Forward:
    """Null keys are rejected, null values dropped; neither advances stream time.

    Kafka Streams does so with null values of sliding windows only: a count of nothing is no count.
    """
    node, context, time = source.node, source.context, source.time
    serde = node.grouped[source.number].key
    encode, fail = serde.serialize, context.fail
    emit_closed = None if source.closing is None else source.closing.emit

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if key is None:
            context.reject(node, "null key")
            return
        if value is None:
            context.drop(node, "null value")
            return
        if timestamp > time.ms:
            time.ms = timestamp
            if emit_closed is not None:
                # Before the record is taken: what it puts may make the store forget them.
                emit_closed(headers)
        try:
            key_bytes = encode(key)
        except Exception as error:
            fail(unencodable(node, serde, key, error))
            return
        take(key_bytes, key, value, timestamp, headers)

    return process


def _reader(node: Aggregate, context: OperatorContext) -> Callable[[bytes, int, int], Entry | None]:
    """Return what reads a window by key, start and end."""
    get: Callable[..., Entry | None] = context.store(node.store.name).get_entry
    return get if isinstance(node.windows, SessionWindows) else lambda key, start, _end: get(key, start)


def _forward_updates(node: Aggregate, context: OperatorContext, forward: Forward | None) -> None:
    """Have the store hand its updates to `forward`, as changes of windowed keys."""
    if forward is None:
        return
    store, decode = context.store(node.store.name), node.store.key.deserialize
    size = node.store.window_size_ms

    def updated(key: bytes, start: int, entry: Entry, old: Any) -> None:
        window = Windowed(decode(key), start, start + size)
        forward(window, Change(entry.value, old), entry.timestamp, entry.headers)

    def session_updated(key: bytes, start: int, end: int, entry: Entry, old: Any) -> None:
        window = Windowed(decode(key), start, end)
        forward(window, Change(entry.value, old), entry.timestamp, entry.headers)

    store.on_flush = session_updated if isinstance(node.windows, SessionWindows) else updated
    store.send_old_values = context.sends_old_values(node)


def called(node: Aggregate, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call one of the user's functions.

    Raises:
        ProcessingError: it raised; names the operator and the function.
    """
    try:
        return function(*arguments)
    except Exception as error:
        raise failed(node, function, error) from error
