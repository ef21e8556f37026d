"""Payment card numbers in text: by brand, length, check digit, grouping and surroundings.

A card number is 13 to 19 digits whose prefix and length belong to a brand below and whose Luhn
check digit (ISO/IEC 7812-1, annex B) is right. The digits stand together, or in whole groups
with one space or dash between: four digits first, then three to six, the last group one to six.

It isn't one where it is a part of something longer: next to a letter, a digit, an underscore, after
a point, or before a point and a digit; nor as the end of a dashed hexadecimal id. So trace ids,
UUIDs, versions, and epoch times (which begin with 1) pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Brand:
    """Who issues: ranges of prefixes (first, last; as many digits each) and the lengths in use."""

    name: str
    prefixes: tuple[tuple[str, str], ...]
    lengths: frozenset[int]


def _brand(name: str, prefixes: str, lengths: range) -> Brand:
    """Build a brand of `51-55 2221-2720` and the like."""
    ranges = (each.partition("-") for each in prefixes.split())
    return Brand(name, tuple((first, last or first) for first, _, last in ranges), frozenset(lengths))


#: Source: https://en.wikipedia.org/wiki/Payment_card_number. Maestro's 12 digits are left out: UUIDs end
#: in 12, and order numbers have them. No brand in use begins with 1, as times since the epoch do.
BRANDS: Final[tuple[Brand, ...]] = (
    Brand("visa", (("4", "4"),), frozenset({13, 16, 18, 19})),
    _brand("mastercard", "51-55 2221-2720", range(16, 17)),
    _brand("american express", "34 37", range(15, 16)),
    _brand("discover", "6011 622126-622925 644-649 65", range(16, 20)),
    _brand("diners club", "300-305 3095 36 38-39", range(14, 20)),
    _brand("jcb", "3528-3589", range(16, 20)),
    _brand("unionpay", "62 81", range(16, 20)),
    _brand("maestro", "50 56-58 6304 6390 67", range(13, 20)),
    _brand("mir", "2200-2204", range(16, 20)),
    _brand("rupay", "60 65 81 82 508", range(16, 17)),
    _brand("troy", "65 9792", range(16, 17)),
    _brand("verve", "506099-506198 650002-650027 507865-507964", range(16, 20)),
)

SHORTEST: Final = 13
LONGEST: Final = 19


def _by_first_digit() -> dict[str, list[tuple[str, str, frozenset[int]]]]:
    """Index prefixes by their first digit: most numbers belong to no brand."""
    index: dict[str, list[tuple[str, str, frozenset[int]]]] = {}
    for brand in BRANDS:
        for first, last in brand.prefixes:
            for digit in range(int(first[0]), int(last[0]) + 1):
                index.setdefault(str(digit), []).append((first, last, brand.lengths))
    return index


_BY_DIGIT = _by_first_digit()
_DOUBLED = str.maketrans("0123456789", "0246813579")

#: As bytes, without separators, with every digit a 0: thirteen in a row can be searched for without a
#: regular expression, which would take four times as long on a text that has none.
_ZEROS = bytes.maketrans(b"0123456789", b"0000000000")
_SHORTEST_ZEROS = b"0" * SHORTEST
#: The look behind comes after the first digits, so that the search can skip from digit to digit.
_BEGINNING = re.compile(r"[2-9][0-9]{3}(?<![0-9A-Za-z_.][0-9]{4})[ -]?[0-9]{3}[0-9 -]{5}").search
_RUN = re.compile(r"[0-9]+(?:[ -][0-9]+)*")
_GROUP = re.compile(r"[0-9]+")
_AFTER_HEX = re.compile(r".*[0-9A-Fa-f]{4}-", re.DOTALL).fullmatch
_FIRST_GROUP = 4
_MIDDLE_GROUP = range(3, 7)
_LARGEST_GROUP = 6
_MOST_GROUPS = 6  # 4-3-3-3-3-3


def is_card(digits: str) -> bool:
    """Whether ASCII digits are a card number: brand, length and check digit.

    >>> is_card("4111111111111111"), is_card("4111111111111112")
    (True, False)
    """
    length = len(digits)
    if not SHORTEST <= length <= LONGEST:
        return False
    for first, last, lengths in _BY_DIGIT.get(digits[0], ()):
        if length in lengths and first <= digits[: len(first)] <= last:
            return _luhn(digits)
    return False


def _luhn(digits: str) -> bool:
    total = sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))
    return total % 10 == 0


def mask_cards(text: str, mask: str) -> str:
    """Replace the card numbers in a text; the same object where there is none."""
    if _SHORTEST_ZEROS not in text.encode("utf-8", "surrogatepass").translate(_ZEROS, b" -"):
        return text
    beginning = _BEGINNING(text)
    if beginning is None:
        return text
    pieces: list[str] = []
    done = 0
    for run in _RUN.finditer(text, beginning.start()):
        if run.end() - run.start() < SHORTEST:
            continue
        for start, end in _cards(text, [group.span() for group in _GROUP.finditer(text, *run.span())]):
            pieces += (text[done:start], mask)
            done = end
    return "".join(pieces) + text[done:] if pieces else text


def _cards(text: str, groups: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Find the card numbers in a run of groups of digits: from the left, the longest first."""
    begin, end = _free_of_neighbours(text, groups)
    while begin < end:
        taken = _longest_card(text, groups[begin : min(end, begin + _MOST_GROUPS)])
        if taken:
            yield groups[begin][0], groups[begin + taken - 1][1]
        begin += taken or 1


def _longest_card(text: str, groups: Sequence[tuple[int, int]]) -> int:
    """How many groups the longest card number takes that begins with the first one; 0: there is none."""
    longest = 0
    digits = ""
    for count, (start, end) in enumerate(groups, 1):
        size = end - start
        if count > 1 and size > _LARGEST_GROUP:
            break
        digits += text[start:end]
        if is_card(digits):
            longest = count
        if (count == 1 and size != _FIRST_GROUP) or (count > 1 and size not in _MIDDLE_GROUP):
            break
    return longest


def _free_of_neighbours(text: str, groups: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Leave out the groups that are a part of something longer: an id, a word, a decimal."""
    begin, end = 0, len(groups)
    first, last = groups[0][0], groups[-1][1]
    before, after = text[first - 1 : first] if first else "", text[last : last + 2]
    if before == "." or _is_word(before):
        begin = 1
        while begin < end and text[groups[begin][0] - 1] == "-":
            begin += 1  # of an id with dashes
    elif before == "-" and _AFTER_HEX(text[max(first - 5, 0) : first]):
        begin = 1
    if _is_word(after[:1]) or (after[:1] == "." and after[1:].isdigit()):
        end -= 1
    return begin, end


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
