"""Who is killed when: workers and brokers, at random moments, from one seed."""

from __future__ import annotations

from functools import partial
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.testing.brokers import ApacheKafka
from tests.integration.crash.run import APPLICATION, Run, pause

BROKERS: Final = 3

#: A killed worker's partitions wait for the end of its session.
ONE_NODE: Final = {
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.session.timeout.ms": "6000",
}
#: With replication to three and two that must have a record before it counts.
CLUSTER: Final = ONE_NODE | {
    "min.insync.replicas": "2",
    # Until a broker is known to be gone, everything that it led stands still; but one that is slow, on a
    # busy machine, is not to be taken for one that is gone.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
}

#: Orders committed between a recovery and the next kill, at most.
_STEADY: Final = 200
#: Seconds from one kill to the next that is to meet a start, a rebalance or a restore.
_SOON_S: Final = 6.0
#: Seconds that a worker stays away, at most: longer than its session.
_DOWN_S: Final = 9.0


def kill_workers(run: Run, kills: int) -> None:
    """Kill random workers while records keep coming; some of them soon after one another."""
    while run.kills < kills:
        run.wait_committed(run.random.randrange(1, _STEADY))
        run.time_recovery(lambda: _burst(run, kills))


def _burst(run: Run, kills: int) -> None:
    """Kill one worker, and as often as not others before all is well again."""
    while True:
        forget = run.random.random() < 1 / 5
        down_s = run.random.uniform(0, _DOWN_S) if run.random.random() < 1 / 4 else 0.0
        run.kill(forget=forget, down_s=down_s)
        if run.kills >= kills or run.random.random() < 1 / 2:
            return
        pause(run.random.uniform(0, _SOON_S))


def kill_brokers(run: Run, kafka: ApacheKafka, kills: int) -> None:
    """Kill random brokers, one at a time, while records keep coming; every other coordinates the group."""
    while run.kills < kills:
        run.wait_committed(run.random.randrange(1, _STEADY))
        node = run.random.randrange(BROKERS)
        if run.kills % 2 == 0:
            node = _coordinator(run, node)
        run.time_recovery(partial(kafka.kill, node))
        run.kills += 1
        kafka.restart(node)
        run.wait_replicated()


def _coordinator(run: Run, otherwise: int) -> int:
    """Return the broker that coordinates the workers' group."""
    client = AdminClient({"bootstrap.servers": run.topics.address})
    (future,) = client.describe_consumer_groups([APPLICATION]).values()
    try:
        return int(future.result().coordinator.id)
    except KafkaException:
        return otherwise
