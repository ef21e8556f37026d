"""Suppress: rules a3.1 to a3.8, the tables of b5, deviations 4 and 7."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline import (
    BufferConfig,
    StreamsError,
    hopping,
    session,
    sliding,
    tumbling,
    until_time_limit,
    until_window_closes,
)
from pipeline.dsl.builder import StreamsBuilder
from pipeline.suppression import Suppressed
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.crashes import Bomb, pipe_batch
from tests.semantics.suppressed import after, limited, rows, wait, windowed
from tests.semantics.timed import Declare, Step, check, joined, ms, shown, take, topology

FOREVER = timedelta(days=365)

CACHING = pytest.mark.parametrize("caching", [True, False], ids=["cached", "uncached"])


def counted(until: Suppressed) -> Declare:
    """How many keys have each value."""

    def declare(builder: StreamsBuilder) -> None:
        counts = rows(builder).group_by(lambda key, value: (value, key), name="by-value").count(name="counts")
        suppressed = counts.suppress(until, name="held").to_stream()
        suppressed.map_values(lambda _, count: str(count), value=str).to("out")

    return declare


def held_until_full(**buffer: Any) -> Suppressed:
    return until_time_limit(FOREVER, BufferConfig(when_full="emit-early", **buffer))


#: b5, SuppressScenarioTest: a table of k1, k2 and x, counted by value.
BY_VALUE = ["R k1:v1@0", "R k1:v2@1", "R k2:v1@2", "R x:x@3", "R x:x@4", "R k1:∅@7", "R x:x@9"]


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a3.1-b5-shouldSupportFinalResultsForTimeWindows": (
        windowed(tumbling(ms(2), grace=ms(1))),
        [
            ("L k1:_@0", ""),
            ("L k1:_@1", ""),
            ("L k1:_@2", ""),
            ("L k1:_@1", ""),
            ("L k1:_@0", ""),
            ("L k1:_@5", "k1[0,2):4@1 k1[2,4):1@2"),
            ("L k1:_@0", ""),
        ],
    ),
    "a3.1-b5-shouldSupportFinalResultsForTimeWindowsWithLargeJump": (
        windowed(tumbling(ms(2), grace=ms(2))),
        [
            ("L k1:_@0", ""),
            ("L k1:_@1", ""),
            ("L k1:_@2", ""),
            ("L k1:_@3", ""),
            ("L k1:_@0", ""),
            ("L k1:_@4", "k1[0,2):3@1"),
            ("L k1:_@100", "k1[2,4):2@3 k1[4,6):1@4"),
            ("L k1:_@1", ""),
            ("L k1:_@300", "k1[100,102):1@100"),
        ],
    ),
    "a3.1-b5-shouldSupportFinalResultsForSessionWindows": (
        windowed(session(ms(5), grace=ms(0))),
        [
            ("L k1:_@0", ""),
            ("L k1:_@5", ""),
            ("L k1:_@1", ""),
            ("L k2:_@11", "k1[0,5):3@5"),
            ("L k1:_@5", ""),
            ("L k1:_@30", "k2[11,11):1@11"),
        ],
    ),
    "a3.1-b5-shouldSupportFinalResultsForSlidingWindows": (
        windowed(sliding(ms(5), grace=ms(15))),
        [
            ("L k1:_@10", ""),
            ("L k1:_@11", ""),
            ("L k1:_@10", ""),
            ("L k1:_@13", ""),
            ("L k1:_@10", ""),
            ("L k1:_@24", ""),
            ("L k1:_@5", ""),
            ("L k1:_@7", ""),
            (
                "L k1:_@90",
                "k1[5,10):5@10 k1[6,11):5@11 k1[8,13):5@13 k1[11,16):2@13 k1[12,17):1@13 k1[19,24):1@24",
            ),
        ],
    ),
    "a3.8-deviation4-a-session-waits-while-it-can-change": (
        windowed(session(ms(5), grace=ms(2))),
        [
            ("L k:_@0", ""),
            ("L z:_@7", ""),
            ("L k:_@0", ""),
            ("L z:_@8", "k[0,0):2@0"),
            ("L k:_@0", ""),
        ],
    ),
    "a3.8-deviation4-a-sliding-window-waits-while-it-can-change": (
        windowed(sliding(ms(5), grace=ms(2))),
        [
            ("L k:_@10", ""),
            ("L z:_@12", ""),
            ("L k:_@10", ""),
            ("L z:_@13", "k[5,10):2@10"),
        ],
    ),
    "a3.4-sessions-that-were-merged-are-not-told-of": (
        windowed(session(ms(5), grace=ms(5))),
        [("L k:_@0", ""), ("L k:_@8", ""), ("L k:_@4", ""), ("L z:_@30", "k[0,8):3@8")],
    ),
    "a3.1-b5-window-held-at-the-last-moment-and-emitted-when-the-window-closes": (
        windowed(tumbling(ms(100), grace=ms(1))),
        [("L k:_@99", ""), ("L z:_@100", ""), ("L z:_@101", "k[0,100):1@99")],
    ),
    "a3.1-b5-zero-grace-is-emitted-at-the-end": (
        windowed(tumbling(ms(100), grace=ms(0))),
        [("L k:_@99", ""), ("L z:_@100", "k[0,100):1@99")],
    ),
    "a3.1-hopping-windows-close-one-by-one": (
        windowed(hopping(ms(10), advance=ms(5), grace=ms(2))),
        [
            ("L k:_@7", ""),
            ("L k:_@11", ""),
            ("L k:_@9", ""),
            ("L z:_@12", "k[0,10):2@9"),
            ("L z:_@17", "k[5,15):3@11 z[5,15):1@12"),
        ],
    ),
    "a3.6-what-the-table-drops-does-not-bring-time-forward": (
        windowed(tumbling(ms(10), grace=ms(0))),
        [
            ("L k:_@5", ""),
            ("L ∅:_@50", ""),
            ("L k:∅@50", ""),
            ("L k:_@6", ""),
            ("L z:_@10", "k[0,10):2@6"),
            ("L k:_@7", ""),
            ("L q:_@20", "z[10,20):1@10"),
        ],
    ),
    "a3.2-b5-shouldSuppressIntermediateEventsWithTimeLimit": (
        counted(wait(2)),
        after(BY_VALUE, "", "", "v1:1@2", "v2:1@1", "", "x:1@4", "v2:0@7"),
    ),
    "a3.5-b5-shouldSuppressIntermediateEventsWithRecordLimit": (
        counted(held_until_full(max_records=1)),
        after(BY_VALUE, "", "v1:0@1", "v2:1@1", "v1:1@2", "", "x:1@4", "v2:0@7"),
    ),
    # A key and its count are 2 + 8 bytes, the count before as many again, the times 16: three keys
    # without a count before take 26 bytes each.
    "a3.5-b5-shouldSuppressIntermediateEventsWithBytesLimit": (
        counted(held_until_full(max_bytes=60)),
        after(BY_VALUE, "", "", "", "v1:1@2", "", "", ""),
    ),
    "a3.2-a3.3-b5-buffer-order-the-timer-starts-with-the-first-change-and-keeps-its-place": (
        limited(wait(10)),
        [
            ("R k:a@0", ""),
            ("R q:x@3", ""),
            ("R k:b@7", ""),
            ("R z:c@10", "k:b@7"),
            ("R z:d@13", "q:x@3"),
            ("R z:∅@14", ""),
            ("R q:∅@30", "z:∅@14"),
            ("R z:e@24", ""),
            ("R b:1@40", "z:e@24 q:∅@30"),
            ("R a:1@40", ""),
            ("R c:1@41", ""),
            ("R y:1@50", "a:1@40 b:1@40"),
            ("R y:∅@51", "c:1@41"),
            ("R y:2@60", "y:2@60"),
        ],
    ),
    "a3.3-zero-holds-nothing-back": (
        limited(wait(0)),
        [("R k:a@5", "k:a@5"), ("R k:b@3", "k:b@3"), ("R k:∅@4", "k:∅@4"), ("R q:d@6", "q:d@6")],
    ),
    "a3.3-time-never-goes-back": (
        limited(wait(10)),
        [("R k:a@20", ""), ("R q:b@5", "q:b@5"), ("R q:c@11", ""), ("R z:d@21", "q:c@11")],
    ),
    "a3.5-the-oldest-goes-early-and-the-latest-value-of-a-key-is-one-record": (
        limited(held_until_full(max_records=2)),
        [
            ("R k:a@9", ""),
            ("R q:a@5", ""),
            ("R k:b@6", ""),
            ("R z:a@7", "q:a@5"),
            ("R b:a@7", "b:a@7"),
            ("R a:a@8", "z:a@7"),
        ],
    ),
    "a3.7-b5-restart-what-is-held-back-and-stream-time-survive": (
        limited(wait(10)),
        [
            ("R k:a@0", ""),
            ("R q:x@3", ""),
            ("restart", ""),
            ("R k:b@7", ""),
            ("crash", ""),
            ("R z:c@10", "k:b@7"),
            ("move", ""),
            ("R q:y@1", ""),
            ("R a:d@0", "a:d@0"),
            ("R b:e@13", "q:y@1"),
        ],
    ),
    "a1.4-b5-restart-windows-and-stream-time-survive": (
        windowed(tumbling(ms(10), grace=ms(5))),
        [
            ("L k:_@5", ""),
            ("L z:_@14", ""),
            ("restart", ""),
            ("L k:_@6", ""),
            ("crash", ""),
            ("L k:_@7", ""),
            ("move", ""),
            ("L z:_@15", "k[0,10):3@7"),
            ("move", ""),
            ("L z:_@25", "z[10,20):2@15"),
        ],
    ),
    "a3.5-limits-count-what-was-held-back-before-a-restart": (
        limited(held_until_full(max_records=2)),
        [
            ("R k:a@1", ""),
            ("R q:b@2", ""),
            ("move", ""),
            ("R z:c@3", "k:a@1"),
            ("crash", ""),
            ("R z:d@4", ""),
        ],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), CASES.values(), ids=CASES.keys())
def test_cases(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


@CACHING
def test_a3_1_a_window_is_emitted_once_whatever_a_commit_folds(*, caching: bool) -> None:
    """Both windows change in one commit, the later one first; the earlier one is closed by then."""
    declare = windowed(tumbling(ms(10), grace=ms(5)), caching=caching)
    with TopologyTestDriver(topology(declare), poll_records=100) as driver:
        output = driver.output_topic("out", value=str)
        pipe_batch(driver, [("L", "k", "_", 3)], Bomb())
        pipe_batch(driver, [("L", "z", "_", 12), ("L", "k", "_", 8), ("L", "z", "_", 16)], Bomb())
        assert shown(output.read_all()) == "k[0,10):2@8"


def test_a1_7_a3_3_headers_and_time_are_those_of_the_change_that_was_held_back() -> None:
    with TopologyTestDriver(topology(limited(wait(10)))) as driver:
        records = driver.input_topic("R", value=str)
        records.pipe("k", "a", 0, [("from", b"a")])
        records.pipe("k", "b", 3, [("from", b"b"), ("none", None)])
        driver.restart(crash=True)
        records.pipe("z", "c", 10, [("from", b"c")])
        (emitted,) = driver.output_topic("out", value=str).read_all()
    assert (emitted.value, emitted.timestamp) == ("b", 3)
    assert emitted.headers == (("from", b"b"), ("none", None))


def test_a3_4_a_window_deleted_before_it_closes_is_not_told_of() -> None:
    """The fold returns null for `!`."""

    def declare(builder: StreamsBuilder) -> None:
        grouped = builder.stream("L", key=str, value=str).group_by_key()
        texts = grouped.windowed_by(tumbling(ms(10), grace=ms(0))).reduce(
            lambda so_far, new: None if new == "!" else so_far + new, name="t"
        )
        final = texts.suppress(until_window_closes(BufferConfig()), name="final")
        final.to_stream(lambda window, _: window.key, key=str).to("out")

    check(
        declare,
        [("L k:a@1", ""), ("L q:a@1", ""), ("L k:!@2", ""), ("L q:b@3", ""), ("L z:a@10", "q:ab@3")],
    )


@pytest.mark.parametrize("limit", [{"max_records": 2}, {"max_bytes": 59}], ids=["records", "bytes"])
def test_a3_5_a_full_buffer_stops_the_worker_with_what_to_do(limit: dict[str, int]) -> None:
    """A record of k and aaa has 20 bytes, with its times: the third one is too much."""
    driver = TopologyTestDriver(topology(limited(wait(10, **limit))))
    for step in ("R k:aaa@1", "R q:aaa@2", "R k:aaa@3"):
        take(driver, step)
    problem = r"held \(.*suppressed.py:\d+\) holds 3 records of 60 bytes back, at most .*'emit-early'"
    with pytest.raises(StreamsError, match=problem):
        take(driver, "R z:aaa@4")
    with pytest.raises(StreamsError, match=problem):
        # Nothing was committed: it stops at the same record again.
        driver.restart(crash=True)
    assert driver.output_topic("out", value=str).read_all() == []


def test_a3_7_without_a_changelog_what_is_held_back_is_lost_with_the_machine() -> None:
    steps = [("R k:a@0", ""), ("crash", ""), ("R q:b@1", ""), ("move", ""), ("R z:c@11", "")]
    check(limited(wait(10, logging=False)), steps)
    kept = [*steps[:-1], ("R z:c@11", "k:a@0 q:b@1")]
    check(limited(wait(10)), kept)


def test_a3_1_of_several_windows_the_last_to_close_decides() -> None:
    """The left side's windows close at their end, the right side's 5 later."""

    def declare(builder: StreamsBuilder) -> None:
        left, right = (
            builder.stream(topic, key=str, value=str)
            .group_by_key()
            .windowed_by(tumbling(ms(10), grace=ms(grace)))
            .count(name=topic.lower(), retention=ms(100))
            for topic, grace in (("L", 0), ("R", 5))
        )
        final = left.outer_join(right, joined, value=str).suppress(until_window_closes(), name="final")
        final.to_stream(lambda window, _: window.key, key=str).to("out")

    steps = [
        ("L k:_@1", ""),
        ("R k:_@2", ""),
        ("L z:_@12", ""),
        ("R k:_@3", ""),
        ("L z:_@14", ""),
        ("L z:_@15", "k:1-2@3"),
    ]
    check(declare, steps)


def test_deviation8_an_idle_source_lets_windows_go() -> None:
    declare = windowed(tumbling(ms(1_000), grace=ms(0)))
    steps = [("L k:_@500", ""), ("clock +400", ""), ("clock +1100", "k[0,1000):1@500")]
    check(declare, steps, source_idle_ms=300)


@pytest.mark.parametrize("partitions", [2, 5])
def test_each_partition_holds_back_by_its_own_time(partitions: int) -> None:
    declare = windowed(tumbling(ms(10), grace=ms(0)))
    with TopologyTestDriver(topology(declare), partitions={"L": partitions}) as driver:
        for key in "abcdefgh":
            take(driver, f"L {key}:_@1")
            take(driver, f"L {key}:_@4")
        for key in "abcdefgh":
            take(driver, f"L {key}:_@15")
        out = driver.output_topic("out", value=str).read_all()
    assert sorted((record.key, record.value, record.timestamp) for record in out) == [
        (f"{key}[0,10)", "2", 4) for key in "abcdefgh"
    ]
