"""Where a record's time goes: samples are told apart, and add up."""

from __future__ import annotations

from typing import Final

import pytest

from benchmarks.profile.__main__ import Profile
from benchmarks.profile.__main__ import page as profile_page
from benchmarks.profile.layers import LAYERS, layer_of, shares
from benchmarks.works.work import Case

ENGINE = "main (benchmarks/measure.py:37);_process (/somewhere/benchmarks/engine.py:88)"
OURS = f"{ENGINE};step (pipeline/runtime/worker.py:160)"
BY_HAND = "main (benchmarks/measure.py:37);route (benchmarks/handwritten/route.py:38)"
RESTORE = "run (/somewhere/benchmarks/engine.py:37);restore (/somewhere/benchmarks/engine.py:43)"
FUSED = "<fused 1f95b3ea: _running, build_filter, _to_topic>"
CLIENT, JSON = "(confluent_kafka/cimpl.so)", "(msgspec/_core.so)"


SAMPLES: Final[list[tuple[str, str | None]]] = [
    (f"{OURS};poll (pipeline/runtime/kafka/consumer.py:121);Consumer_consume {CLIENT}", "fetching"),
    (f"{OURS};Message_dealloc {CLIENT};free (libc.so.6)", "fetching"),
    (f"{OURS};run (pipeline/runtime/record_queue.py:159);JSONDecoder_decode {JSON}", "decoding JSON"),
    (f"{OURS};run (pipeline/runtime/record_queue.py:151);Message_key {CLIENT}", "runtime and operators"),
    (f"{OURS};process (pipeline/operators/sink.py:46);JSONEncoder_encode {JSON}", "encoding JSON"),
    (f"{OURS};process (pipeline/operators/stateless.py:82)", "runtime and operators"),
    (f"{OURS};run ({FUSED}:31)", "runtime and operators"),
    (f"{OURS};flush (pipeline/state/window.py:120);process ({FUSED}:31)", "runtime and operators"),
    (f"{OURS};run ({FUSED}:31);put (pipeline/state/window.py:120)", "stores and their caches"),
    (f"{OURS};<lambda> (benchmarks/topologies.py:65);sub {JSON}", "the user's functions"),
    (f"{OURS};put (pipeline/state/window.py:120);hash (libpython.so)", "stores and their caches"),
    (f"{OURS};get (pipeline/state/rocksdb.py:9);Rdict::get (rocksdict/rocksdict.so)", "RocksDB"),
    (f"{OURS};produce (pipeline/runtime/kafka/producer.py:86);Producer_produce {CLIENT}", "producing"),
    (
        f"{OURS};flush (pipeline/runtime/kafka/producer.py:153);Producer_flush {CLIENT}",
        "waiting for acknowledgements",
    ),
    (
        f"{OURS};commit (pipeline/runtime/kafka/consumer.py:181);Consumer_commit {CLIENT}",
        "waiting for acknowledgements",
    ),
    (OURS, "runtime and operators"),
    (f"{RESTORE};_stored (/somewhere/benchmarks/engine.py:110);value (rocksdict/rocksdict.so)", None),
    (f"{RESTORE};step (pipeline/runtime/worker.py:160)", "runtime and operators"),
    (BY_HAND, "the loop itself"),
    (f"{BY_HAND};Consumer_consume {CLIENT}", "fetching"),
    (f"{BY_HAND};Message_value {CLIENT}", "the loop itself"),
    (f"{BY_HAND};masked (benchmarks/masking.py:20);sub (libpython.so)", "the user's functions"),
    (f"{OURS};<module> (pipeline/late.py:1);put (pipeline/state/window.py:120)", None),
    ("run (threading.py:975);wait (threading.py:327)", None),
    ("main (benchmarks/measure.py:37);<module> (pipeline/app.py:1)", None),
]


@pytest.mark.parametrize(("stack", "layer"), SAMPLES)
def test_a_sample_is_of_one_layer(stack: str, layer: str | None) -> None:
    assert layer_of(stack.split(";")) == layer


def test_shares_are_of_the_samples_about_records() -> None:
    fetching, loop = f"{BY_HAND};Consumer_consume {CLIENT} 3", f"{BY_HAND} 1"
    assert shares([fetching, loop, "run (threading.py:975) 100"]) == {
        "fetching": 0.75,
        "the loop itself": 0.25,
    }


def test_the_page_shows_both_and_their_sums() -> None:
    case = Case("decode")
    ours, by_hand = {"fetching": 0.25, "decoding JSON": 0.5}, {"fetching": 0.25}
    text = profile_page(
        [Profile(case, "headrace", ours), Profile(case, "hand-written", by_hand)], 1
    ).markdown("profile.svg")
    for row in (
        "fetching | 0.25 | 0.25 |",
        "decoding JSON | 0.50 |  |",
        "**together** | **0.75** | **0.25** |",
    ):
        assert f"| read and decode, JSON, 190 B | {row}" in text


@pytest.mark.parametrize("stack", [stack for stack, _layer in SAMPLES])
def test_no_sample_matches_two_layers(stack: str) -> None:
    assert sum(pattern is not None and pattern.search(stack) is not None for pattern in LAYERS.values()) <= 1
