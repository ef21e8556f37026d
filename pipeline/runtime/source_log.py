"""A table's own topic in place of a changelog: whether it may be one.

```
topic        |------------------------------------|----- - - -
             first record held     committed offset: up to here it is restored, from here processed
```
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from pipeline.errors import TopologyError
from pipeline.plan.planner import Plan
from pipeline.runtime.broker import Admin

_log: Final = logging.getLogger(__name__)
_FOREVER: Final = "-1"


def check_kept(plan: Plan, admin: Admin) -> None:
    """Check that topics which stand for changelogs lose no row to age or size.

    Where the broker does not tell, as the embedded one, a warning says what must hold.

    Raises:
        TopologyError: records of such a topic are deleted although no later one replaces them.
        BrokerUnreachableError: no broker answers.
    """
    configs = admin.topic_configs([topic for source in plan.source_logs for topic in source.topics])
    for source in plan.source_logs:
        (topic,) = source.topics
        config = configs.get(topic, {})
        if "cleanup.policy" not in config:
            _log.warning(
                "%s restores its rows from topic %r: the broker does not tell whether it deletes records by "
                "age or size, which it must not",
                source,
                topic,
            )
        elif not _keeps_rows(config):
            settings = ", ".join(f"{name}={config[name]}" for name in _SETTINGS if name in config)
            raise TopologyError(
                f"{source} restores its rows from topic {topic!r} (reuse_source=True), which deletes records "
                f"by age or size ({settings}): rows would be lost. Set its cleanup.policy to compact, or "
                "leave reuse_source= out, so that the table has a changelog"
            )


_SETTINGS: Final = ("cleanup.policy", "retention.ms", "retention.bytes")


def _keeps_rows(config: Mapping[str, str]) -> bool:
    if "delete" not in config["cleanup.policy"].split(","):
        return True
    return all(config.get(name) == _FOREVER for name in _SETTINGS[1:])
