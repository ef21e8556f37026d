"""Running a user's processor as an operator."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pipeline.errors import ProcessingError, TopologyError
from pipeline.operators.context import OperatorContext, failed, is_fatal
from pipeline.processor import Processor
from pipeline.record import Forward, Headers, Record
from pipeline.topology import Process, ProcessValues, describe_function

#: There is no record in hand: no key can be equal to it.
_NO_KEY = object()


def build_process(node: Process, context: OperatorContext, forward: Forward) -> Forward:
    """Make a processor for this task, and call it with every record."""
    processor = _started(node, context, forward)
    call: Callable[[Record[Any, Any]], object] = processor.process
    fail = context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            returned = call(Record(key, value, timestamp, headers))
        except Exception as error:
            if is_fatal(error):
                raise
            fail(failed(node, call, error))
        else:
            if isinstance(returned, Record):
                fail(failed(node, call, _lost()))

    return process


def build_process_values(node: ProcessValues, context: OperatorContext, forward: Forward) -> Forward:
    """Like `build_process`; what it forwards must have the key of the record in hand."""
    in_hand: Any = _NO_KEY

    def forward_under_key(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if in_hand is _NO_KEY:
            raise ProcessingError(f"{node}: no record is in hand whose key could be kept: use process()")
        if key is not in_hand and key != in_hand:
            raise ProcessingError(
                f"{node}: forwards key {key!r} for a record with key {in_hand!r}: process() may change keys"
            )
        forward(key, value, timestamp, headers)

    run = build_process(node, context, forward_under_key)

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        nonlocal in_hand
        in_hand = key
        run(key, value, timestamp, headers)
        in_hand = _NO_KEY

    return process


def _started(node: Process, context: OperatorContext, forward: Forward) -> Processor[Any, Any, Any, Any]:
    try:
        processor: Processor[Any, Any, Any, Any] = node.supplier()
        _check_plain(node, processor)
        processor.init(context.processor_context(node, forward))
    except TopologyError:
        raise
    except Exception as error:
        raise failed(node, node.supplier, error) from error
    context.on_close(_closer(node, processor))
    return processor


def _check_plain(node: Process, processor: Processor[Any, Any, Any, Any]) -> None:
    """Refuse methods whose call alone does nothing: every record would be lost without a word."""
    for method in (processor.init, processor.process, processor.close):
        is_async = inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
        if is_async or inspect.isgeneratorfunction(method):
            how = "is async" if is_async else "yields"
            raise TopologyError(
                f"{node}: {describe_function(method)} {how}, and is called as a plain function: forward what "
                "it makes by context.forward(record)"
            )


def _lost() -> TypeError:
    return TypeError("what it returns goes nowhere: hand it on by context.forward(record)")


def _closer(node: Process, processor: Processor[Any, Any, Any, Any]) -> Callable[[], None]:
    def close() -> None:
        try:
            processor.close()
        except Exception as error:
            raise failed(node, processor.close, error) from error

    return close
