"""Pairs that users' functions return: a key with its value."""

from __future__ import annotations

import reprlib
from typing import Any


def as_pair(returned: Any) -> tuple[Any, Any]:
    """Return key and value of what a function returned.

    Python would take apart a text of two letters as well, and a mapping of two keys, and tell nobody.

    Raises:
        TypeError: it is no tuple of two.

    >>> as_pair(("k", 1))
    ('k', 1)
    """
    if isinstance(returned, tuple) and len(returned) == 2:  # noqa: PLR2004 - a pair
        return returned
    raise TypeError(
        f"it must return a tuple (key, value), not {type(returned).__name__} {reprlib.repr(returned)}"
    )
