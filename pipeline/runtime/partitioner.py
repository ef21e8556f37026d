"""Kafka's partitioner: murmur2 over the key's bytes.

Source: `org.apache.kafka.common.utils.Utils.murmur2` and `toPositive`. Records of one key must land
where Java's producers put them, or joins miss.
"""

from __future__ import annotations

from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_R: Final = 24
_MASK: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF
_WORD: Final = 4


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 hash, unsigned (Java prints the same bits signed).

    >>> murmur2(b"21") - 2**32
    -973932308
    """
    length = len(data)
    h = (_SEED ^ length) & _MASK
    tail = length - length % _WORD
    for start in range(0, tail, _WORD):
        k = int.from_bytes(data[start : start + _WORD], "little")
        k = (k * _M) & _MASK
        k ^= k >> _R
        k = (k * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    if tail < length:
        h ^= int.from_bytes(data[tail:], "little")
        h = (h * _M) & _MASK
    h ^= h >> 13
    h = (h * _M) & _MASK
    return h ^ (h >> 15)


def partition_for(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's producers choose for this key.

    Args:
        key: the key's bytes.
        partitions: number of partitions of the topic, at least 1.
    """
    return (murmur2(key) & _POSITIVE) % partitions
