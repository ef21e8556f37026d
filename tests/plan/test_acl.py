"""The rights that topologies need: golden texts, written anew with `UPDATE_GOLDEN=1 pytest tests/plan`."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import App
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.acl import Right, required_rights
from pipeline.plan.acl_formats import to_commands, to_table
from pipeline.plan.planner import plan
from pipeline.topology import DeclaredTopic, topic_pattern
from tests.plan.golden import check_golden
from tests.plan.shop import TOPOLOGIES, planned

ONCE = "exactly_once"
FAMILIES = ["foreign_key_join", "global_tables", "patterns", "restored_from_its_topic", "stateless"]
FAMILIES += ["kept_otherwise", "windowed_count"]
DECLARATIONS = [declare for declare in TOPOLOGIES if declare.__name__ in FAMILIES]


def config(guarantee: str = "at_least_once", dead_letter: str | None = None) -> StreamsConfig:
    return StreamsConfig("shop", Path("unused"), guarantee, dead_letter=dead_letter)


def table(declare: Callable[[StreamsBuilder], None]) -> str:
    plan = planned(declare)
    texts = [
        to_table(required_rights(plan, config()), "User:shop"),
        to_table(required_rights(plan, config(ONCE, "shop.dead")), "User:shop"),
    ]
    # Where functions stand is not what the golden texts are about.
    return re.sub(r"\.py:\d+", ".py:*", "\nExactly once, with a dead-letter topic\n\n".join(texts))


@pytest.mark.parametrize("declare", DECLARATIONS, ids=lambda declare: declare.__name__)
def test_golden(declare: Callable[[StreamsBuilder], None]) -> None:
    check_golden(f"{declare.__name__}.acl", table(declare))


@pytest.mark.parametrize("declare", DECLARATIONS, ids=lambda declare: declare.__name__)
def test_golden_commands(declare: Callable[[StreamsBuilder], None]) -> None:
    rights = required_rights(planned(declare), config(ONCE))
    text = to_commands(rights, "User:CN=shop,O=Us & Co", "localhost:9092")
    check_golden(f"{declare.__name__}.acl.sh", re.sub(r"\.py:\d+", ".py:*", text))


@pytest.mark.parametrize("declare", TOPOLOGIES, ids=lambda declare: declare.__name__)
def test_no_right_is_asked_for_twice_and_commands_name_each(
    declare: Callable[[StreamsBuilder], None],
) -> None:
    rights = required_rights(planned(declare), config(ONCE, "shop.dead"))
    asked = [(right.resource, right.name, right.prefixed, right.operation) for right in rights.rights]
    assert len(asked) == len(set(asked))
    granted = []
    for line in to_commands(rights, "User:shop", "localhost:9092").splitlines():
        words = [] if line.startswith("#") else shlex.split(line)
        granted += [word for before, word in itertools.pairwise(words) if before == "--operation"]
    assert granted == [right.operation for right in rights.rights]


def test_who_writes_nowhere_needs_a_right_to_be_idempotent() -> None:
    builder = StreamsBuilder("shop")
    builder.stream("orders").foreach(lambda key, value: None)
    idempotent = Right(
        "Cluster", "kafka-cluster", "IdempotentWrite", "a producer that has no topic to write to"
    )
    assert required_rights(plan(builder.build()), config()).rights[-1] == idempotent
    # A transactional producer, and one that may write to a topic, need not.
    for other in (config(ONCE), config(dead_letter="dead")):
        assert idempotent not in required_rights(plan(builder.build()), other).rights


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("logs.*", "logs."),
        ("logs.web.>", "logs.web."),
        ("*.web", ""),
        (re.compile(r"logs\.(eu|us)"), "logs."),
        (re.compile(r"logs_[ab]"), "logs_"),
        (re.compile(r"logs?\.x"), "log"),
        (re.compile(r"^logs\..*"), "logs."),
        (re.compile(r"logs|metrics"), ""),
        (re.compile(r"(?:a|b)"), ""),
        (re.compile(r"LOGS\..*", re.IGNORECASE), ""),
        (re.compile(r"logs\d"), "logs"),
        (re.compile(r"a[|]b"), "a"),
    ],
)
def test_how_what_a_pattern_matches_begins(pattern: str | re.Pattern[str], prefix: str) -> None:
    assert topic_pattern(pattern, "a source").literal_prefix == prefix


@given(
    st.lists(
        st.sampled_from(["a", "b", r"\.", r"\d", ".", "*", "?", "|", "(", ")", "[ab]", "[^|]", "{2}", "^"]),
        max_size=8,
    ),
    st.text("ab.1", max_size=6),
)
def test_all_that_matches_begins_so(parts: list[str], topic: str) -> None:
    try:
        regex = re.compile("".join(parts))
    except re.error:
        return
    pattern = topic_pattern(regex, "a source")
    assert not pattern.matches(topic) or topic.startswith(pattern.literal_prefix)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], r"Rights of User:observability\n\n"),
        (["--principal", "User:o"], r"Rights of User:o\n\n"),
        (["--format", "kafka-acls"], r"\nkafka-acls.sh --bootstrap-server localhost:9092 --add "),
    ],
)
def test_the_command(arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "faust", "-A", "topologies.observability", "acl", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert re.search(said, done.stdout)


def test_of_agents_it_is_said_what_their_code_may_need() -> None:
    async def takes(stream: object) -> None:
        del stream

    builder = StreamsBuilder("shop")
    builder.stream("in").agent(takes, name="counting")
    (note,) = required_rights(plan(builder.build()), config()).notes
    assert "counting, an agent: add Write on each topic that its code sends to" in note
    assert "topics that begin with 'shop-replies-'" in note
    assert "Describe on group shop" in note


def test_a_declared_topic_is_made_unless_it_exists() -> None:
    builder = StreamsBuilder("shop")
    builder.stream("in")
    builder.declare_topic(DeclaredTopic("made", 3))
    rights = required_rights(plan(builder.build()), config()).rights
    (right,) = (right for right in rights if right.name == "made")
    assert (right.operation, right.without) == ("Create", "it must exist already")


def test_a_global_table_that_agents_write_is_made_read_written_and_checked() -> None:
    app = App("shop")
    app.GlobalTable("prices")
    rights = required_rights(app.plan, config()).rights
    found = {right.operation for right in rights if right.name == "shop-prices-changelog"}
    assert found == {"Create", "Read", "Write", "DescribeConfigs"}
