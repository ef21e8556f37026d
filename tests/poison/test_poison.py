"""No input, however broken, stops a worker or gets lost: `python -m tests.poison` is the long form."""

from __future__ import annotations

import os
import secrets
from random import Random
from typing import Final

import pytest

import pipeline.serde
from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde import Serde
from pipeline.testing.driver import TopologyTestDriver
from tests.poison.inputs import LAST_MS
from tests.poison.run import feed
from tests.poison.serdes import SERDES
from tests.poison.times import TIMED, event_time

INPUTS: Final = 5_000
TIMES: Final = 500
#: Set to a number to feed the inputs of that seed again.
SEED: Final = "HEADRACE_POISON_SEED"


@pytest.mark.parametrize("name", SERDES)
def test_every_input_is_in_the_output_or_among_the_dead_letters(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get(SEED) or secrets.randbelow(1_000_000))
    print(f"python -m tests.poison --seed {seed} --inputs {INPUTS} --serde {name}")
    inputs, written, dead = feed(name, INPUTS, seed).row()
    assert (inputs, written + dead) == (INPUTS, INPUTS)
    # Neither does everything pass, nor nothing.
    assert 100 < dead + (name == "bytes") * 100 < INPUTS - 100


@pytest.mark.parametrize("name", TIMED)
def test_no_event_time_stops_an_operator_or_gets_lost(name: str) -> None:
    seed = int(os.environ.get(SEED) or secrets.randbelow(1_000_000))
    print(f"{SEED}={seed}")
    random, builder = Random(seed), StreamsBuilder("poison")
    TIMED[name](builder)
    times = [event_time(random) for _ in range(TIMES)]
    topics = ("in", "other", "out")
    with TopologyTestDriver(builder.build(), topics=topics, dead_letter="dead") as driver:
        inputs = [driver.input_topic("in", key=str, value=str)]
        if "join" in name:
            inputs.append(driver.input_topic("other", key=str, value=str))
        for time in times:
            random.choice(inputs).pipe(random.choice("ab"), "v", time)
        counted, refused = driver.metrics, sum(time > LAST_MS for time in times)
    assert (counted["records_processed"], counted["dead_letters"]) == (TIMES, refused)
    assert 0 < refused < TIMES


def test_no_serde_is_spared() -> None:
    public = {getattr(pipeline.serde, name) for name in pipeline.serde.__all__ if name.endswith("Serde")}
    concrete = public - {Serde, pipeline.serde.TopicSerde, pipeline.serde.WindowedSerde}
    assert {type(fuzzed.serde) for fuzzed in SERDES.values()} >= concrete
