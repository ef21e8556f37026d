"""`python -m pipeline.testing.embedded orders:4`: the embedded broker with these topics, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from pipeline.errors import BrokerError
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.testing.brokers import EmbeddedBroker


def main(arguments: Sequence[str] | None = None) -> None:
    """Start it, make the topics, say where it listens, and wait for SIGINT or SIGTERM.

    Args:
        arguments: instead of those of the command line.
    """
    options = _parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        with EmbeddedBroker(options.port) as broker:
            admin = KafkaBroker(broker.address).admin()
            admin.create_topics(options.topics)
            admin.close()
            _say(f"kafka://{broker.address}, in memory; Ctrl-C ends it")
            signal.pause()
    except BrokerError as error:
        sys.exit(f"Error: {error}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipeline.testing.embedded", description=__doc__)
    parser.add_argument("topics", type=_topic, nargs="*", metavar="topic[:partitions]", help="to make")
    parser.add_argument("--port", type=int, default=9092, help="another one if this is taken (9092)")
    return parser.parse_args(arguments)


def _topic(text: str) -> TopicSpec:
    name, _, partitions = text.partition(":")
    try:
        return TopicSpec(name, int(partitions or 1), {})
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: give a name, or name:partitions") from None


if __name__ == "__main__":
    main()
