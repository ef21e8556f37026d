"""Windows emitted once, when they close: rule a2.8, b4, and deviations 1, 7 and 8.

```
records          k@1  k@4      z@12                   tumbling 10, grace 2
window [0,10)     1    2     | 2 goes downstream      closed: stream time 12 is end plus grace
```

Kafka Streams looks for closed windows after it has put the record that closed them, and in what the store
still shows; and once a second at most. Here none is lost, and none is late.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import EmitStrategy, TopologyError, Windowed, unlimited
from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde import STRING, Serde, SessionWindowedSerde, TimeWindowedSerde
from pipeline.testing.driver import OutputRecord, TopologyTestDriver
from pipeline.windows import SessionWindows, SlidingWindows, TimeWindows, Windows
from tests.semantics.test_sliding_windows import EARLY, IN_ORDER
from tests.semantics.timed import Step, check, take, topology
from tests.semantics.windowed import append

HOPS = ("A:1@0", "A:2@5", "A:3@10", "B:4@6", "B:5@11", "B:6@15", "C:7@25")


def steps(records: tuple[str, ...], *outputs: str) -> list[Step]:
    return [(f"in {record}", output) for record, output in zip(records, outputs, strict=True)]


def silently(updates: list[Step], *more: Step) -> list[Step]:
    """The same inputs, of which nothing is emitted yet, and more."""
    return [*((given, "") for given, _ in updates), *more]


TIME: dict[str, tuple[TimeWindows, list[Step]]] = {
    "b4-TimeWindowedKStreamIntegrationTest: [10,20) too, which Kafka Streams loses in the jump": (
        TimeWindows(10, 0, 5),
        steps(
            HOPS,
            "",
            "",
            "A[0,10):0+1+2@5",
            "",
            "",
            "A[5,15):0+2+3@10 B[5,15):0+4+5@11",
            "A[10,20):0+3@10 B[10,20):0+5+6@15 B[15,25):0+6@15",
        ),
    ),
    "b4-with-grace-5: [5,15) too, which Kafka Streams loses in the jump": (
        TimeWindows(10, 5, 5),
        steps(
            HOPS,
            "",
            "",
            "",
            "",
            "",
            "A[0,10):0+1+2@5 B[0,10):0+4@6",
            "A[5,15):0+2+3@10 B[5,15):0+4+5@11 A[10,20):0+3@10 B[10,20):0+5+6@15",
        ),
    ),
    "b4-shouldNotEmitFinalIfNotProgressEnough": (
        TimeWindows(10, 5, 5),
        steps(
            ("A:1@0", "B:2@5", "C:3@15", "D:4@15", "E:5@19", "F:6@20"),
            "",
            "",
            "A[0,10):0+1@0 B[0,10):0+2@5",
            "",
            "",
            "B[5,15):0+2@5",
        ),
    ),
    "b4-shouldLogAndMeterWhenSkippingExpiredWindow-final": (
        TimeWindows(10, 90, 5),
        steps(("k:_@100", "k:4@4", "k:5@5", "k:6@6", "k:7@105"), "", "", "", "", "k[5,15):0+5+6@6"),
    ),
    "a2.8-closed-at-end-plus-grace-not-a-millisecond-before": (
        TimeWindows(10, 2),
        steps(("k:1@1", "k:2@4", "z:_@11", "k:3@9", "z:_@12"), "", "", "", "", "k[0,10):0+1+2+3@9"),
    ),
    "a2.8-order-by-start-then-key-bytes": (
        TimeWindows(10, 10),
        steps(
            ("b:1@12", "a:2@13", "b:3@1", "a:4@0", "z:_@40"),
            "",
            "",
            "",
            "",
            "a[0,10):0+4@0 b[0,10):0+3@1 a[10,20):0+2@13 b[10,20):0+1@12",
        ),
    ),
    "a2.8-a-record-that-is-late-emits-nothing": (
        TimeWindows(10, 0),
        steps(("k:1@1", "z:_@30", "k:2@2", "z:_@31"), "", "k[0,10):0+1@1", "", ""),
    ),
    "a2.9-what-became-null-is-not-emitted": (
        TimeWindows(10, 0),
        steps(("k:1@1", "k:!@2", "z:_@10"), "", "", ""),
    ),
    "a2.9-what-came-back-is-emitted-once": (
        TimeWindows(10, 0),
        steps(("k:1@1", "k:!@2", "k:2@3", "z:_@10"), "", "", "", "k[0,10):0+2@3"),
    ),
    "a2.8-records-without-key-or-value-close-nothing": (
        TimeWindows(10, 0),
        steps(("k:1@1", "k:∅@50", "∅:1@50", "z:_@10"), "", "", "", "k[0,10):0+1@1"),
    ),
    "b4-shouldRestoreAfterJoinRestart-deviation7-what-waits-survives": (
        TimeWindows(10, 0),
        [
            ("in k:1@1", ""),
            ("restart", ""),
            ("in k:2@2", ""),
            ("crash", ""),
            ("in j:1@3", ""),
            ("move", ""),
            ("in z:_@10", "j[0,10):0+1@3 k[0,10):0+1+2@2"),
            ("move", ""),
            ("in z:_@20", "z[10,20):0+_@10"),
        ],
    ),
}
SLIDING: dict[str, tuple[SlidingWindows, list[Step]]] = {
    "b4-testAggregateSmallInput-final": (
        SlidingWindows(10, 5),
        [
            *silently(IN_ORDER[:4]),
            (IN_ORDER[4][0], "A[0,10]:0+1+2@10 A[4,14]:0+1+2+3@14"),
            (IN_ORDER[5][0], "A[5,15]:0+1+2+3+4@15"),
            (IN_ORDER[6][0], "A[10,20]:0+1+2+3+4+5@20 A[11,21]:0+3+4+5@20 A[12,22]:0+3+4+5+6@22"),
        ],
    ),
    "a2.8-early-records-take-part: Kafka Streams does not look for closed windows then": (
        SlidingWindows(50, 200),
        silently(
            EARLY,
            (
                "in z:_@300",
                (
                    "A[0,50]:0+1+2+3+4+5+6@13 A[1,51]:0+2+3+4+5+6@13 A[4,54]:0+2+3+5+6@13 "
                    "A[6,56]:0+3+5+6@13 A[7,57]:0+5+6@13 A[11,61]:0+5@13"
                ),
            ),
        ),
    ),
    "a2.8-an-early-record-closes-windows-too": (
        SlidingWindows(10, 0),
        [("in k:1@0", ""), ("in z:_@9", ""), ("in z:_@11", "k[0,10]:0+1@0 z[0,10]:0+_@9")],
    ),
    "a2.8-the-end-is-inside: open at end plus grace": (
        SlidingWindows(10, 5),
        [("in k:1@20", ""), ("in z:_@25", ""), ("in k:2@20", ""), ("in z:_@26", "k[10,20]:0+1+2@20")],
    ),
}
SESSIONS: dict[str, tuple[SessionWindows, list[Step]]] = {
    "b5-shouldSupportFinalResultsForSessionWindows": (
        SessionWindows(5, 0),
        steps(
            ("k1:a@0", "k1:b@5", "k1:c@1", "k2:d@11", "k1:e@5", "k1:f@30"),
            "", "", "", "k1[0,5]:0|0|0+a+b+c@5", "", "k2[11,11]:0+d@11",
        ),
    ),
    "a2.8-open-at-end-plus-gap-plus-grace": (
        SessionWindows(5, 2),
        steps(("k:a@10", "z:_@17", "k:b@10", "z:_@18"), "", "", "", "k[10,10]:0|0+a+b@10"),
    ),
    "a2.8-sessions-that-were-merged-away-are-not-emitted": (
        SessionWindows(5, 10),
        steps(("k:a@0", "k:b@10", "k:c@5", "z:_@50"), "", "", "", "k[0,10]:0|0+a|0+b+c@10"),
    ),
    "c8-a2.8-order-by-end-then-start-then-key": (
        SessionWindows(5, 20),
        steps(("b:1@0", "b:2@5", "c:3@5", "a:4@5", "d:5@4", "z:_@60"), "", "", "", "", "",
              "d[4,4]:0+5@4 b[0,5]:0|0+1+2@5 a[5,5]:0+4@5 c[5,5]:0+3@5"),
    ),
    "deviation1-a-session-that-is-reopened-is-another-one": (
        SessionWindows(10, 0),
        steps(("k:a@10", "z:_@30", "k:b@20", "z:_@31"),
              "", "k[10,10]:0+a@10", "", "k[10,20]:0|0+a+b@20"),
    ),
    "deviation7-sessions-that-wait-survive": (
        SessionWindows(5, 0),
        [
            ("in k:a@0", ""),
            ("restart", ""),
            ("in k:b@3", ""),
            ("move", ""),
            ("in z:_@9", "k[0,3]:0|0+a+b@3"),
            ("crash", ""),
            ("in z:_@20", "z[9,9]:0+_@9"),
        ],
    ),
}  # fmt: skip
CASES = {**TIME, **SLIDING, **SESSIONS}


def key_of(windows: Windows) -> Serde[Any]:
    if isinstance(windows, SessionWindows):
        return SessionWindowedSerde(STRING)
    return TimeWindowedSerde(STRING, windows.size_ms)


@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize(("windows", "steps"), CASES.values(), ids=CASES.keys())
def test_each_window_once(windows: Windows, steps: list[Step], caching: bool) -> None:  # noqa: FBT001 - pytest's parameter
    bracket = ")" if isinstance(windows, TimeWindows) else "]"
    check(append(windows, final=True, caching=caching), steps, key=key_of(windows), bracket=bracket)


def test_a2_8_under_the_headers_of_the_record_that_closed_them() -> None:
    with TopologyTestDriver(topology(append(TimeWindows(10, 0), final=True))) as driver:
        topic = driver.input_topic("in", value=str)
        topic.pipe("k", "a", 1, headers=(("from", b"a"),))
        topic.pipe("z", "b", 10, headers=(("from", b"b"),))
        (record,) = driver.output_topic("out", key=TimeWindowedSerde(STRING, 10), value=str).read_all()
        assert (record.value, record.headers) == ("0+a", (("from", b"b"),))


def test_deviation8_an_idle_source_closes_windows() -> None:
    steps = [("in k:a@1", ""), ("clock 5000", "k[0,10):0+a@1"), ("in k:b@2", "")]
    declare = append(TimeWindows(10, 0), final=True)
    check(declare, steps, key=TimeWindowedSerde(STRING, 10), source_idle_ms=4_000)


def test_what_waits_is_no_table_of_its_own_and_as_durable_as_the_windows() -> None:
    planned = topology(append(TimeWindows(10, 0), final=True, logging=False, in_memory=True))
    (waiting,) = [store for node in planned.nodes for store in node.stores if store.name == "t-closing"]
    assert (waiting.queryable, waiting.logged, waiting.in_memory) == (False, False, True)


def test_of_a_session_that_grows_one_window_waits() -> None:
    with TopologyTestDriver(topology(append(SessionWindows(5, 10), final=True))) as driver:
        changelog = driver.output_topic("test-t-closing-changelog", key=bytes, value=bytes)
        waiting: dict[bytes, bytes | None] = {}
        for time, count in ((0, 1), (5, 1), (3, 1), (20, 2), (10, 2), (15, 1), (31, 2), (47, 1)):
            take(driver, f"in k:_@{time}")
            waiting |= {record.key: record.value for record in changelog.read_all()}
            assert sum(value is not None for value in waiting.values()) == count, time


def test_b4_unlimited_windows_never_close() -> None:
    def declare(builder: StreamsBuilder) -> None:
        windowed = builder.stream("in").group_by_key().windowed_by(unlimited())
        windowed.emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)

    with pytest.raises(TopologyError, match=r"emit_strategy at .*: unlimited windows never close"):
        topology(declare)


def test_a_strategy_that_is_none() -> None:
    def declare(builder: StreamsBuilder) -> None:
        windows: Any = builder.stream("in").group_by_key().windowed_by(TimeWindows(10, 0))
        windows.emit_strategy("close")

    with pytest.raises(TopologyError, match=r"emit_strategy at .* takes an EmitStrategy .* not 'close'"):
        topology(declare)


def test_at_every_update_is_the_default() -> None:
    def declare(builder: StreamsBuilder) -> None:
        windowed = builder.stream("in", key=str, value=str).group_by_key().windowed_by(TimeWindows(10, 0))
        windowed.emit_strategy(EmitStrategy.ON_WINDOW_UPDATE).count(name="t").to_stream().to("out")

    steps = [("in k:_@1", "k[0,10):1@1"), ("in k:_@2", "k[0,10):2@2")]
    check(declare, steps, key=TimeWindowedSerde(STRING, 10), value=int)


class Closing:
    """What must be emitted, by the updates of the same windows and by stream time."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.time = -1
        self.rows: dict[Windowed[str], tuple[Any, int]] = {}
        self.emitted: set[Windowed[str]] = set()

    def due(self, time: int) -> Iterator[tuple[Windowed[str], Any, int]]:
        """Everything that the record's time closes, as it was before the record."""
        self.time = max(self.time, time)
        until = self.windows.closed_until(self.time)
        for window in sorted(self.rows, key=lambda window: (window.end, window.start, window.key)):
            if window.end <= until and window not in self.emitted:
                self.emitted.add(window)
                yield window, *self.rows[window]

    def update(self, records: list[OutputRecord]) -> None:
        for record in records:
            if record.value is None:
                del self.rows[record.key]
            else:
                self.rows[record.key] = record.value, record.timestamp


KINDS = st.sampled_from(
    [
        TimeWindows(10, 3),
        TimeWindows(10, 0, 4),
        SlidingWindows(8, 3),
        SlidingWindows(0, 1),
        SessionWindows(4, 2),
    ]
)
ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 60) | st.just(200),
        st.sampled_from([""] * 5 + ["restart", "move"]),
    ),
    max_size=20,
)


@given(windows=KINDS, arrivals=ARRIVALS)
@settings(max_examples=80)
def test_every_window_is_emitted_once_when_it_closes_as_its_last_update_left_it(
    windows: Windows, arrivals: list[tuple[str, int, str]]
) -> None:
    key, model = key_of(windows), Closing(windows)
    updating, closing = (
        TopologyTestDriver(topology(append(windows, final=final))) for final in (False, True)
    )
    with updating, closing:
        updates = updating.output_topic("out", key=key, value=str)
        finals = closing.output_topic("out", key=key, value=str)
        for number, (name, time, then) in enumerate(arrivals):
            step = f"in {name}:{number}@{time}"
            expected = list(model.due(time))
            take(closing, step)
            assert [record[:3] for record in finals.read_all()] == expected
            take(updating, step)
            model.update(updates.read_all())
            if then:
                take(closing, then)
