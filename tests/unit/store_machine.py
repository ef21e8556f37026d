"""What a task does with a store and its changelog, in any order that it may: a machine for model tests."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from pipeline.state.provider import MemoryProvider, RocksDBProvider, StoreProvider
from pipeline.state.rows import Rows

#: Keys that are prefixes of one another, and the bytes that layouts give a meaning to.
KEYS = (b"", b"\0", b"\0\xff", b"a", b"a\0", b"a\0\0", b"ab", b"\xff", b"\xff\xff")


class StoreMachine(RuleBasedStateMachine):
    """What a task does with a store and its changelog, in any order that it may.

    The changelog keeps its offsets: what a crashed run logged and did not commit is aborted, and
    leaves holes.
    """

    engine: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.log: list[tuple[bytes, bytes | None] | None] = []
        self.committed_end = 0
        self.number = 0
        self.folders = 0
        self.new_provider()
        self.store: Any = self.typed()

    def new_provider(self) -> None:
        if self.folders:
            self.provider.close()
        self.folders += 1
        path = Path(self.folder.name) / str(self.folders)
        self.provider: StoreProvider = MemoryProvider()
        if self.engine == "rocksdb":
            self.provider = RocksDBProvider(path, "app")

    def typed(self) -> Any:
        raise NotImplementedError

    def next_value(self) -> int:
        self.number += 1
        return self.number

    def crash_and_restore(self, chunk: int, *, lost: bool) -> None:
        self.store.close()
        if lost:
            self.new_provider()
        self.log[self.committed_end :] = [None] * (len(self.log) - self.committed_end)
        self.store = self.typed()
        while (start := self.store.position()) < self.committed_end:
            end = min(start + chunk, self.committed_end)
            rows = Rows.of(record for record in self.log[start:end] if record is not None)
            self.store.restore(rows, end)

    def teardown(self) -> None:
        self.store.close()
        self.provider.close()
        self.folder.cleanup()


class Flushed(NamedTuple):
    """What a commit commits: the log's end, the store's progress, contents and time, as they were."""

    end: int
    progress: dict[str, int]
    contents: Any
    time: int


class TimedMachine(StoreMachine):
    """The same for a store that has a stream time.

    Attributes:
        live: what the model says that it holds.
        committed: what of it is committed.
        time: stream time; -1 before the first put.
    """

    live: Any
    committed: Any

    def __init__(self) -> None:
        super().__init__()
        self.time = self.committed_time = -1
        self.progress: dict[str, int] = {}
        self.flushed = Flushed(0, {}, deepcopy(self.live), -1)

    def note_flushed(self) -> None:
        progress = dict(self.store.progress())
        self.flushed = Flushed(len(self.log), progress, deepcopy(self.live), self.time)

    @rule()
    def flush(self) -> None:
        self.log += self.store.flush()
        self.note_flushed()

    @rule()
    def commit(self) -> None:
        """What was put since the flush is no part of it."""
        self.committed_end, self.progress, self.committed, self.committed_time = self.flushed
        self.store.commit(self.committed_end)

    @rule(lost=st.booleans(), chunk=st.integers(1, 5))
    def crash(self, chunk: int, *, lost: bool) -> None:
        self.crash_and_restore(chunk, lost=lost)
        self.store.resume(self.progress)
        self.live, self.time = deepcopy(self.committed), self.committed_time
        self.note_flushed()


def check_model(machine: type[StoreMachine], engine: str, **options: Any) -> None:
    """Run a machine on an engine, with the options that it has as attributes of its class."""
    chosen = type(machine.__name__, (machine,), {"engine": engine, **options})
    # A database is opened for every example on disk: fewer of them.
    examples = 10 if engine == "rocksdb" else 80
    run_state_machine_as_test(
        chosen,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
