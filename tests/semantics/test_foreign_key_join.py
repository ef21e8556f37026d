"""Joins of tables by a foreign key: rules a6.9, a1.7 and the rows of b3, after Kafka Streams 4.3.

L is the left table, R the right one. A left value `x/A` names the right row `x`; `/A` names none.
"""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde.foreign_key import Instruction, ResponseSerde, SubscriptionSerde
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, Step, joined, ms, shown, take, topology


def names(_key: str, value: str) -> str | None:
    return value.partition("/")[0] or None


def join(
    *, left: bool = False, cached: bool = False, left_history: int = 0, right_history: int = 0
) -> Declare:
    """Without caches unless told: what a cache does not tell of, an operator must not rely on."""

    def declare(builder: StreamsBuilder) -> None:
        one = builder.table("L", name="one", value=str, **options(cached, left_history))
        other = builder.table("R", name="other", value=str, **options(cached, right_history))
        method = one.left_join if left else one.join
        result = method(other, joined, foreign_key=names, name="j", value=str, caching=cached)
        result.to_stream().to("out")

    return declare


def options(cached: bool, history: int) -> Any:  # noqa: FBT001 - the two go together
    return {"history": ms(history)} if history else {"caching": cached}


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a6.9-inner-left-then-right": (join(), [("L k:x/A@1", ""), ("R x:a@2", "k:x/A-a@2")]),
    "a6.9-inner-right-then-left": (join(), [("R x:a@1", ""), ("L k:x/A@2", "k:x/A-a@2")]),
    "a6.9-left-left-then-right": (
        join(left=True),
        [("L k:x/A@1", "k:x/A-null@1"), ("R x:a@2", "k:x/A-a@2")],
    ),
    "a6.9-many-left-rows-name-one-right-row": (
        join(),
        [
            ("L a:x/A@1", ""),
            ("L b:x/B@1", ""),
            ("L c:xx/C@1", ""),
            ("L d:y/D@1", ""),
            ("R x:1@2", "a:x/A-1@2 b:x/B-1@2"),
            ("R xx:2@3", "c:xx/C-2@3"),
            ("R x:3@4", "a:x/A-3@4 b:x/B-3@4"),
            ("R x:∅@5", "a:∅@5 b:∅@5"),
        ],
    ),
    "a6.9-new-left-row-without-right-row-inner-says-nothing": (
        join(),
        [("L k:x/A@1", ""), ("L k:x/B@2", ""), ("L k:∅@3", "k:∅@3"), ("L k:∅@4", "")],
    ),
    "a6.9-b3-inner-key-that-names-nothing (joinShouldProduceNullsWhenValueHasNonMatchingForeignKey)": (
        join(),
        [
            ("L k:1/A@1", ""),
            ("L k:2/A@2", "k:∅@2"),
            ("L k:3/A@3", "k:∅@3"),
            ("R 1:a@4", ""),
            ("L k:1/A@5", "k:1/A-a@5"),
            ("L k:2/A@6", "k:∅@6"),
        ],
    ),
    "a6.9-b3-left-key-that-names-nothing (joinShouldProduceNullsWhenValueHasNonMatchingForeignKey)": (
        join(left=True),
        [
            ("L k:1/A@1", "k:1/A-null@1"),
            ("L k:2/A@2", "k:2/A-null@2"),
            ("L k:3/A@3", "k:3/A-null@3"),
            ("R 1:a@4", ""),
            ("L k:1/A@5", "k:1/A-a@5"),
            ("L k:2/A@6", "k:2/A-null@6"),
        ],
    ),
    "a6.9-b3-inner-deleting-a-row-that-does-not-join (shouldEmitTombstoneWhenDeletingNonJoiningRecords)": (
        join(),
        [("L k:x/A@1", ""), ("L k:∅@2", "k:∅@2"), ("L k:∅@3", "")],
    ),
    "a6.9-b3-left-deleting-a-row-that-does-not-join (shouldEmitTombstoneWhenDeletingNonJoiningRecords)": (
        join(left=True),
        [("L k:x/A@1", "k:x/A-null@1"), ("L k:∅@2", "k:∅@2"), ("L k:∅@3", "")],
    ),
    "a6.9-b3-deleting-what-never-was (shouldNotEmitTombstonesWhenDeletingNonExistingRecords)": (
        join(left=True),
        [("L k:∅@1", ""), ("R x:∅@2", "")],
    ),
    "a6.9-b3-inner-the-old-foreign-key-is-unsubscribed (shouldUnsubscribeOldForeignKeyIfLeftSideIsUpdated)": (
        join(),
        [
            ("R 1:a@1", ""),
            ("R 2:b@2", ""),
            ("L k:1/A@3", "k:1/A-a@3"),
            ("L k:2/A@4", "k:2/A-b@4"),
            ("R 1:c@5", ""),
            ("R 2:d@6", "k:2/A-d@6"),
        ],
    ),
    "a6.9-b3-left-the-old-foreign-key-is-unsubscribed": (
        join(left=True),
        [
            ("R 1:a@1", ""),
            ("L k:1/A@3", "k:1/A-a@3"),
            ("L k:2/A@4", "k:2/A-null@4"),
            ("R 1:c@5", ""),
            ("R 2:d@6", "k:2/A-d@6"),
        ],
    ),
    "a6.9-b3-inner-null-foreign-key": (
        join(),
        [
            ("R x:a@1", ""),
            ("L k:/A@2", ""),
            ("L k:/B@3", ""),
            ("L k:x/C@4", "k:x/C-a@4"),
            ("L k:/D@5", "k:∅@5"),
            ("R x:b@6", ""),
            ("L k:∅@7", ""),
        ],
    ),
    "a6.9-b3-left-null-foreign-key (shouldEmitRecordOnNullForeignKeyForLeftJoins)": (
        join(left=True),
        [
            ("R x:a@1", ""),
            ("L k:/A@2", "k:/A-null@2"),
            ("L k:x/C@4", "k:x/C-a@4"),
            ("L k:/D@5", "k:/D-null@5"),
            ("R x:b@6", ""),
            ("L k:∅@7", "k:∅@7"),
        ],
    ),
    "a6.9-inner-left-delete": (
        join(),
        [("R x:a@1", ""), ("L k:x/A@2", "k:x/A-a@2"), ("L k:∅@3", "k:∅@3"), ("R x:b@4", ""), ("L k:∅@5", "")],
    ),
    "a6.9-left-left-delete": (
        join(left=True),
        [("R x:a@1", ""), ("L k:x/A@2", "k:x/A-a@2"), ("L k:∅@3", "k:∅@3"), ("R x:b@4", ""), ("L k:∅@5", "")],
    ),
    "a6.9-left-right-delete": (
        join(left=True),
        [
            ("R x:a@1", ""),
            ("L k:x/A@2", "k:x/A-a@2"),
            ("R x:∅@3", "k:x/A-null@3"),
            ("R x:∅@4", "k:x/A-null@4"),
        ],
    ),
    "a6.9-inner-right-delete": (
        join(),
        [("R x:a@1", ""), ("L k:x/A@2", "k:x/A-a@2"), ("R x:∅@3", "k:∅@3"), ("R x:∅@4", "k:∅@4")],
    ),
    "a6.9-a-right-row-comes-back": (
        join(),
        [("L k:x/A@1", ""), ("R x:a@2", "k:x/A-a@2"), ("R x:∅@3", "k:∅@3"), ("R x:b@4", "k:x/A-b@4")],
    ),
    "a6.2-equal-updates-are-forwarded": (
        join(),
        [("R x:a@1", ""), ("L k:x/A@2", "k:x/A-a@2"), ("L k:x/A@3", "k:x/A-a@3"), ("R x:a@4", "k:x/A-a@4")],
    ),
    "a1.7-left-trigger-the-later-of-both-right-trigger-the-rights": (
        join(),
        [
            ("R x:a@10", ""),
            ("L k:x/A@5", "k:x/A-a@10"),
            ("L k:x/B@20", "k:x/B-a@20"),
            ("R x:b@15", "k:x/B-b@15"),
        ],
    ),
    "a1.7-what-takes-a-row-back-is-as-late-as-both": (
        join(),
        [("R x:a@10", ""), ("L k:x/A@5", "k:x/A-a@10"), ("L k:∅@7", "k:∅@10")],
    ),
    "a7-a-null-key-is-dropped-on-either-side": (
        join(left=True),
        [("L ∅:x/A@1", ""), ("R ∅:a@1", ""), ("L k:x/A@2", "k:x/A-null@2")],
    ),
    "b3-unversioned-out-of-order-is-by-offset (shouldIgnoreOutOfOrderRecordsIffVersioned)": (
        join(left=True),
        [
            ("R x:a@10", ""),
            ("L k:x/A@10", "k:x/A-a@10"),
            ("L k:x/B@5", "k:x/B-a@10"),
            ("R x:b@6", "k:x/B-b@6"),
        ],
    ),
    "b3-versioned-left-ignores-out-of-order (shouldIgnoreOutOfOrderRecordsIffVersioned)": (
        join(left=True, left_history=1000),
        [
            ("R x:a@10", ""),
            ("L k:x/A@10", "k:x/A-a@10"),
            ("L k:x/B@5", ""),
            ("R x:b@6", "k:x/A-b@6"),
            ("L k:x/C@11", "k:x/C-b@11"),
        ],
    ),
    "b3-versioned-right-ignores-out-of-order (shouldIgnoreOutOfOrderRecordsIffVersioned)": (
        join(left=True, right_history=1000),
        [
            ("R x:a@10", ""),
            ("L k:x/A@10", "k:x/A-a@10"),
            ("R x:b@6", ""),
            ("L k:x/B@5", "k:x/B-a@10"),
            ("R x:c@11", "k:x/B-c@11"),
        ],
    ),
    "b3-both-versioned-a-deletion-of-the-past-is-ignored": (
        join(left=True, left_history=1000, right_history=1000),
        [
            ("R x:a@10", ""),
            ("L k:x/A@10", "k:x/A-a@10"),
            ("L k:∅@5", ""),
            ("R x:∅@5", ""),
            ("L k:∅@12", "k:∅@12"),
        ],
    ),
    "a6.9-cached-what-was-never-there-is-not-told-of (CachingKeyValueStore.putAndMaybeForward)": (
        join(cached=True),
        [
            ("L k:1/A@1", ""),
            ("L k:2/A@2", ""),
            ("R 2:a@3", "k:2/A-a@3"),
            ("L k:3/A@4", "k:∅@4"),
            ("L k:∅@5", ""),
            ("R 9:∅@6", ""),
        ],
    ),
    "the-tables-survive-restart-crash-and-move": (
        join(),
        [
            ("L k:x/A@1", ""),
            ("restart", ""),
            ("R x:a@2", "k:x/A-a@2"),
            ("crash", ""),
            ("L q:x/B@3", "q:x/B-a@3"),
            ("move", ""),
            ("R x:b@4", "k:x/A-b@4 q:x/B-b@4"),
            ("L k:y/C@5", "k:∅@5"),
            ("move", ""),
            ("R y:c@6", "k:y/C-c@6"),
            ("R x:d@7", "q:x/B-d@7"),
        ],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize(
    "partitions",
    [{"L": 1, "R": 1}, {"L": 1, "R": 3}, {"L": 3, "R": 1}, {"L": 2, "R": 5}],
    ids=["1-1", "1-3", "3-1", "2-5"],
)
def test_cases(declare: Declare, steps: list[Step], partitions: dict[str, int]) -> None:
    """The tables need not be partitioned alike."""
    with TopologyTestDriver(topology(declare), partitions=partitions) as driver:
        out = driver.output_topic("out", value=str)
        got = []
        for given, _expected in steps:
            take(driver, given)
            # Rows of one step may come from several tasks: in no order, but for those of one key.
            got.append((given, " ".join(sorted(shown(out.read_all()).split()))))
    assert got == steps


#: Of a step, what is said to the right side (`under a foreign key: instruction`), and what it answers.
PROTOCOL: dict[str, list[tuple[str, str, str]]] = {
    "b3-protocol-inner": [
        ("L k:x/A@1", "x: only-if-there", ""),
        ("R x:a@2", "", "a"),
        ("L k:x/B@3", "x: answer", "a"),
        ("L k:y/C@4", "x: end, y: answer", "∅"),
        ("L k:y/D@5", "y: only-if-there", ""),
        ("L k:/E@6", "y: end-and-answer", "∅"),
        ("L k:/F@7", "", ""),
        ("L k:x/G@8", "x: only-if-there", "a"),
        ("R x:∅@9", "", "∅"),
        ("L k:∅@10", "x: end-and-answer", "∅"),
        ("L k:∅@11", "", ""),
        ("R x:b@12", "", ""),
    ],
    "b3-protocol-left": [
        ("L k:x/A@1", "x: answer", "∅"),
        ("R x:a@2", "", "a"),
        ("L k:x/B@3", "x: answer", "a"),
        ("L k:y/C@4", "x: end, y: answer", "∅"),
        ("L k:/E@6", "y: end, ∅: answer", "∅"),
        ("L k:/F@7", "∅: answer", "∅"),
        ("L k:x/G@8", "x: answer", "a"),
        ("L k:∅@10", "x: end, ∅: answer", "∅"),
        ("L k:∅@11", "", ""),
        ("R x:b@12", "", ""),
    ],
}
SHORT = {
    Instruction.DELETE_KEY_NO_PROPAGATE: "end",
    Instruction.DELETE_KEY_AND_PROPAGATE: "end-and-answer",
    Instruction.PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE: "answer",
    Instruction.PROPAGATE_ONLY_IF_FK_VAL_AVAILABLE: "only-if-there",
}


@pytest.mark.parametrize("steps", PROTOCOL.values(), ids=PROTOCOL.keys())
def test_messages(steps: list[tuple[str, str, str]], request: pytest.FixtureRequest) -> None:
    left = "left" in request.node.callspec.id
    with TopologyTestDriver(topology(join(left=left))) as driver:
        told = driver.output_topic("test-j-subscription-registration", value=SubscriptionSerde())
        answered = driver.output_topic("test-j-subscription-response", value=ResponseSerde())
        got = []
        for given, _told, _answered in steps:
            take(driver, given)
            subscriptions = [f"{r.key or '∅'}: {SHORT[r.value.instruction]}" for r in told.read_all()]
            answers = [(r.value.value or "∅".encode()).decode() for r in answered.read_all()]
            got.append((given, ", ".join(subscriptions), ", ".join(answers)))
    assert got == steps
