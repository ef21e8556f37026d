"""What comes of a request to delete records: asked for now, answered some time later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pipeline.errors import BrokerError
from pipeline.record import TopicPartition


class Deletion(Protocol):
    """A request to delete records, under way."""

    def failures(self) -> Mapping[TopicPartition, BrokerError] | None:
        """Return why partitions keep their records, empty if none does; None: not every answer has come.

        What is deleted already is no failure; an offset past the end is one, and so is a topic that does
        not exist, or is not deleted from (`cleanup.policy=compact`).

        Makes no request, and does not wait.
        """
        ...
