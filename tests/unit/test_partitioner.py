from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.partitioner import murmur2, partition_for


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        # Kafka's own: org.apache.kafka.common.utils.UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_a8_6_b6_hash_is_javas(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed % 2**32


@pytest.mark.parametrize(("key", "expected"), [(b"21", 0), (b"foobar", 6), (b"abc", 7)])
def test_a8_6_b6_partition_drops_the_sign_bit_before_the_remainder(key: bytes, expected: int) -> None:
    # toPositive: abs() would choose others for the two negative hashes.
    assert partition_for(key, 10) == expected == (murmur2(key) & 0x7FFFFFFF) % 10


@given(st.binary(max_size=64), st.integers(1, 1000))
def test_partition_exists(key: bytes, partitions: int) -> None:
    assert 0 <= partition_for(key, partitions) < partitions
