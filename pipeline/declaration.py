"""Where something was declared, what a user's function is called, and which names a topic can have."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import ParamSpec, TypeVar

from pipeline.errors import TopologyError

P = ParamSpec("P")
R = TypeVar("R")

_PACKAGE = str(Path(__file__).parent) + os.sep


def declaration_site() -> str:
    """Return `file:line` of the user's code that is declaring something."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to a caller's line without building a stack
    while frame.f_back is not None and _is_ours(frame):
        frame = frame.f_back
    return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"


def _is_ours(frame: FrameType) -> bool:
    """Whether a frame is this library's. Fused operators, as the `__init__` of a dataclass, have no file."""
    file = frame.f_code.co_filename
    module: str = frame.f_globals.get("__name__", "")
    return file.startswith(_PACKAGE) or (file.startswith("<") and module.startswith("pipeline."))


def declares(function: Callable[P, R]) -> Callable[P, R]:
    """Have what a function refuses named with the function and the user's line.

    For functions that users call to declare something before there is an operator that could name
    it, such as windows. Arguments that are missing or unknown are refused, too.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def declared(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            signature.bind(*args, **kwargs)
            return function(*args, **kwargs)
        except (TypeError, ValueError) as error:
            wanted = ", ".join(f"{name}=" for name in signature.parameters)
            hint = f"; give it {wanted}" if isinstance(error, TypeError) else ""
            raise TopologyError(f"{function.__name__} at {declaration_site()}: {error}{hint}") from error

    return declared


def describe_function(function: object) -> str:
    """Return a function's name with its file and line, for messages about what it did.

    Sees through decorators and `functools.partial`; of an object that is called, and of a class,
    the line is that of its `__call__` or `__init__`. What this library brings along has a name alone.
    """
    while isinstance(function, partial):
        function = function.func
    if callable(function):
        function = inspect.unwrap(function)
    kind = function if isinstance(function, type) else type(function)
    name = getattr(function, "__qualname__", kind.__qualname__)
    called = function
    if not hasattr(function, "__code__"):
        called = getattr(kind, "__init__" if kind is function else "__call__", None)
    code = getattr(called, "__code__", None)
    if code is None or code.co_filename.startswith(_PACKAGE):
        return name
    return f"{name} ({_short(code.co_filename)}:{code.co_firstlineno})"


def describe_frame(frame: FrameType) -> str:
    """Return the user's function that a running frame stands in, with its line; or that of this library."""
    users: FrameType | None = None
    each: FrameType | None = frame
    while each is not None and not _is_ours(each):
        users, each = each, each.f_back
    found = frame if users is None else users
    return f"{found.f_code.co_qualname} ({_short(found.f_code.co_filename)}:{found.f_lineno})"


def _short(path: str) -> str:
    file = Path(path)
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else path


def check_topic_name(name: str, what: str) -> None:
    """Raise TopologyError unless `name` can be (part of) a Kafka topic's name."""
    legal = (
        isinstance(name, str)
        and name
        and len(name) <= 200  # noqa: PLR2004 - Kafka allows 249, prefix and suffix take the rest
        and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)
    )
    if not legal or name in {".", ".."}:
        raise TopologyError(f"{what} {name!r} cannot be a topic's name: use up to 200 of a-z A-Z 0-9 . _ -")
