"""Running a user's processor as an operator."""

from __future__ import annotations

from typing import Any

from pipeline.errors import ProcessingError, RecordTooLargeError, TopologyError
from pipeline.operators.context import OperatorContext, failed
from pipeline.record import Forward, Headers, Record
from pipeline.topology import Process


def build_process(node: Process, context: OperatorContext, forward: Forward) -> Forward:
    """Make a processor for this task, and call it with every record."""
    try:
        processor = node.supplier()
        processor.init(context.processor_context(node, forward))
    except TopologyError:
        raise
    except Exception as error:
        raise failed(node, node.supplier, error) from error
    context.on_close(processor.close)
    call = processor.process

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            call(Record(key, value, timestamp, headers))
        except (ProcessingError, RecordTooLargeError):
            # It comes from an operator after this one, and says so.
            raise
        except Exception as error:
            raise failed(node, call, error) from error

    return process
