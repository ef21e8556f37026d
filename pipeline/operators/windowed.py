"""What every windowed aggregate does around its windows: admit records, send results on.

```
record -> admitted: has a key and a value; advances the operator's time
              |-> closing windows are emitted, if results go downstream when windows close
              `-> the family's own part: `time_windows`, `sliding_windows`, `session_windows`
```
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pipeline.operators.closing_windows import ClosingWindows
from pipeline.operators.context import OperatorContext, StreamTime, failed, unencodable
from pipeline.record import Change, Forward, Headers, Windowed
from pipeline.state.store import Entry
from pipeline.topology import Aggregate

#: `(key_bytes, key, value, timestamp_ms, headers)`: what adds a record to its windows.
Take: TypeAlias = Callable[[bytes, Any, Any, int, Headers], None]


def admit(
    node: Aggregate,
    number: int,
    context: OperatorContext,
    time: StreamTime,
    closing: ClosingWindows | None,
    take: Take,
) -> Forward:
    """Return what takes the records of an input, and hands those to `take` that count.

    Null keys are rejected. Null values are dropped and do not advance stream time, which Kafka Streams
    does for sliding windows only: a count of nothing is no count.

    Args:
        node: the aggregate.
        number: which of its inputs.
        context: its task.
        time: stream time of the input; a record is judged by the time that it brings itself.
        closing: emits the windows that time has closed; None: nobody waits for that.
        take: adds the record to its windows.
    """
    serde = node.grouped[number].key
    encode, fail = serde.serialize, context.fail
    emit_closed = None if closing is None else closing.emit

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


def forward_windows(node: Aggregate, size_ms: int, context: OperatorContext, forward: Forward | None) -> None:
    """Have a window store hand its updates to `forward`, as changes of windowed keys."""
    if forward is None:
        return
    store, decode = context.store(node.store.name), node.store.key.deserialize

    def updated(key_bytes: bytes, start: int, entry: Entry, old: Any) -> None:
        key = Windowed(decode(key_bytes), start, start + size_ms)
        forward(key, Change(entry.value, old), entry.timestamp, entry.headers)

    store.on_flush = updated
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
