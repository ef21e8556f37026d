"""Running a user's processor as an operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.errors import BrokerError, StateError, TopologyError, UnhandledRecordError
from pipeline.operators.context import OperatorContext, failed
from pipeline.processor import Processor
from pipeline.record import Forward, Headers, Record
from pipeline.topology import Process

#: What passes through a processor's `process` on its way up, to stop the worker.
_FATAL = (UnhandledRecordError, BrokerError, StateError, TopologyError)


def build_process(node: Process, context: OperatorContext, forward: Forward) -> Forward:
    """Make a processor for this task, and call it with every record."""
    try:
        processor = node.supplier()
        processor.init(context.processor_context(node, forward))
    except TopologyError:
        raise
    except Exception as error:
        raise failed(node, node.supplier, error) from error
    context.on_close(_closer(node, processor))
    call, fail = processor.process, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            call(Record(key, value, timestamp, headers))
        except _FATAL:
            raise
        except Exception as error:
            fail(failed(node, call, error))

    return process


def _closer(node: Process, processor: Processor[Any, Any, Any, Any]) -> Callable[[], None]:
    def close() -> None:
        try:
            processor.close()
        except Exception as error:
            raise failed(node, processor.close, error) from error

    return close
