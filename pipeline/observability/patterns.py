r"""Masks for what a regular expression matches.

`re` is the measure, and is slow at what secrets look like: it tries an expression such as `[\w.+-]+@\w+\.\w+`
at every character of a text, and asks for each whether it is in a class. Simple expressions, which are
classes of characters and how often they are repeated, are matched by the compiled part in texts of ASCII
instead, with the same matches. What has groups, alternatives, lookarounds or flags is left to `re`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from pipeline.compiled import native

#: Replaces what it finds in the first argument by the second; the same object where it finds nothing.
Mask: TypeAlias = Callable[[str, str], str]

#: Of a simple expression: its kind, whether it takes each ASCII character (one byte each, 0 or 1), and the
#: least and the most of them.
Step: TypeAlias = tuple[int, bytes, int, int]

_BOUNDARY, _GREEDY, _LAZY, _POSSESSIVE = range(4)
_KINDS: Final = {"": _GREEDY, "?": _LAZY, "+": _POSSESSIVE}

_STEP: Final = re.compile(
    r"""
    (?: (?P<boundary> \\b)
      | (?P<one> \[ \^? (?:[^\]\\^]|\\.) (?:[^\]\\]|\\.)* \] | \\[wWdDsS] | \\[^\w] | [^\\\[\](){}|^$*+?] )
        (?: (?P<repeated> [*+?] | \{ (?P<least>[0-9]+) (?P<range>,(?P<most>[0-9]*))? \} ) (?P<kind> [?+]?) )?
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_REPEATED: Final = {None: (1, 1), "*": (0, None), "+": (1, None), "?": (0, 1)}
_ASCII: Final = tuple(map(chr, range(128)))
_MOST_STEPS: Final = 64


def mask_of(pattern: str) -> Mask:
    """Make a mask for what a regular expression matches.

    Raises:
        re.error, OverflowError, RecursionError: it is not well-formed, counts too far, is nested too deeply.
    """
    everywhere = _mask_by_re(re.compile(pattern))
    steps = tuple(_steps_of(pattern))
    simple = steps and len(steps) <= _MOST_STEPS and any(least for _, _, least, _ in steps)
    if native is None or not simple:
        return everywhere
    mask: Mask = native.Expression(steps, everywhere).mask
    return mask


def _mask_by_re(pattern: re.Pattern[str]) -> Mask:
    def mask(text: str, replacement: str) -> str:
        masked, found = pattern.subn(lambda _: replacement, text)
        return masked if found else text

    return mask


def _steps_of(pattern: str) -> Iterator[Step]:
    """Return the steps of an expression; none of one that is not simple."""
    found = list(_STEP.finditer(pattern))
    if "".join(each[0] for each in found) != pattern:
        return
    for each in found:
        if each["boundary"]:
            yield _BOUNDARY, bytes(len(_ASCII)), 0, 0
        else:
            least, most = _repetitions(each)
            yield _KINDS[each["kind"] or ""], _set_of(each["one"]), least, most


def _set_of(one: str) -> bytes:
    """Ask `re` itself which characters it takes."""
    takes = re.compile(one).match
    return bytes(takes(each) is not None for each in _ASCII)


def _repetitions(step: re.Match[str]) -> tuple[int, int]:
    if step["least"] is None:
        least, most = _REPEATED[step["repeated"]]
    else:
        least = int(step["least"])
        most = least if step["range"] is None else int(step["most"]) if step["most"] else None
    return least, sys.maxsize if most is None else most
