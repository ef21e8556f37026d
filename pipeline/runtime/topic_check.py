"""Whether the internal topics that exist are configured as they must be.

Someone may have made them by hand, altered them, or moved them from another cluster; the application's
own settings may have changed. What would lose rows is an error; what costs space or refuses rare
records, or is only different, is a warning, given once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Final, NamedTuple, TypeAlias

from pipeline.config import StreamsConfig
from pipeline.errors import TopologyError
from pipeline.runtime.broker import Admin, TopicSpec
from pipeline.topology import StoreSpec

_log: Final = logging.getLogger(__name__)

_LEAST_REPLICAS: Final = 3
_LEAST_IN_SYNC: Final = 2
_FOREVER: Final = "-1"
#: What a warning names before it only counts.
_NAMED: Final = 3


class InternalTopic(NamedTuple):
    """An internal topic as this application makes it.

    Attributes:
        spec: name, partitions, configuration.
        store: the store whose changelog it is; None: it is a repartition topic.
    """

    spec: TopicSpec
    store: StoreSpec | None = None


class _Difference(NamedTuple):
    topic: str
    setting: str
    found: str
    wanted: str
    why: str
    loses: bool

    def __str__(self) -> str:
        return (
            f"topic {self.topic!r} has {self.setting}={self.found} and should have {self.wanted}: {self.why}"
        )


#: Whether rows would be lost, and what the difference means.
_Verdict: TypeAlias = tuple[bool, str]


class TopicCheck:
    """Checks internal topics each time a worker has found its broker; says each warning once.

    Args:
        address: of the broker, for the command lines that mend what is wrong.
        config: the application's settings.
    """

    def __init__(self, address: str, config: StreamsConfig) -> None:
        self._address, self._config = address, config
        self._told: set[str] = set()

    def partitions(self, topics: Sequence[InternalTopic], existing: Mapping[str, int]) -> None:
        """Check partition counts.

        Raises:
            TopologyError: one differs.
        """
        for spec, _store in topics:
            count = existing.get(spec.name, spec.partitions)
            if count != spec.partitions:
                raise TopologyError(
                    f"internal topic {spec.name!r} has {count} partitions and should have {spec.partitions}: "
                    "the partition count of a source changed; delete the application's internal topics and "
                    "state, or undo the change"
                )

    def configurations(self, topics: Sequence[InternalTopic], admin: Admin) -> None:
        """Check what existing topics are configured with, as far as the broker tells.

        Raises:
            TopologyError: rows would be lost. All such differences are named, with the commands to run.
            BrokerUnreachableError: no broker answers.
        """
        found = admin.topic_configs([topic.spec.name for topic in topics]) if topics else {}
        differences = [
            difference
            for topic in topics
            for difference in self._differences(topic, found.get(topic.spec.name, {}))
        ]
        fatal = [difference for difference in differences if difference.loses]
        if fatal:
            raise TopologyError(
                "internal topics are configured so that records would be lost: "
                f"{'; '.join(map(str, fatal))}. Run {' && '.join(self._commands(fatal))}"
            )
        for difference in differences:
            (command,) = self._commands([difference])
            self._warn(f"{difference.topic} {difference.setting}", f"{difference}. To mend it: {command}")
        self._check_replicas(found)

    def _differences(self, topic: InternalTopic, found: Mapping[str, str]) -> list[_Difference]:
        differences = []
        for setting, wanted in topic.spec.config.items():
            if setting in found and setting in _RULES and not _same(setting, found[setting], wanted):
                verdict = _RULES[setting](topic, found, self._config)
                if verdict is not None:
                    loses, why = verdict
                    name = topic.spec.name
                    differences.append(_Difference(name, setting, found[setting], wanted, why, loses))
        return differences

    def _commands(self, differences: Sequence[_Difference]) -> list[str]:
        """Return the command for each topic that sets all that differs."""
        settings: dict[str, list[str]] = {}
        for each in differences:
            wanted = f"[{each.wanted}]" if "," in each.wanted else each.wanted
            settings.setdefault(each.topic, []).append(f"{each.setting}={wanted}")
        return [
            f"kafka-configs.sh --bootstrap-server {self._address} --alter --entity-type topics "
            f"--entity-name {topic} --add-config '{','.join(wanted)}'"
            for topic, wanted in settings.items()
        ]

    def _check_replicas(self, found: Mapping[str, Mapping[str, str]]) -> None:
        """Warn of topics that would not outlive a broker, unless the broker does not tell."""
        few = [
            f"{topic} (replication factor {config['replication.factor']}, "
            f"min.insync.replicas {config['min.insync.replicas']})"
            for topic, config in found.items()
            if "replication.factor" in config
            and "min.insync.replicas" in config
            and (
                int(config["replication.factor"]) < _LEAST_REPLICAS
                or int(config["min.insync.replicas"]) < _LEAST_IN_SYNC
            )
        ]
        if few:
            more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
            in_sync = f"min.insync.replicas={_LEAST_IN_SYNC}"
            self._warn(
                "replicas",
                f"internal topics may lose records with a broker: {', '.join(few[:_NAMED])}{more}. In "
                f"production have {_LEAST_REPLICAS} replicas (App(replication_factor={_LEAST_REPLICAS}) "
                f"before the topics are made, else kafka-reassign-partitions.sh), then set {in_sync} "
                f"(kafka-configs.sh --bootstrap-server {self._address} --alter --entity-type topics "
                f"--entity-name TOPIC --add-config {in_sync})",
            )

    def _warn(self, what: str, text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            _log.warning("%s", text)


def _same(setting: str, found: str, wanted: str) -> bool:
    if setting == "cleanup.policy":
        return _policies(found) == _policies(wanted)
    return found == wanted


def _policies(value: str) -> set[str]:
    return {policy.strip() for policy in value.split(",")}


def _kept(value: str) -> float:
    return inf if value == _FOREVER else int(value)


def _judge_policy(topic: InternalTopic, found: Mapping[str, str], _config: StreamsConfig) -> _Verdict:
    """A repartition topic is a queue; a table's changelog keeps the last row of each key, however old."""
    policies = _policies(found["cleanup.policy"])
    if topic.store is None:
        return True, "compaction would remove records that are not processed yet"
    if "delete" not in policies:
        return False, "rows of windows that are long over stay for ever"
    keeps = all(found.get(setting) == _FOREVER for setting in ("retention.ms", "retention.bytes"))
    if "delete" not in _policies(topic.spec.config["cleanup.policy"]) and not keeps:
        return True, "rows would be deleted by age or size although no later row replaces them"
    return False, "replaced rows stay, and make it long to restore"


