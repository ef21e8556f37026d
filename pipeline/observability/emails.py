"""E-mail addresses in text.

An address is a local part, an `@` (or `%40`, as in URLs), and a domain:

- local part: one or more letters, digits, `.`, `_`, `%`, `+`, `-`, and apostrophes between two of these;
- domain: two or more labels of letters, digits, `-`, `_`, with points between, of which the last has
  two characters or more and begins with a letter.

A letter is an ASCII letter, or any character of the blocks that hold the world's scripts, since
RFC 6531 and IDNA allow nearly all of them. The rest of what RFC 5321 allows (`=`, `/`, `!`,
quotes, address literals) separates words in logs far more often than it is in addresses.
"""

from __future__ import annotations

import re

_SCRIPTS = "\u00aa-\u1fff\u2c00-\u2fef\u3040-\ufefe\U00010000-\U0010ffff"
_LOCAL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-"
_is_local = re.compile(rf"[A-Za-z0-9._%+\-{_SCRIPTS}]").match


def _domain(at: str, scripts: str) -> re.Pattern[str]:
    label = rf"[0-9A-Za-z_\-{scripts}]"
    return re.compile(rf"{at}(?:{label}++\.)+[A-Za-z{scripts}]{label}+")


#: By whether the text is ASCII: the shorter pattern is faster.
_AT = {True: _domain("@", ""), False: _domain("@", _SCRIPTS)}
_ENCODED_AT = {True: _domain("%40", ""), False: _domain("%40", _SCRIPTS)}

SHORTEST = len("a@b.cc")


def mask_emails(text: str, mask: str) -> str:
    """Replace the e-mail addresses in a text; the same object where there is none."""
    if "@" in text:
        text = _mask(text, _AT[text.isascii()], mask)
    if "%40" in text:
        text = _mask(text, _ENCODED_AT[text.isascii()], mask)
    return text


def _mask(text: str, domain: re.Pattern[str], mask: str) -> str:
    """Find domains, whose pattern begins with a literal; then the local part in front, without a pattern."""
    pieces: list[str] = []
    done = floor = 0
    for found in domain.finditer(text):
        at, end = found.span()
        start = _local_start(text, floor, at)
        if start < at:
            pieces += (text[done:start], mask)
            done = floor = end
        elif pieces and at == done:  # a@b.cc@d.ee: the second follows the first
            done = floor = end
        else:
            floor = at
    return "".join(pieces) + text[done:] if pieces else text


def _local_start(text: str, floor: int, at: int) -> int:
    """Where the local part before an `@` starts; `at` where there is none."""
    start = floor + len(text[floor:at].rstrip(_LOCAL))
    while start > floor:
        before = text[start - 1]
        if before == "'":
            joins = floor < start - 1 and start < at and _is_local(text, start - 2) is not None
        else:  # what is ASCII and local is stripped by now, or stands before an apostrophe
            joins = _is_local(before) is not None
        if not joins:
            break
        start -= 1
    return start
