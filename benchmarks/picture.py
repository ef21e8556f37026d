"""One picture a table: horizontal bars in groups, as SVG that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

#: A contender has the same colour in every picture.
_COLOURS: Final = {
    "Headrace": "#0b6e99",
    "Headrace, exactly-once": "#5aa9c9",
    "hand-written": "#8a8f98",
    "Kafka Streams": "#d9822b",
    "Faust": "#7a9e3f",
    "Quix Streams": "#9b5fb5",
    "Bytewax": "#c2485a",
}
_OTHER: Final = "#0b6e99"
_WIDTH: Final = 760
_LABELS: Final = 190
_BARS: Final = 430
_ROW: Final = 22
_HEAD: Final = 34


class Bar(NamedTuple):
    """One bar.

    Attributes:
        label: what it stands for; a contender's name gives it that one's colour.
        value: its length.
        text: what is written at its end.
    """

    label: str
    value: float
    text: str


class Group(NamedTuple):
    """Bars that are compared with one another: they share a scale.

    Attributes:
        title: what they show, with the unit.
        bars: from top to bottom.
        goal: a value that is marked with a line; None: none.
    """

    title: str
    bars: Sequence[Bar]
    goal: float | None = None


def picture(title: str, groups: Sequence[Group]) -> str:
    """Return an SVG document."""
    lines, top = [], 30
    for group in groups:
        lines += _drawn(group, top)
        top += _HEAD + _ROW * len(group.bars) + 8
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" role="img" '
        f'font-family="sans-serif" font-size="13">\n<title>{escape(title)}</title>\n'
        f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>\n'
    )
    lines.insert(0, _text(12, 22, title, 'font-size="16" font-weight="bold"'))
    return head + "".join(f"{line}\n" for line in lines) + "</svg>\n"


def _drawn(group: Group, top: int) -> list[str]:
    longest = max([*(bar.value for bar in group.bars), group.goal or 0.0]) or 1.0
    lines = [_text(12, top + 22, group.title, 'font-weight="bold"')]
    begin = top + _HEAD
    for number, bar in enumerate(group.bars):
        y, length = begin + _ROW * number, max(1.0, bar.value / longest * _BARS)
        # Such as "Kafka Streams, 2 threads".
        colour = _COLOURS.get(bar.label, _COLOURS.get(bar.label.partition(",")[0], _OTHER))
        lines += [
            _text(_LABELS - 8, y + 14, bar.label, 'text-anchor="end"'),
            f'<rect x="{_LABELS}" y="{y + 2}" width="{length:.1f}" height="{_ROW - 6}" fill="{colour}"/>',
            _text(_LABELS + length + 6, y + 14, bar.text),
        ]
    if group.goal is not None:
        x = _LABELS + group.goal / longest * _BARS
        lines.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{begin - 2}" y2="{begin + _ROW * len(group.bars)}" '
            'stroke="#c2485a" stroke-dasharray="4 3"><title>goal</title></line>'
        )
    return lines


def _text(x: float, y: int, text: str, attributes: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" {attributes} fill="#1c2733">{escape(text)}</text>'
