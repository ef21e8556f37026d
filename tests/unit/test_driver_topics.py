"""Typed topics of the test driver: what does not fit a declared type is named with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import SerdeError
from pipeline.testing.driver import TopologyTestDriver


def read(key: object, value: object) -> Callable[[TopologyTestDriver], object]:
    return lambda driver: driver.output_topic("out", key=key, value=value).read_all()


def write(key: object, value: object) -> Callable[[TopologyTestDriver], object]:
    return lambda driver: driver.input_topic("in", key=str, value=str).pipe(key, value, timestamp=1)


@pytest.mark.parametrize(
    ("act", "says"),
    [
        pytest.param(
            read(str, int),
            "output topic out-0 offset 0: cannot decode the value, b'tea', as int64: ValueError: an int64 is "
            "8 bytes, big-endian, and this is 3; give output_topic() another value=",
            id="value-read-as-another-type",
        ),
        pytest.param(
            read(dict, str),
            "output topic out-0 offset 0: cannot decode the key, b'anna', as json",
            id="key-read-as-another-type",
        ),
        pytest.param(
            write(5, "tea"), "input topic in: cannot encode the key, of type int, as string", id="key-written"
        ),
        pytest.param(
            write("anna", {"a": 1}),
            "input topic in: cannot encode the value, of type dict, as string",
            id="value-written",
        ),
    ],
)
def test_what_does_not_fit_is_named(act: Callable[[TopologyTestDriver], object], says: str) -> None:
    builder = StreamsBuilder("test")
    builder.stream("in", key=str, value=str).to("out")
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe("in", b"anna", b"tea", 1, ())
        with pytest.raises(SerdeError) as raised:
            act(driver)
    assert says in str(raised.value)
