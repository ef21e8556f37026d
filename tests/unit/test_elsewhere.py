"""Names that an object of the DSL does not have: what they are called here, and what has them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pipeline import App, TopologyError, tumbling

MINUTE = tumbling(timedelta(minutes=1), grace=timedelta(0))
OBJECTS: dict[str, Callable[[App], Any]] = {
    "stream": lambda app: app.stream("in"),
    "table": lambda app: app.table("in", name="rows"),
    "windowed table": lambda app: app.stream("in").group_by_key().windowed_by(MINUTE).count(name="n"),
    "grouped": lambda app: app.stream("in").group_by_key(),
    "windowed": lambda app: app.stream("in").group_by_key().windowed_by(MINUTE),
    "grouped table": lambda app: app.table("in", name="rows").group_by(lambda k, v: (k, v), name="by"),
}


@pytest.mark.parametrize(
    ("of", "name", "says"),
    [
        ("stream", "mapValues", "KStream.mapValues is not available: it is called map_values here"),
        ("stream", "groupByKey", "it is called group_by_key here"),
        ("stream", "count", "group it first"),
        ("stream", "windowedBy", "group it first"),
        ("stream", "print", "stream.peek(print)"),
        ("stream", "through", "stream.repartition(name=...)"),
        ("stream", "transformValues", "stream.process(supplier, ...)"),
        ("stream", "split", "stream.branch("),
        ("table", "toStream", "it is called to_stream here"),
        ("table", "to", "KTable.to is not available: it is of streams: table.to_stream() first"),
        ("table", "count", "table.group_by(mapper, name=...) first"),
        ("windowed table", "foreach", "WindowedKTable.foreach is not available: it is of streams"),
        ("grouped", "to_stream", "make it a table first"),
        ("windowed", "suppress", "emit_strategy("),
        ("windowed", "emitStrategy", "it is called emit_strategy here"),
        ("grouped table", "to", "make it a table first"),
    ],
)
def test_a_name_says_where_it_is(of: str, name: str, says: str) -> None:
    thing = OBJECTS[of](App("test"))
    assert not hasattr(thing, name)
    with pytest.raises(TopologyError) as raised:
        getattr(thing, name)
    assert says in str(raised.value)


@pytest.mark.parametrize("of", OBJECTS)
@pytest.mark.parametrize("name", ["nonsense", "mapNonsense", "__deepcopy__"])
def test_any_other_name_is_an_ordinary_error(of: str, name: str) -> None:
    with pytest.raises(AttributeError, match=name) as raised:
        getattr(OBJECTS[of](App("test")), name)
    assert not isinstance(raised.value, TopologyError)
