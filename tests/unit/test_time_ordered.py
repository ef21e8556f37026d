"""Entries that wait for a time, against a dict, over commits and restarts."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from pipeline.operators.time_ordered import TimeOrdered
from pipeline.serde import BYTES
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.memory import MemoryStore
from pipeline.state.store import Entry

times = st.integers(0, 12) | st.just(2**62)
rests = st.binary(max_size=2)
operations = st.lists(
    st.tuples(st.just("put"), times, rests)
    | st.tuples(st.just("remove"), times, rests)
    | st.tuples(st.just("take"), st.integers(-3, 15), st.just(b""))
    | st.tuples(st.sampled_from(["first", "commit", "restart"]), st.just(0), st.just(b"")),
    max_size=40,
)


class Watched(KeyValueStore[bytes, bytes]):
    """Takes note of where scans begin."""

    def range_entries(
        self, start: bytes = b"", end: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, Entry]]:
        self.starts = [*getattr(self, "starts", ()), start]
        return super().range_entries(start, end, reverse=reverse)


def opened(engine: MemoryStore) -> Watched:
    return Watched("s", engine, BYTES, BYTES, cache_entries=10, ordered=True)


@given(operations, st.sampled_from([b"", b"\0", b"\1", b"\xff"]))
def test_what_is_due_comes_by_time_then_by_rest(steps: list[tuple[str, int, bytes]], prefix: bytes) -> None:
    engine = MemoryStore("s")
    store = opened(engine)
    # Neighbours, which it must not see.
    for other in (b"\0\0", b"\1\0", b"\2"):
        if prefix and not other.startswith(prefix):
            store.put_entry(other, b"other", 0, ())
    waiting, model = TimeOrdered(store, prefix), dict[tuple[int, bytes], bytes]()
    for number, (what, time, rest) in enumerate(steps):
        value = b"%d" % number
        match what:
            case "put":
                waiting.put(time, rest, value, 0)
                model[time, rest] = value
            case "remove":
                assert waiting.remove(time, rest) == (model.pop((time, rest), None) is not None)
            case "take":
                due = sorted(place for place in model if place[0] <= time)
                assert waiting.has_due(time) or not due
                found = [(d.time, d.rest, d.entry.value) for d in waiting.take_due(time)]
                assert found == [(*place, model.pop(place)) for place in due]
                assert not waiting.has_due(time)
            case "first":
                first = waiting.first()
                assert (first and (first.time, first.rest)) == min(model, default=None)
            case _:
                store.flush()
                store.commit(store.position() + 1)
                if what == "restart":
                    store = opened(engine.reopen())
                    waiting = TimeOrdered(store, prefix)
    assert [(d.time, d.rest, d.entry.value) for d in waiting.all()] == [
        (*place, model[place]) for place in sorted(model)
    ]


def test_no_scan_passes_again_over_what_was_taken() -> None:
    """All keys of a window wait for one time."""
    store = opened(MemoryStore("s"))
    waiting = TimeOrdered(store)
    for number in range(3_000):
        waiting.put(7, b"%05d" % number, b"", 0)
    assert sum(1 for _ in waiting.take_due(7)) == 3_000
    time = (7).to_bytes(8, "big")
    assert store.starts == [b"", time + b"01000", time + b"02000"]
