"""Session windows: rules a1.7, a2.5, a2.6, a7, b4, and deviations 1, 2 and 7.

time     0    5    10   15   20     gap 5
records  a  b         c   d         sessions [0,3] and [13,17]
then             e                  e@8 is 5 from b and 5 from c: one session [0,17]
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde import STRING, SessionWindowedSerde
from pipeline.testing.driver import TopologyTestDriver
from pipeline.windows import SessionWindows
from tests.semantics.timed import Step, check, ms, shown, take, topology
from tests.semantics.windowed import append, count

KEY = SessionWindowedSerde(STRING)

#: Gap, grace and steps; without caching, as every update is seen then.
COUNTS: dict[str, tuple[int, int, list[Step]]] = {
    "b4-shouldMergeSessions-a1.7-at-the-sessions-end": (
        10,
        0,
        [
            ("in k:_@0", "k[0,0]:1@0"),
            ("in k:_@11", "k[11,11]:1@11"),
            ("in k:_@5", "k[0,0]:∅@0 k[11,11]:∅@11 k[0,11]:3@11"),
        ],
    ),
    "b4-shouldUpdateSessionIfTheSameTime: there is nothing to remove": (
        10,
        0,
        [("in k:_@0", "k[0,0]:1@0"), ("in k:_@0", "k[0,0]:2@0")],
    ),
    "b4-shouldHaveMultipleSessionsForSameIdWhenTimestampApartBySessionGap": (
        10,
        0,
        [
            ("in k:_@0", "k[0,0]:1@0"),
            ("in k:_@11", "k[11,11]:1@11"),
            ("in k:_@11", "k[11,11]:2@11"),
            ("in k:_@22", "k[22,22]:1@22"),
            ("in k:_@22", "k[22,22]:2@22"),
            ("in k:_@22", "k[22,22]:3@22"),
        ],
    ),
    "a1.7-b4-shouldHandleMultipleSessionsAndMerging": (
        10,
        0,
        [
            ("in a:_@0", "a[0,0]:1@0"),
            ("in b:_@0", "b[0,0]:1@0"),
            ("in c:_@0", "c[0,0]:1@0"),
            ("in d:_@0", "d[0,0]:1@0"),
            ("in d:_@5", "d[0,0]:∅@0 d[0,5]:2@5"),
            ("in a:_@11", "a[11,11]:1@11"),
            ("in b:_@11", "b[11,11]:1@11"),
            ("in a:_@16", "a[11,11]:∅@11 a[11,16]:2@16"),
            ("in c:_@16", "c[16,16]:1@16"),
        ],
    ),
    "a2.5-a-distance-equal-to-the-gap-merges": (
        5,
        0,
        [
            ("in k:_@5", "k[5,5]:1@5"),
            ("in k:_@10", "k[5,5]:∅@5 k[5,10]:2@10"),
            ("in k:_@16", "k[16,16]:1@16"),
        ],
    ),
    "a2.5-a-session-that-keeps-its-bounds-is-removed-all-the-same": (
        5,
        0,
        [
            ("in k1:_@0", "k1[0,0]:1@0"),
            ("in k1:_@5", "k1[0,0]:∅@0 k1[0,5]:2@5"),
            ("in k1:_@1", "k1[0,5]:∅@5 k1[0,5]:3@5"),
            ("in k2:_@11", "k2[11,11]:1@11"),
            ("in k1:_@5", ""),
            ("in k1:_@30", "k1[30,30]:1@30"),
        ],
    ),
    "b4-shouldLogAndMeterWhenSkippingLateRecordWithNonzeroGrace: taken at stream time gap + grace": (
        10,
        1,
        [
            ("in z:_@11", "z[11,11]:1@11"),
            ("in k:_@0", "k[0,0]:1@0"),
            ("in z:_@12", "z[11,11]:∅@11 z[11,12]:2@12"),
            ("in k:_@0", ""),
        ],
    ),
    "b4-shouldLogAndMeterWhenSkippingLateRecordWithZeroGrace": (
        10,
        0,
        [
            ("in z:_@10", "z[10,10]:1@10"),
            ("in k:_@0", "k[0,0]:1@0"),
            ("in z:_@11", "z[10,10]:∅@10 z[10,11]:2@11"),
            ("in k:_@0", ""),
        ],
    ),
    "a2.5-a-late-record-that-joins-an-open-session-is-taken": (
        10,
        0,
        [
            ("in k:_@10", "k[10,10]:1@10"),
            ("in k:_@20", "k[10,10]:∅@10 k[10,20]:2@20"),
            ("in z:_@30", "z[30,30]:1@30"),
            ("in k:_@0", "k[10,20]:∅@20 k[0,20]:3@20"),
            ("in z:_@31", "z[30,30]:∅@30 z[30,31]:2@31"),
            ("in k:_@10", ""),
        ],
    ),
    "a2.5-a-record-that-would-join-a-closed-session-alone-is-late-and-removes-nothing": (
        10,
        0,
        [
            ("in k:_@10", "k[10,10]:1@10"),
            ("in z:_@21", "z[21,21]:1@21"),
            ("in k:_@5", ""),
            ("in k:_@20", "k[10,10]:∅@10 k[10,20]:2@20"),
        ],
    ),
    "a7-null-keys-are-dropped-and-do-not-advance-stream-time": (
        10,
        0,
        [("in ∅:_@100", ""), ("in k:_@5", "k[5,5]:1@5")],
    ),
    "a2.10-deviation2-null-values-are-dropped-and-do-not-advance-stream-time": (
        10,
        0,
        [("in k:∅@5", ""), ("in k:∅@100", ""), ("in k:_@5", "k[5,5]:1@5")],
    ),
    "c4-deviation1-a-session-is-met-again-exactly-at-its-limit": (
        10,
        0,
        [
            ("in k:_@5", "k[5,5]:1@5"),
            ("in z:_@15", "z[15,15]:1@15"),
            ("in k:_@5", "k[5,5]:2@5"),
        ],
    ),
    "c4-deviation1-a-record-that-is-not-late-reopens-a-closed-session: the two belong together": (
        10,
        0,
        [
            ("in k:_@10", "k[10,10]:1@10"),
            ("in z:_@30", "z[30,30]:1@30"),
            ("in k:_@20", "k[10,10]:∅@10 k[10,20]:2@20"),
        ],
    ),
    "c4-deviation1-a-late-record-joins-a-closed-session-to-an-open-one: retention 3 * gap + grace + 1": (
        10,
        0,
        [
            ("in k:_@10", "k[10,10]:1@10"),
            ("in k:_@30", "k[30,30]:1@30"),
            ("in z:_@40", "z[40,40]:1@40"),
            ("in k:_@20", "k[10,10]:∅@10 k[30,30]:∅@30 k[10,30]:3@30"),
        ],
    ),
    "deviation1-what-lies-further-back-than-retention-is-left-alone": (
        10,
        0,
        [
            ("in k:_@10", "k[10,10]:1@10"),
            ("in k:_@30", "k[30,30]:1@30"),
            ("in k:_@40", "k[30,30]:∅@30 k[30,40]:2@40"),
            ("in z:_@41", "z[41,41]:1@41"),
            ("in k:_@20", "k[30,40]:∅@40 k[20,40]:3@40"),
        ],
    ),
    "deviation7-sessions-and-time-survive": (
        5,
        5,
        [
            ("in k:_@8", "k[8,8]:1@8"),
            ("restart", ""),
            ("in k:_@3", "k[8,8]:∅@8 k[3,8]:2@8"),
            ("crash", ""),
            ("in z:_@18", "z[18,18]:1@18"),
            ("move", ""),
            ("in k:_@9", "k[3,8]:∅@8 k[3,9]:3@9"),
            ("in k:_@2", "k[3,9]:∅@9 k[2,9]:4@9"),
            ("in z:_@19", "z[18,18]:∅@18 z[18,19]:2@19"),
            ("move", ""),
            ("in y:_@8", ""),
        ],
    ),
}
APPENDED: dict[str, tuple[int, int, list[Step]]] = {
    "a2.5-merged-in-the-order-of-time-beginning-with-the-initializer": (
        10,
        5,
        [
            ("in k:a@0", "k[0,0]:0+a@0"),
            ("in k:b@20", "k[20,20]:0+b@20"),
            ("in k:c@10", "k[0,0]:∅@0 k[20,20]:∅@20 k[0,20]:0|0+a|0+b+c@20"),
        ],
    ),
    "a2.9-a-null-aggregate-deletes-the-session": (
        10,
        5,
        [
            ("in k:a@0", "k[0,0]:0+a@0"),
            ("in k:!@5", "k[0,0]:∅@0 k[0,5]:∅@5"),
            ("in k:b@5", "k[5,5]:0+b@5"),
        ],
    ),
}


@pytest.mark.parametrize(("gap", "grace", "steps"), COUNTS.values(), ids=COUNTS.keys())
def test_every_update_without_caching(gap: int, grace: int, steps: list[Step]) -> None:
    declare = count(SessionWindows(gap, grace), caching=False)
    check(declare, steps, key=KEY, value=int, bracket="]")


@pytest.mark.parametrize(("gap", "grace", "steps"), COUNTS.values(), ids=COUNTS.keys())
def test_a2_7_with_caching_the_last_update_of_each_session(gap: int, grace: int, steps: list[Step]) -> None:
    """A session that keeps its bounds is not removed in between."""
    last = [(given, _last_of_each(updates)) for given, updates in steps]
    with TopologyTestDriver(topology(count(SessionWindows(gap, grace)))) as driver:
        output = driver.output_topic("out", key=KEY, value=int)
        for given, updates in last:
            take(driver, given)
            assert sorted(shown(output.read_all(), "]").split()) == updates, given


def _last_of_each(updates: str) -> list[str]:
    return sorted({update.partition(":")[0]: update for update in updates.split()}.values())


@pytest.mark.parametrize(("gap", "grace", "steps"), APPENDED.values(), ids=APPENDED.keys())
def test_aggregates(gap: int, grace: int, steps: list[Step]) -> None:
    check(append(SessionWindows(gap, grace), caching=False), steps, key=KEY, bracket="]")


def test_reduce_merges_with_the_reducer() -> None:
    def declare(builder: StreamsBuilder) -> None:
        windowed = builder.stream("in", key=str, value=str).group_by_key().windowed_by(SessionWindows(5, 5))
        reduced = windowed.reduce(lambda so_far, new: f"{so_far}{new}", name="t", caching=False)
        reduced.to_stream().to("out")

    steps = [
        ("in k:a@0", "k[0,0]:a@0"),
        ("in k:b@10", "k[10,10]:b@10"),
        ("in k:c@5", "k[0,0]:∅@0 k[10,10]:∅@10 k[0,10]:abc@10"),
    ]
    check(declare, steps, key=KEY, bracket="]")


@pytest.mark.parametrize("caching", [True, False])
def test_deviation5_the_old_value_is_the_one_that_was_there(caching: bool) -> None:  # noqa: FBT001 - pytest's parameter
    """Without a cache Kafka Streams tells none of a session that a record of the same time updates."""

    def declare(builder: StreamsBuilder) -> None:
        windowed = builder.stream("in", key=str, value=str).group_by_key().windowed_by(SessionWindows(5, 5))
        counts = windowed.count(name="t", caching=caching)
        by_key = counts.group_by(lambda window, count: (window.key, count), name="by-key", key=str, value=int)
        added = by_key.reduce(lambda so_far, n: so_far + n, lambda so_far, n: so_far - n, name="records")
        added.to_stream().to("out")

    with TopologyTestDriver(topology(declare)) as driver:
        for number, time in enumerate((0, 0, 5, 5, 3, 20, 20, 14, 11), start=1):
            take(driver, f"in k:_@{time}")
            assert driver.store("records").get("k") == number


def test_a_record_that_the_merger_fails_on_leaves_the_sessions_as_they_are() -> None:
    def merge(_key: str, left: int, right: int) -> int:
        if left:
            raise ValueError("no")
        return left + right

    def declare(builder: StreamsBuilder) -> None:
        windowed = builder.stream("in", key=str, value=str).group_by_key().windowed_by(SessionWindows(5, 5))
        windowed.aggregate(lambda: 0, lambda _key, _value, n: n + 1, merge, name="t", value=int)

    with TopologyTestDriver(topology(declare), dead_letter="dead") as driver:
        for step in ("in k:a@0", "in k:b@10", "in k:c@5"):
            take(driver, step)
        (letter,) = driver.output_topic("dead", key=bytes, value=bytes).read_all()
        reason = dict(letter.headers)["__streams.errors.message"] or b""
        assert b"merge (" in reason
        assert b"ValueError: no" in reason
        assert [(window.start, window.end) for window, _ in driver.store("t").all()] == [(0, 0), (10, 10)]


@pytest.mark.parametrize(
    ("asked", "hidden_at"),
    [
        pytest.param(None, 56, id="as-long-as-a-record-may-join-it"),
        pytest.param(15, 56, id="what-is-shorter-is-raised-to-that"),
        pytest.param(70, 90, id="longer"),
    ],
)
def test_a2_6_retention(asked: int | None, hidden_at: int) -> None:
    """Kafka Streams' least is gap + grace; here it is 3 * gap + grace + 1, see deviation 1."""
    options = {} if asked is None else {"retention": ms(asked)}
    with TopologyTestDriver(topology(count(SessionWindows(10, 5), **options))) as driver:
        take(driver, "in k:_@20")
        take(driver, f"in z:_@{hidden_at - 1}")
        assert driver.store("t").fetch("k", 20, 20) == 1
        take(driver, f"in z:_@{hidden_at}")
        assert driver.store("t").fetch("k", 20, 20) is None


