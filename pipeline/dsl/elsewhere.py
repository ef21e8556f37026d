"""Operators that are called otherwise here than in Java, or belong to another object: which, and where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from pipeline.absent import instead, refuse

_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

_GROUP_FIRST: Final = "group it first: stream.group_by_key(), or stream.group_by(mapper, name=...)"
_PROCESS: Final = "stream.process(supplier, ...), or stream.process_values(supplier, ...), which keeps keys"
#: Of a stream.
OF_A_STREAM: Final = instead(
    count__reduce__aggregate__windowed_by__cogroup=_GROUP_FIRST,
    print="stream.peek(print)",
    through="stream.repartition(name=...), or stream.to(topic) and app.stream(topic)",
    transform__transform_values__flat_transform__flat_transform_values=_PROCESS,
    split="stream.branch({name: predicate}, default=...) returns the branches by name",
    suppress="it is of tables: count, reduce or aggregate first",
)
#: Of a table.
OF_A_TABLE: Final = instead(
    to__foreach__peek__map__flat_map__flat_map_values__select_key__process__process_values__branch__merge__repartition__to_table__windowed_by__group_by_key__cogroup=(
        "it is of streams: table.to_stream() first"
    ),
    count__reduce__aggregate="table.group_by(mapper, name=...) first",
    transform_values="table.to_stream().process_values(supplier).to_table(name=...) comes near",
    queryable_store_name="table.name",
)
#: Of what is grouped, and not a table yet.
OF_A_GROUP: Final = instead(
    to__to_stream__to_table__foreach__peek__filter__map__map_values__join__left_join=(
        "make it a table first: count(name=...), reduce(...) or aggregate(...)"
    ),
    suppress="count, reduce or aggregate first; or emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)",
)


class Elsewhere:
    """Says of a name that an object does not have where that is.

    Attributes:
        ELSEWHERE: by name.
    """

    ELSEWHERE: ClassVar[Mapping[str, str]] = {}

    # Whoever checks types is told that there is no such name.
    if not TYPE_CHECKING:

        def __getattr__(self, name):  # noqa: ANN001, ANN204
            here = _HUMP.sub("_", name).lower()
            if here != name and hasattr(type(self), here):
                refuse(type(self).__name__, name, {name: f"it is called {here} here"})
            refuse(type(self).__name__, name, {name: self.ELSEWHERE[here]} if here in self.ELSEWHERE else {})
