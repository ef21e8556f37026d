"""What a table operator makes of both values of a change with a user's function, and when that fails.

A row for which the function fails is not there: what was told of it is taken back, and the failure is
told of once, while its value is the new one. So each old value that goes downstream is one that went
there as a new one before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.operators.context import OperatorContext, failed
from pipeline.topology import Node


def of_new(
    node: Node, function: object, compute: Callable[..., Any], context: OperatorContext
) -> Callable[..., Any]:
    """Return `compute` for new values: None where it fails, which is told of."""
    fail = context.fail

    def computed(*arguments: Any) -> Any:
        try:
            return compute(*arguments)
        except Exception as error:
            fail(failed(node, function, error))
            return None

    return computed


def of_old(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Return `compute` for old values: None where it fails, as it did when the value was new."""

    def computed(*arguments: Any) -> Any:
        try:
            return compute(*arguments)
        except Exception:
            return None

    return computed


def of_row(node: Node, function: object, compute: Callable[..., Any]) -> Callable[..., Any]:
    """Return `compute` for a row that somebody asks for; where it fails, who asks is told.

    Raises:
        ProcessingError: names the operator and the function.
    """

    def computed(*arguments: Any) -> Any:
        try:
            return compute(*arguments)
        except Exception as error:
            raise failed(node, function, error) from error

    return computed
