"""Which names a pattern matches."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import TopologyError
from pipeline.topology import TopicPattern, is_pattern, topic_pattern

NAMES = [
    "logs",
    "logs.web",
    "logs.web.eu",
    "logs.web.eu.1",
    "metrics.web",
    "logsXweb",
    "alogs.web",
    "logs..web",
]

MATCHES: dict[str | re.Pattern[str], list[str]] = {
    "logs.*": ["logs.web"],
    "logs.>": ["logs.web", "logs.web.eu", "logs.web.eu.1"],
    "*.web": ["logs.web", "metrics.web", "alogs.web"],
    "logs.*.eu": ["logs.web.eu"],
    "logs.*.>": ["logs.web.eu", "logs.web.eu.1"],
    "*": ["logs", "logsXweb"],
    ">": [name for name in NAMES if ".." not in name],
    re.compile("logs.*"): ["logs", "logs.web", "logs.web.eu", "logs.web.eu.1", "logsXweb", "logs..web"],
    re.compile(r"logs\.[a-z]+"): ["logs.web"],
    re.compile("LOGS", re.IGNORECASE): ["logs"],
    re.compile("web|eu"): [],
}


@pytest.mark.parametrize(("pattern", "expected"), MATCHES.items(), ids=str)
def test_a_name_matches_as_a_whole(pattern: str | re.Pattern[str], expected: list[str]) -> None:
    made = topic_pattern(pattern, "test")
    assert [name for name in NAMES if made.matches(name)] == expected


@pytest.mark.parametrize("name", ["__consumer_offsets", "__", "__transaction_state.a"])
@pytest.mark.parametrize("pattern", [">", "*", "*.*", re.compile(".*"), re.compile("__.*")])
def test_kafkas_own_topics_never_match(pattern: str | re.Pattern[str], name: str) -> None:
    assert not topic_pattern(pattern, "test").matches(name)


@pytest.mark.parametrize(
    "wrong", ["logs.**", "lo*gs", "logs.>.web", "logs>", ".*", "logs..*", "lögs.*", "a b.*", "", ".", "[a].*"]
)
def test_a_wildcard_in_a_wrong_place_is_refused(wrong: str) -> None:
    with pytest.raises(TopologyError, match=r"stream at f\.py:1: .*is no pattern.*re\.compile"):
        topic_pattern(wrong, "stream at f.py:1")


def test_a_pattern_of_bytes_is_refused() -> None:
    with pytest.raises(TopologyError, match="pattern of bytes"):
        topic_pattern(re.compile(b"logs"), "test")  # type: ignore[arg-type] # the point


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("logs", False),
        ("logs.web", False),
        ("logs.*", True),
        (">", True),
        (re.compile("a"), True),
        (7, False),
    ],
)
def test_what_is_a_pattern(given_: object, expected: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    assert is_pattern(given_) is expected


tokens = st.text("abz019_-", min_size=1, max_size=4)


@given(st.lists(tokens, min_size=1, max_size=5), st.integers(0, 4))
def test_one_wildcard_is_one_token(names: list[str], place: int) -> None:
    place %= len(names)
    pattern = topic_pattern(".".join([*names[:place], "*", *names[place + 1 :]]), "test")
    assert pattern.matches(".".join(names)) == (not ".".join(names).startswith("__"))
    assert not pattern.matches(".".join([*names, "more"]))
    assert not pattern.matches(".".join([*names[:place], *names[place + 1 :]]))


@given(st.lists(tokens, min_size=1, max_size=3), st.lists(tokens, max_size=3))
def test_the_tail_is_one_token_or_more(head: list[str], rest: list[str]) -> None:
    pattern = topic_pattern(".".join([*head, ">"]), "test")
    name = ".".join([*head, *rest])
    assert pattern.matches(name) == (bool(rest) and not name.startswith("__"))


def test_patterns_are_equal_by_what_was_written() -> None:
    assert topic_pattern("a.*", "x") == topic_pattern("a.*", "y")
    assert topic_pattern(re.compile("a"), "x") == TopicPattern("a", re.compile("a"))
    assert topic_pattern("a.*", "x") != topic_pattern("a.>", "x")
