"""Made-up people: e-mail addresses in reserved domains, and card numbers in the schemes' test ranges."""

from __future__ import annotations

import random
from typing import Final

_FIRST: Final = ("anna", "ben", "chen", "dalia", "emeka", "fatou", "goran", "hana", "ines", "joao")
_LAST: Final = ("berg", "costa", "diallo", "evans", "fischer", "garcia", "haddad", "ito", "jansen", "kaur")
#: Reserved for documentation by RFC 2606.
_DOMAINS: Final = ("example.com", "example.org", "example.net")
#: Test prefixes of three schemes, and the length of their numbers.
_CARDS: Final = (("411111", 16), ("555555", 16), ("378282", 15))


def user_id(rank: int) -> str:
    """Return the id of the user of a rank, such as `user-000042`."""
    return f"user-{rank:06d}"


def email(rank: int) -> str:
    """Return the address of the user of a rank."""
    first, last = _FIRST[rank % len(_FIRST)], _LAST[rank // len(_FIRST) % len(_LAST)]
    return f"{first}.{last}+{rank}@{_DOMAINS[rank % len(_DOMAINS)]}"


def card_number(random_source: random.Random) -> str:
    """Return a number that passes Luhn's check, with blanks, with dashes, or in one piece."""
    prefix, length = random_source.choice(_CARDS)
    digits = prefix + "".join(random_source.choices("0123456789", k=length - len(prefix) - 1))
    digits += luhn_digit(digits)
    separator = random_source.choice(("", " ", "-"))
    return separator.join(digits[at : at + 4] for at in range(0, length, 4))


def order_number(random_source: random.Random) -> str:
    """Return sixteen digits that fail Luhn's check: no card number, though it looks like one."""
    digits = "20" + "".join(random_source.choices("0123456789", k=13))
    wrong = (int(luhn_digit(digits)) + random_source.randint(1, 9)) % 10
    return f"{digits}{wrong}"


def luhn_digit(digits: str) -> str:
    """Return the digit that makes `digits` pass Luhn's check (ISO/IEC 7812-1, annex B).

    >>> luhn_digit("411111111111111")
    '1'
    """
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if position % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled  # noqa: PLR2004 (the sum of two digits)
    return str(-total % 10)
