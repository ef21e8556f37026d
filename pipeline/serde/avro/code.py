"""Python code for one schema, made once: no look at the schema for each field of each record.

It does what fastavro does, for what is common, and raises for all else: a value of another type than is
expected, bytes that are no value, a rare form of something. Then fastavro does it, or says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

#: Longer code is for a schema that nobody meant, such as types that hold each other a hundredfold.
_MAX_LINES: Final = 10_000


class NoCodeError(Exception):
    """There is no code for a schema: fastavro does it all."""


class UnfitError(Exception):
    """Something is not as the code expects."""


class Code:
    """The lines of one function, and what they refer to by name.

    Args:
        signature: `name(arguments)`.
        names: what the code refers to.
    """

    def __init__(self, signature: str, names: dict[str, Any]) -> None:
        self._name = signature.partition("(")[0]
        self._lines = [f"def {signature}:"]
        self._names = {"UnfitError": UnfitError, **names}
        self._depth = 1
        self._count = 0

    def add(self, *lines: str) -> None:
        """Add lines at the present depth.

        Raises:
            NoCodeError: there are too many.
        """
        self._lines += ["    " * self._depth + line for line in lines]
        if len(self._lines) > _MAX_LINES:
            raise NoCodeError

    @contextmanager
    def within(self, head: str) -> Iterator[None]:
        """Add a compound statement: what is added within `with` is its body."""
        self.add(head)
        self._depth += 1
        yield
        self._depth -= 1

    def variable(self) -> str:
        """Return a name that is not taken."""
        self._count += 1
        return f"v{self._count}"

    def constant(self, value: Any) -> str:
        """Return a name for a value: nothing that comes from a schema is ever written into the code."""
        self._count += 1
        name = f"c{self._count}"
        self._names[name] = value
        return name

    def function(self) -> Callable[..., Any]:
        """Return the function."""
        # Names in it are numbered, values are passed beside it.
        exec(compile("\n".join(self._lines), "<avro>", "exec"), self._names)  # noqa: S102
        made: Callable[..., Any] = self._names[self._name]
        return made


def kind_of(schema: Any, named: dict[str, Any]) -> tuple[str, Any]:
    """Return a schema's type, and the schema itself where it stood under a name.

    >>> kind_of("long", {})
    ('long', {'type': 'long'})
    """
    if isinstance(schema, list):
        return "union", schema
    if isinstance(schema, str):
        schema = named.get(schema, {"type": schema})
    while isinstance(schema["type"], dict):
        schema = schema["type"]
    if not isinstance(schema["type"], str):
        return "union", schema["type"]
    return schema["type"], schema