def test_a2_6_retention_may_only_be_raised() -> None:
    with pytest.raises(Exception, match="retention of 14 ms is shorter than the 15 ms"):
        topology(count(SessionWindows(10, 5), retention=ms(14)))


def test_a8_7_a_session_key_is_partitioned_by_the_key_within() -> None:
    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        stream.to("plain")
        stream.group_by_key().windowed_by(SessionWindows(5, 10_000)).count(name="t").to_stream().to("out")

    with TopologyTestDriver(topology(declare), partitions={"plain": 4, "out": 4}) as driver:
        for number in range(40):
            take(driver, f"in key-{number % 20}:_@{number}")
        plain = {r.key: r.partition for r in driver.output_topic("plain", value=str).read_all()}
        sessions = driver.output_topic("out", key=KEY, value=int).read_all()
        assert len(sessions) == 40
        assert all(record.partition == plain[record.key.key] for record in sessions)
        assert len(set(plain.values())) == 4


def sessions_by_definition(gap: int, times: list[int]) -> dict[tuple[int, int], int]:
    """Records of which none is further from the next than the gap."""
    found: list[list[int]] = []
    for time in sorted(times):
        if found and time - found[-1][-1] <= gap:
            found[-1].append(time)
        else:
            found.append([time])
    return {(times[0], times[-1]): len(times) for times in found}


@given(gap=st.integers(1, 10), times=st.lists(st.integers(0, 60), max_size=20), caching=st.booleans())
@settings(max_examples=60)
def test_where_nothing_is_late_sessions_are_those_of_the_definition(
    gap: int,
    times: list[int],
    caching: bool,  # noqa: FBT001 - hypothesis' parameter
) -> None:
    with TopologyTestDriver(topology(count(SessionWindows(gap, 100), caching=caching))) as driver:
        for time in times:
            take(driver, f"in k:_@{time}")
        found = {(window.start, window.end): number for window, number in driver.store("t").all()}
        assert found == sessions_by_definition(gap, times)
        # Downstream knows the same: what was removed was taken back.
        updates = driver.output_topic("out", key=KEY, value=int).read_all()
        last = {(update.key.start, update.key.end): update.value for update in updates}
        assert {bounds: number for bounds, number in last.items() if number is not None} == found
