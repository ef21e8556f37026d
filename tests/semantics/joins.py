"""Declaring joins of streams for tables of cases, and inputs that such tables share."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, TypeAlias

from pipeline.dsl.builder import StreamsBuilder
from tests.semantics.timed import Declare, Step, joined, ms

Kind: TypeAlias = Literal["join", "left_join", "outer_join"]

#: `within=` of which only one side of the left record's time counts.
AFTER_100 = (ms(0), ms(100))
BEFORE_100 = (ms(100), ms(0))


def wave(topic: str, value: str, at: int, *, step: int = 0) -> str:
    """Return the left side of a step: a record of each of four keys, `step` ms apart.

    >>> wave("L", "A", 1000, step=1)
    'L 0:A0@1000 1:A1@1001 2:A2@1002 3:A3@1003'
    """
    return " ".join([topic, *(f"{key}:{value}{key}@{at + key * step}" for key in range(4))])


def join(within: timedelta | tuple[timedelta, timedelta], grace: int = 0, *, kind: Kind = "join") -> Declare:
    """Declare a join of the streams L and R."""

    def declare(builder: StreamsBuilder) -> None:
        left, right = builder.stream("L", key=str, value=str), builder.stream("R", key=str, value=str)
        method = getattr(left, kind)
        method(right, joined, within=within, grace=ms(grace), name="j", value=str).to("out")

    return declare


_D_TO_F = (
    "0:D0-null@1102 1:D1-null@1102 0:E0-null@1103 1:E1-null@1103 2:E2-null@1103 "
    "0:F0-null@1104 1:F1-null@1104 2:F2-null@1104 3:F3-null@1104"
)
#: Table `testWindowing` of b2 (its `testUpperWindowBound` and `testLowerWindowBound`), for left and outer
#: joins within 100, after `wave("R", "b", 1000, step=1)`.
BOUNDS: list[Step] = [
    (wave("L", "B", 1100), "0:B0-b0@1100 1:B1-b1@1100 2:B2-b2@1100 3:B3-b3@1100"),
    (wave("L", "C", 1101), "1:C1-b1@1101 2:C2-b2@1101 3:C3-b3@1101"),
    (wave("L", "D", 1102), "2:D2-b2@1102 3:D3-b3@1102"),
    (wave("L", "E", 1103), "3:E3-b3@1103"),
    (wave("L", "F", 1104), ""),
    ("L 0:dummy@1405", f"0:C0-null@1101 {_D_TO_F}"),
    (wave("L", "G", 899), "0:G0-null@899 1:G1-null@899 2:G2-null@899 3:G3-null@899"),
    (wave("L", "H", 900), "0:H0-b0@1000 1:H1-null@900 2:H2-null@900 3:H3-null@900"),
    (wave("L", "I", 901), "0:I0-b0@1000 1:I1-b1@1001 2:I2-null@901 3:I3-null@901"),
    (wave("L", "J", 902), "0:J0-b0@1000 1:J1-b1@1001 2:J2-b2@1002 3:J3-null@902"),
    (wave("L", "K", 903), "0:K0-b0@1000 1:K1-b1@1001 2:K2-b2@1002 3:K3-b3@1003"),
]
