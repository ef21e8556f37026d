"""Masks of expressions find what `re` finds, by whichever means."""

from __future__ import annotations

import gc
import re
import signal
import weakref
from types import FrameType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.compiled import native
from pipeline.observability.patterns import mask_of

PATTERNS = (
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    r"\b[a-z.]+@[a-z]+\.[a-z]{2,}\b",
    r"[^@\s]+@[^@\s]+",
    r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b",
    r"\w+@\w+\.(?:ab)+",
    r"[]a]+@b",
    r"[a\]]+@b",
    r"[^^a]b",
    r"a{,2}b",
    r"a{2",
    r"[ab]+@a|b+",
    r"(?i)[ab]+@A",
    r"([ab])@\1",
    r"^a+|a$",
    r"\Aa\Z",
    r"\Ba\B",
    r"a*",
    r"\b",
    r"\n",
    "\u00e9+@",
    "a{\u0662}",
    "a{1,\u0663}b",
    r"\w+?b{3,}",
    "a" * 70,
)
TEXTS = st.one_of(st.text("ab@.1 A", max_size=30), st.text("ab@.:=1 A]\n^\u00e9", max_size=30))
STEPS = st.tuples(
    st.sampled_from(["a", "b", "@", r"\.", r"\d", r"\w", r"\S", ".", "[ab]", "[^@]", "[a-z.]", r"\b"]),
    st.sampled_from(["", "*", "+", "?", "{2}", "{1,}", "{0,1}", "{1,3}", "{0}"]),
    st.sampled_from(["", "?", "+"]),
)


def _step(one: str, repeated: str, kind: str) -> str:
    return one if one == r"\b" else one + repeated + (kind if repeated else "")


SIMPLE = st.lists(STEPS.map(lambda step: _step(*step)), min_size=1, max_size=5).map("".join)


def check(pattern: str, text: str) -> None:
    masked = mask_of(pattern)(text, r"<\1>")
    assert masked == re.sub(pattern, lambda _: r"<\1>", text)
    assert masked is text or re.search(pattern, text), "what holds nothing stays the same object"


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=TEXTS)
@example(text="a@b.ab@a.ab aa@@b@ab 1:11:11 a.b@ab.ab@a=b 1.1.11.111")
@example(text="@b.ab@ab.ab")
@example(text="b@ a@b 111:111 b@b aab a{2 a{,2}b")
@example(text="a" * 200)
def test_a_mask_finds_what_the_expression_finds(pattern: str, text: str) -> None:
    check(pattern, text)


@given(pattern=SIMPLE, text=TEXTS)
@example(pattern=r"a@{0}b", text="ab")
@example(pattern=r"a++@?a", text="aa@a")
@example(pattern=r"a+?\b@", text="aa@@")
@example(pattern=r"@a{1,3}?b", text="@@aab@aaaab")
def test_a_simple_expression_finds_what_re_finds(pattern: str, text: str) -> None:
    check(pattern, text)


@pytest.mark.parametrize("mask", ["*", "", "\u20ac", "\U0001f512"])
def test_what_stands_in_place_is_any_text(mask: str) -> None:
    many = "x@y " * 100
    assert mask_of("[a-z]@[a-z]")(many, mask) == f"{mask} " * 100


@pytest.mark.skipif(native is None, reason="the compiled part is not there")
@pytest.mark.parametrize(
    ("steps", "error"),
    [
        (((1, bytes(128), 1),), TypeError),
        (((1, bytes(127), 1, 1),), ValueError),
        (((9, bytes(128), 1, 1),), ValueError),
        (((1, bytes(128), -1, 1),), ValueError),
        (((1, bytes(128), 2, 1),), ValueError),
        (((1, bytes(128), 0, 1), (0, bytes(128), 0, 0)), ValueError),
        ((), ValueError),
        ("steps", TypeError),
        ((None,), TypeError),
    ],
)
def test_what_is_not_a_step_is_refused(steps: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        native.Expression(steps, None)


@pytest.mark.skipif(native is None, reason="the compiled part is not there")
def test_a_mask_takes_texts_and_is_let_go() -> None:
    def otherwise(text: str, replacement: str) -> str:
        return text + replacement

    expression = native.Expression(((1, b"\1" * 128, 1, 1),), otherwise)
    assert expression.mask("\u00e9", "!") == "\u00e9!"
    for arguments in (("a",), ("a", None), (b"a", "b"), ()):
        with pytest.raises(TypeError, match="a text and its replacement"):
            expression.mask(*arguments)
    gone = weakref.ref(otherwise)
    del expression, otherwise
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("pattern", "masked"), [("a.*?b", ""), (r"[ab]+\w{1000000}", "ab" * 500_000)], ids=["lazy", "long"]
)
def test_what_can_be_seen_to_match_or_not_is_not_searched(pattern: str, masked: str) -> None:
    """To look at all the rest for each place of such a text, or of each run in it, would take hours."""
    assert mask_of(pattern)("ab" * 500_000, "") == masked


@pytest.mark.parametrize(
    ("pattern", "characters"),
    [("[a-z]*[a-z]*[a-z]*[a-z]*[0-9x]", 50_000), (r"\w*?\w*?\w*?\b\W\W", 20_000)],
    ids=["greedy", "lazy"],
)
def test_a_signal_stops_a_mask_that_takes_long(pattern: str, characters: int) -> None:
    """There are some 10 ** 13 ways to match it, or more: `re` can be stopped, too."""

    def stop(_: int, __: FrameType | None) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.01)
        with pytest.raises(InterruptedError):
            mask_of(pattern)("a" * characters, "")
    finally:
        signal.signal(signal.SIGVTALRM, before)
