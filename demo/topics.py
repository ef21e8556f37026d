"""The topics of the flagship topology, and the table of service owners.

`python -m demo.topics --broker host:port` creates and fills them; doing it again changes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

import msgspec

from demo.catalogue import SERVICES
from demo.sending import acknowledge
from pipeline.errors import StreamsError
from pipeline.record import NO_HEADERS
from pipeline.runtime.broker import Broker, TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from schemas.observability import ServiceOwner

PARTITIONS: Final = 4
RAW_LOGS: Final = "raw.logs"
RAW_SPANS: Final = "raw.spans"
SERVICE_OWNERS: Final = "service.owners"
DEAD_LETTERS: Final = "dead.letters"
ALERTS: Final = "alerts"
DESTINATIONS: Final = (
    "splunk.logs",
    "archive.logs",
    "stackdriver.traces",
    "datadog.metrics",
    "honeycomb.events",
)

_MIB: Final = 1024 * 1024
#: Events may be years old, and brokers judge age by the record's timestamp: so what is kept is
#: bounded by size (per partition), not by age.
_EVENTS: Final = {
    "retention.ms": "-1",
    "retention.bytes": str(256 * _MIB),
    "segment.bytes": str(64 * _MIB),
}
#: Owners count for events of any age: a task takes up the older record first.
_FROM_THE_START_MS: Final = 1
_LARGE: Final = {"max.message.bytes": str(16 * _MIB)}


def topic_specs(partitions: int = PARTITIONS) -> list[TopicSpec]:
    """Return every topic that the flagship reads or writes, apart from its internal ones."""
    events = [RAW_LOGS, RAW_SPANS, *DESTINATIONS, ALERTS]
    return [
        *(TopicSpec(name, partitions, _EVENTS) for name in events),
        # A dead letter holds a whole record, and says in headers why it is one.
        TopicSpec(DEAD_LETTERS, partitions, {**_EVENTS, **_LARGE}),
        TopicSpec(SERVICE_OWNERS, partitions, {"cleanup.policy": "compact"}),
    ]


def prepare(broker: Broker, partitions: int = PARTITIONS) -> tuple[int, int]:
    """Create the topics and load the owners.

    Args:
        broker: where.
        partitions: of each topic.

    Returns:
        The number of topics, and of owners.

    Raises:
        BrokerError: the broker does not answer, or refuses.
    """
    specs = topic_specs(partitions)
    admin = broker.admin()
    try:
        admin.create_topics(specs)
    finally:
        admin.close()
    producer = broker.producer("headrace-demo-owners")
    try:
        for service in SERVICES:
            value = msgspec.json.encode(ServiceOwner(service.team, str(service.tier)))
            producer.produce(SERVICE_OWNERS, value, service.name.encode(), -1, _FROM_THE_START_MS, NO_HEADERS)
        acknowledge(producer)
    finally:
        producer.close()
    return len(specs), len(SERVICES)


def arguments() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = argparse.ArgumentParser(prog="python -m demo.topics", description=__doc__)
    parser.add_argument("--broker", required=True, metavar="HOST:PORT")
    parser.add_argument("--partitions", type=int, default=PARTITIONS, metavar="N")
    return parser


def main(command_line: Sequence[str] | None = None) -> None:
    """Run the command."""
    options = arguments().parse_args(command_line)
    try:
        topics, owners = prepare(KafkaBroker(options.broker), options.partitions)
    except StreamsError as error:
        raise SystemExit(f"error: {error}") from error
    print(f"{topics} topics exist at {options.broker}, {owners} service owners are loaded")


if __name__ == "__main__":
    main()
