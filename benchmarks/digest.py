"""A fingerprint of many records that does not depend on their order."""

from __future__ import annotations

import zlib
from dataclasses import dataclass


@dataclass(slots=True)
class Digest:
    """Number of records, and the sum of their checksums.

    Attributes:
        records: how many were added.
        checksum: sum of the CRC-32 of each; a record that is missing, repeated or altered
            changes it.
    """

    records: int = 0
    checksum: int = 0

    def add(self, key: bytes, value: bytes) -> None:
        """Add one record."""
        self.records += 1
        self.checksum += zlib.crc32(value, zlib.crc32(key))

    def add_window(self, key: bytes, start_ms: int, count: int, total: int) -> None:
        """Add one window of a count and sum."""
        self.add(key, b"%d %d %d" % (start_ms, count, total))