def _judge_retention(
    topic: InternalTopic, found: Mapping[str, str], _config: StreamsConfig
) -> _Verdict | None:
    if "delete" not in _policies(found.get("cleanup.policy", "delete")):
        return None
    kept = _kept(found["retention.ms"])
    if topic.store is None:
        return False, (
            "records are deleted when their event time is so old, processed or not: a stop, or a replay "
            "of old records, would lose some"
        )
    if kept < topic.store.retention_ms:
        return True, f"rows would be deleted that the store keeps for {topic.store.retention_ms} ms"
    if kept < _kept(topic.spec.config["retention.ms"]):
        return False, "a worker that was away for long may find rows deleted"
    return False, "rows stay longer than needed"


def _judge_size(_topic: InternalTopic, _found: Mapping[str, str], _config: StreamsConfig) -> _Verdict:
    return True, "the oldest records would be deleted once a partition is so large, needed or not"


def _judge_timestamps(topic: InternalTopic, found: Mapping[str, str], _config: StreamsConfig) -> _Verdict:
    if topic.store is None:
        return True, "event times would be replaced by the times of writing"
    if "delete" in _policies(found.get("cleanup.policy", "delete")):
        return True, "rows would be deleted by their writer's clock, not counted from when they were written"
    return False, "compaction would go by the writer's clock, not by when rows were written"


def _judge_lag(_topic: InternalTopic, found: Mapping[str, str], config: StreamsConfig) -> _Verdict:
    """With exactly-once the broker knows what is committed, and compacts nothing away in its favour."""
    lag = int(found["min.compaction.lag.ms"])
    if lag < config.commit_interval_ms and not config.exactly_once:
        return True, "compaction would remove committed rows in favour of some that are not committed"
    if lag < int(_topic.spec.config["min.compaction.lag.ms"]):
        return False, "rows of a worker that crashed may be compacted away before another one has them"
    return False, "replaced rows stay longer than needed"


def _judge_record_size(topic: InternalTopic, found: Mapping[str, str], _config: StreamsConfig) -> _Verdict:
    if int(found["max.message.bytes"]) < int(topic.spec.config["max.message.bytes"]):
        return False, "a larger record would stop the worker"
    return False, "larger records than max_internal_record_bytes are taken"


def _judge_future(_topic: InternalTopic, _found: Mapping[str, str], _config: StreamsConfig) -> _Verdict:
    return False, "a record with an event time further ahead would stop the worker"


#: By setting: what a difference means.
_RULES: Final[Mapping[str, Callable[[InternalTopic, Mapping[str, str], StreamsConfig], _Verdict | None]]] = {
    "cleanup.policy": _judge_policy,
    "retention.ms": _judge_retention,
    "retention.bytes": _judge_size,
    "message.timestamp.type": _judge_timestamps,
    "min.compaction.lag.ms": _judge_lag,
    "max.message.bytes": _judge_record_size,
    "message.timestamp.after.max.ms": _judge_future,
}
