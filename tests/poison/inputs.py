"""Poison: what a serde takes, and what is made of it by all that can happen to bytes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

from pipeline.record import Headers
from tests.poison.serdes import Fuzzed, raw, text

#: The header by which an input is found again.
NUMBER: Final = "poison.number"
#: A record's longest value; a few are larger.
LARGEST: Final = 10_000

#: The last time that is taken, 9999-12-31T23:59:59.999Z; the first is 0.
LAST_MS: Final = 253_402_300_799_999
_TIMES: Final = (0, 1, -1, -(2**63), 2**63 - 1, LAST_MS, LAST_MS + 1, 2**53)
_NUMBERS: Final = (
    *(b"9" * 400, b"-" + b"9" * 5_000, b"1e999", b"-1e-999", b"1" + b"0" * 9_999, b"0x10", b"1_000", b"00"),
    *(b"NaN", b"Infinity", b"-0", b"-", b"18446744073709551616", b"9223372036854775808", b"1e+", b".5"),
)
_JSON: Final = (
    *(
        b"null",
        b"true",
        b"{}",
        b"[]",
        b'""',
        b"{",
        b'{"a":1,"a":2}',
        b'"\\ud800"',
        b'"\\u0000"',
        b"\xef\xbb\xbf{}",
    ),
    *(b'{"at":"9999999-01-01T00:00:00Z"}', b'{"user":null}', b"[,]", b'{"a":1}{"a":2}', b" 1 ", b"/*x*/1"),
)
_BAD_TEXT: Final = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x82")


class Poison(NamedTuple):
    """One input.

    Attributes:
        kind: how its value was made.
        key: its key.
        value: its value.
        timestamp: as it is produced, ms.
        headers: some, the last of which is its number.
    """

    kind: str
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers


def poison(fuzzed: Fuzzed, number: int, random: Random) -> Poison:
    """Return an input, the same for the same random numbers."""
    kind = random.choices(_NAMES, _WEIGHTS)[0]
    of_key = kind if random.random() < 0.25 else "valid"
    headers: list[tuple[str, bytes | None]] = [
        (text(random), random.choice([None, raw(random)])) for _ in range(random.randrange(3))
    ]
    time = random.choice(_TIMES) if kind == "odd time" else random.randrange(LAST_MS)
    return Poison(
        kind,
        _KINDS[of_key](fuzzed, random),
        _KINDS[kind](fuzzed, random),
        time,
        [*headers, (NUMBER, str(number).encode())],
    )


def _valid(fuzzed: Fuzzed, random: Random) -> bytes:
    data: bytes = fuzzed.serde.serialize(fuzzed.value(random))
    return data


def _truncated(fuzzed: Fuzzed, random: Random) -> bytes:
    data = _valid(fuzzed, random)
    return data[: random.randrange(len(data) + 1)]


def _flipped(fuzzed: Fuzzed, random: Random) -> bytes:
    data = bytearray(_valid(fuzzed, random))
    for _ in range(random.randrange(1, 4) if data else 0):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


def _spliced(fuzzed: Fuzzed, random: Random) -> bytes:
    first, second = _valid(fuzzed, random), _valid(fuzzed, random)
    return first[: random.randrange(len(first) + 1)] + second[random.randrange(len(second) + 1) :]


def _around(fuzzed: Fuzzed, random: Random, middle: bytes) -> bytes:
    """Return bytes alone, or in the middle of a value."""
    data = _valid(fuzzed, random)
    at = random.randrange(len(data) + 1)
    return random.choice([middle, data[:at] + middle + data[at:]])


def _nested(fuzzed: Fuzzed, random: Random) -> bytes:
    # Around the recursion limit, and far beyond it; MessagePack's arrays of one, and JSON's.
    depth = random.choice([50, 900, 1_000, 1_100, 4_900])
    middle = random.choice(
        [
            b"[" * depth,
            b"[" * depth + b"]" * depth,
            b'{"a":' * (depth // 5) + b"1" + b"}" * (depth // 5),
            b"\x91" * depth,
        ]
    )
    return _around(fuzzed, random, middle)


def _registered(fuzzed: Fuzzed, random: Random) -> bytes:
    """Return a value as a schema registry's client frames it, with a schema that nobody has."""
    schema = random.choice([0, 1, 2**31, 2**32 - 1, random.randrange(2**32)])
    return b"\x00" + schema.to_bytes(4) + _valid(fuzzed, random)


def _large(fuzzed: Fuzzed, random: Random) -> bytes:
    data = _valid(fuzzed, random) or b"x"
    return (data * (LARGEST // len(data) + 2))[: LARGEST + random.choice([-1, 0, 1, 100])]


#: By name: how bytes are made, and how often.
_WAYS: Final[dict[str, tuple[float, Callable[[Fuzzed, Random], bytes | None]]]] = {
    "valid": (20, _valid),
    "truncated": (15, _truncated),
    "bits flipped": (20, _flipped),
    "spliced": (10, _spliced),
    "random": (10, lambda _fuzzed, random: random.randbytes(random.randrange(64))),
    "huge number": (5, lambda fuzzed, random: _around(fuzzed, random, random.choice(_NUMBERS))),
    "odd JSON": (5, lambda fuzzed, random: _around(fuzzed, random, random.choice(_JSON))),
    "invalid UTF-8": (5, lambda fuzzed, random: _around(fuzzed, random, random.choice(_BAD_TEXT))),
    "unknown schema": (3, _registered),
    "deep nesting": (2, _nested),
    "too large": (1, _large),
    # An event time that no clock has shown.
    "odd time": (2, _valid),
    "empty": (2, lambda _fuzzed, _random: b""),
    "null": (2, lambda _fuzzed, _random: None),
}
_NAMES: Final = tuple(_WAYS)
_WEIGHTS: Final = tuple(weight for weight, _ in _WAYS.values())
_KINDS: Final[dict[str, Callable[[Fuzzed, Random], Any]]] = {name: make for name, (_, make) in _WAYS.items()}
KINDS: Final = _NAMES
