"""A stored value that its type does not take stops the worker, which says whose it is and what to do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import StateError
from pipeline.state.provider import MemoryProvider
from pipeline.topology import Topology
from pipeline.windows import session, tumbling
from tests.operators.cluster import Cluster

MINUTE = timedelta(minutes=1)


def counting(value: Any, start: Any, windows: Any) -> Topology:
    builder = StreamsBuilder("app")
    grouped: Any = builder.stream("in", key=str, value=float).group_by_key()
    if windows is not None:
        grouped = grouped.windowed_by(windows)
    more = {} if windows is None or "Session" not in type(windows).__name__ else {"merger": lambda *_: start}
    grouped.aggregate(lambda: start, lambda _k, _v, kept: kept, *more.values(), name="kept", value=value)
    return builder.build()


@pytest.mark.parametrize(
    "windows",
    [None, tumbling(MINUTE, grace=MINUTE), session(MINUTE, grace=MINUTE)],
    ids=["keys", "windows", "sessions"],
)
@pytest.mark.parametrize(
    ("put", "value", "taken", "says"),
    [
        # JSON has no word for it.
        (float, float("nan"), float, "json:float: Expected `float`, got `null`"),
        (dict, {"a": 1}, list[int], "json:list.*Expected `array`, got `object`"),
    ],
    ids=["not a number", "another type"],
)
def test_it_says_whose_value_it_is(put: Any, value: Any, taken: Any, says: str, windows: Any) -> None:
    cluster, disk = Cluster(counting(put, value, windows), {"in": 1}), MemoryProvider()
    worker = cluster.worker("before", disk)
    cluster.send("in", "a")
    cluster.run(worker)
    worker.close()
    cluster.topology = counting(taken, value, windows)
    worker = cluster.worker("after", disk)
    cluster.send("in", "a")
    with pytest.raises(StateError, match=rf"kept \(.*py:\d+\): store 'kept' holds .* {says}; .*faust reset"):
        cluster.run(worker)
    worker.abort()
