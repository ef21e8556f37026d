"""An application of agents that await, fail, and take records of several keys at once."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from random import Random
from typing import Any, Final

import msgspec

from pipeline import App
from pipeline.agents.stream import AgentStream
from pipeline.record import TopicPartition, WindowRange
from pipeline.runtime.broker import Message
from pipeline.runtime.memory import MemoryBroker
from pipeline.testing.simulation import Input, Outcome

#: Jobs are counted, in a table; errands are not: their agents have no state.
JOBS: Final = "jobs"
ERRANDS: Final = "errands"
COUNTED: Final = "counted"
RUN: Final = "run"
TOGETHER: Final = "together"
CLOSED: Final = "closed"
TOPICS: Final = (COUNTED, RUN, TOGETHER)
PUT_ASIDE: Final = "put-aside"
_USERS: Final = 7
#: How long a record is awaited, in ms; None: not at all.
_AWAITED: Final = (None, None, 0, 5, 50, 400)
#: One of so many records is one that the agent raises on.
_FAILS: Final = 8
#: A batch, and how long it waits to be full.
_BATCH, _WITHIN_S = 3, 0.3
#: Windows of jobs, in ms, and how long they take changes after their end.
_SIZE_MS, _EXPIRES_MS = 7, 3


class Job(msgspec.Struct, frozen=True):
    """Keyed by user."""

    id: int
    user: str
    awaited: int | None
    fails: bool


async def _run(job: Job) -> None:
    if job.awaited is not None:
        await asyncio.sleep(job.awaited / 1_000)
    if job.fails:
        raise ValueError(f"job {job.id}")


def _app() -> App:
    app = App("couriers")
    _with_jobs(app)
    _with_errands(app)
    return app


def _with_jobs(app: App) -> None:
    """Count them by user, and by user and window."""
    jobs, closed = app.topic(JOBS, key_type=str, value_type=Job), app.topic(CLOSED)
    counts = app.Table("counts", default=int)

    async def window_closed(key: tuple[str, WindowRange], count: int) -> None:
        user, (start_s, _end_s) = key
        await asyncio.sleep(0.02)
        await closed.send(key=user, value=[round(start_s * 1_000), count])

    lately = app.Table("lately", default=int, on_window_close=window_closed).tumbling(
        _SIZE_MS / 1_000, expires=_EXPIRES_MS / 1_000
    )

    @app.agent(jobs)
    async def count_lately(stream: AgentStream[Job]) -> None:
        async for job in stream:
            lately[job.user] += 1

    @app.agent(jobs, concurrency=3, sink=[app.topic(COUNTED)])
    async def count(stream: AgentStream[Job]) -> AsyncIterator[Any]:
        async for job in stream:
            await _run(job)
            counts[job.user] += 1
            yield [counts[job.user], job.id]


def _with_errands(app: App) -> None:
    """Pass them on, one by one and in batches."""
    errands = app.topic(ERRANDS, key_type=str, value_type=Job)

    @app.agent(errands, concurrency=3, sink=[app.topic(RUN)])
    async def errand(stream: AgentStream[Job]) -> AsyncIterator[Any]:
        async for job in stream:
            await _run(job)
            yield job.id

    @app.agent(errands, sink=[app.topic(TOGETHER)])
    async def batches(stream: AgentStream[Job]) -> AsyncIterator[Any]:
        async for batch in stream.take(_BATCH, within=_WITHIN_S):
            await asyncio.sleep(0)
            for job in batch:
                yield job.id


TOPOLOGY: Final = _app().topology


class Couriers:
    """The input, and what is to come of it.

    Args:
        seed: of the input.
        jobs: how many, and as many errands.
    """

    def __init__(self, seed: int, jobs: int) -> None:
        random = Random(seed)
        self.jobs = [
            Job(
                number,
                f"user-{random.randrange(_USERS)}",
                random.choice(_AWAITED),
                random.randrange(_FAILS) == 0,
            )
            for number in range(jobs)
        ]

    def inputs(self) -> Iterator[Input]:
        """Yield each job, and an errand like it."""
        for job in self.jobs:
            value = msgspec.json.encode(job)
            for topic in (JOBS, ERRANDS):
                yield Input(topic, job.user.encode(), value, 1_000 + job.id)

    def wrong(self, outcome: Outcome) -> list[str]:
        """Return what must not be whatever the guarantee: lost, out of order, or not the fold."""
        lines = []
        right, every = self._by_user(fails=False), self._by_user(fails=None)
        for topic, expected in ((RUN, right), (TOGETHER, every)):
            found = self._users(outcome.records(topic))
            lines += [
                f"{topic}, {user}: {found[user]} instead of {expected[user]}"
                for user in expected
                if not _in_order(found[user], expected[user], outcome)
            ]
        counted = _by_key(outcome.records(COUNTED))
        for user, ids in right.items():
            numbered = list(enumerate(ids, 1))
            if not _in_order(list(map(tuple, counted[user])), numbered, outcome):
                lines.append(f"{COUNTED}, {user}: {counted[user]} instead of {numbered}")
        closed, to_close = self._closed(outcome).keys(), self._closing(outcome)
        if closed != to_close:
            lines.append(f"{CLOSED}: {sorted(closed)} instead of {sorted(to_close)}")
        failing = {job.id for job in self.jobs if job.fails}
        if any(missing := failing - _put_aside(outcome, topic).keys() for topic in (JOBS, ERRANDS)):
            lines.append(f"{PUT_ASIDE}: lost {sorted(missing)}")
        return lines

    def differences(self, outcome: Outcome) -> list[str]:
        """Return what is not exactly as it would be if nothing had gone wrong."""
        lines = self.wrong(outcome)
        for topic in TOPICS:
            ids = [_id(message) for message in outcome.records(topic)]
            if twice := [id_ for id_, count in Counter(ids).items() if count > 1]:
                lines.append(f"{topic}: {twice} are there twice")
        if again := [window for window, count in self._closed(outcome).items() if count > 1]:
            lines.append(f"{CLOSED}: {again} are there twice")
        for topic in (JOBS, ERRANDS):
            if twice := [id_ for id_, count in _put_aside(outcome, topic).items() if count > 1]:
                lines.append(f"{PUT_ASIDE} of {topic}: {twice} are there twice")
        return lines

    def _closed(self, outcome: Outcome) -> Counter[tuple[str, int, int]]:
        """Return the windows that were closed: user, start, and how many jobs."""
        windows = _by_key(outcome.records(CLOSED)).items()
        return Counter((user, start, count) for user, found in windows for start, count in found)

    def _closing(self, outcome: Outcome) -> set[tuple[str, int, int]]:
        """Return those that are to be: which, depends on how far time comes in each partition."""
        expected: set[tuple[str, int, int]] = set()
        for records in outcome.broker.partitions(JOBS):
            times = [((m.key or b"").decode(), m.timestamp) for m in records.committed()]
            counts = Counter((user, time - time % _SIZE_MS) for user, time in times)
            until = max((time for _user, time in times), default=-1) - _SIZE_MS - _EXPIRES_MS
            expected |= {(user, start, count) for (user, start), count in counts.items() if start <= until}
        return expected

    def _users(self, messages: Sequence[Message]) -> defaultdict[str, list[int]]:
        """Return ids by user, as written: what is yielded for a batch has the key of its last event."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for id_ in map(_id, messages):
            found[self.jobs[id_].user].append(id_)
        return found

    def _by_user(self, *, fails: bool | None) -> dict[str, list[int]]:
        """Return the ids of those that fail, that do not, or (None) of all."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for job in self.jobs:
            if fails is None or job.fails is fails:
                found[job.user].append(job.id)
        return dict(found)


def delivered(broker: MemoryBroker, application: str) -> None:
    """What is committed as read is done: no offset runs past a record that an agent has in hand."""
    committed = broker.committed(application)
    aside = [
        (headers["__streams.errors.topic"], msgspec.json.decode(message.value or b"")["id"])
        for each in broker.partitions(PUT_ASIDE)
        for message in each.committed()
        for headers in [{name: (value or b"").decode() for name, value in message.headers}]
    ]
    for source, results in ((JOBS, [COUNTED]), (ERRANDS, [RUN, TOGETHER])):
        put_aside = {id_ for topic, id_ in aside if topic == source}
        for result in results:
            done = {_id(message) for each in broker.partitions(result) for message in each.committed()}
            for number, records in enumerate(broker.partitions(source)):
                partition = TopicPartition(source, number)
                end = committed[partition].offset if partition in committed else 0
                for message in records.committed():
                    id_ = msgspec.json.decode(message.value or b"")["id"]
                    if message.offset < end and id_ not in done and id_ not in put_aside:
                        raise AssertionError(
                            f"{partition} offset {message.offset} is committed, and not in {result}"
                        )


def _in_order(found: Sequence[Any], expected: Sequence[Any], outcome: Outcome) -> bool:
    """Whether all are there, and each came after those before it.

    A record that was not acknowledged in time is written again, and what came after it, too: then those
    that were written last are in order.
    """
    if list(dict.fromkeys(found)) == expected:
        return True
    if not outcome.counts["records timed out"]:
        return False
    return list(dict.fromkeys(reversed(found))) == expected[::-1]


def _id(message: Message) -> int:
    value = msgspec.json.decode(message.value or b"")
    found: int = value[1] if isinstance(value, list) else value
    return found


def _by_key(messages: Sequence[Message]) -> defaultdict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for message in messages:
        found[(message.key or b"").decode()].append(msgspec.json.decode(message.value or b""))
    return found


def _put_aside(outcome: Outcome, topic: str) -> Counter[int]:
    """Return the ids of a topic's records that were put aside."""
    return Counter(
        msgspec.json.decode(message.value or b"")["id"]
        for message in outcome.records(PUT_ASIDE)
        if dict(message.headers).get("__streams.errors.topic") == topic.encode()
    )
