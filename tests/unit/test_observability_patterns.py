"""Masks of expressions find what `re` finds, wherever they look first."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.observability.patterns import mask_of

#: By what stands before the literal; the last ones have no literal to begin from.
PATTERNS = (
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    r"\b[a-z.]+@[a-z]+\.[a-z]{2,}\b",
    r"[^@\s]+@[^@\s]+",
    r"\w+@\w+\.(?:ab)+",
    r"[a-b]{1,2}@\S",
    r"\d{1,2}:\d\d",
    r"[ab]*@",
    r"[ab]+?@a??",
    r"[ab]++@+b",
    r"[a]?[b]+=\w*",
    r"\S+@b",
    r"[a-z]\@[a-z]",
    r"[]a]+@b",
    r"[ab]+@?b",
    r"[ab]+@{0}b",
    r"[ab@]+@b",
    r"[ab]+@a|b+",
    r"(?i)[ab]+@A",
    r"([ab])@\1",
    r"ab+",
    r"[ab]+",
)
TEXTS = st.text("ab@.:=1 A]\n\u00e9", max_size=30)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=TEXTS)
@example(text="a@b.ab@a.ab aa@@b@ab 1:11:11 a.b@ab.ab@a=b")
@example(text="@b.ab@ab.ab")
@example(text="b@ a@b 111:111 b@b")
def test_a_mask_finds_what_the_expression_finds(pattern: str, text: str) -> None:
    masked = mask_of(pattern)(text, r"<\1>")
    assert masked == re.sub(pattern, lambda _: r"<\1>", text)
    assert masked is text or re.search(pattern, text), "what holds nothing stays the same object"
