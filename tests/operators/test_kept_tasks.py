"""Tasks that a worker keeps go on working while those that it was given are restored."""

from __future__ import annotations

from pipeline.dsl.builder import StreamsBuilder
from pipeline.topology import Topology
from tests.operators.cluster import Cluster

#: Changelog records of the task that moves: one is restored a turn.
RESTORED = 30


def counting() -> Topology:
    builder = StreamsBuilder("app")
    builder.stream("in", key=str, value=str).group_by_key().count(name="counts").to_stream().to("out")
    return builder.build()


def test_a_kept_task_answers_at_every_turn_while_another_restores() -> None:
    cluster = Cluster(counting(), {"in": 2, "out": 1}, restore_records=1)
    keeping, leaving = cluster.worker("a"), cluster.worker("b")
    cluster.run(keeping, leaving)
    for number in range(RESTORED):
        cluster.send("in", f"moved-{number}", 1)
    cluster.run(keeping, leaving)
    leaving.abort()  # Its disk is not here: the task is restored from its changelog.

    answered, turns = 0, 0
    cluster.run(keeping, turns=1)
    while keeping.status().state == "restoring":
        cluster.send("in", f"kept-{turns}", 0)
        cluster.run(keeping, turns=2)
        answered += f"kept-{turns}".encode() in cluster.read("out")
        turns += 1
    assert turns > RESTORED / 2 - 2
    assert answered == turns

    cluster.send("in", "moved-0", 1)
    cluster.run(keeping)
    counts = {key: value for store in keeping.registry.open("counts").values() for key, value in store.all()}
    assert counts["moved-0"] == 2
    assert len(counts) == RESTORED + turns
