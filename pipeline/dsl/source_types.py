"""The types of a source's records, as type checkers see them: what `key=` and `value=` stand for.

```
app.stream("logs")                           KStream[bytes, Any]
app.stream("logs", key=str, value=Log)       KStream[str, Log]
app.table("users", name="u", value=User)     KTable[str, User]
```

Open JSON (`value=dict`, the default) is `Any` unless it is told: its fields are of any type. Of a union
(`value=Created | Deleted`) some checkers know the first member only: annotate the variable,
`events: KStream[bytes, Created | Deleted] = app.stream(...)`.
"""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pipeline.serde import Serde

if TYPE_CHECKING:
    # A type variable with a default: what a source has that is told nothing.
    from typing_extensions import TypeVar

    StreamKey = TypeVar("StreamKey", default=bytes)
    TableKey = TypeVar("TableKey", default=str)
    SourceValue = TypeVar("SourceValue", default=Any)
else:
    from typing import TypeVar

    StreamKey, TableKey = TypeVar("StreamKey"), TypeVar("TableKey")
    SourceValue = TypeVar("SourceValue")

T = TypeVar("T")

#: What a source takes for `key=` and `value=`: `SerdeLike`, with the type of what it decodes.
SerdeOf: TypeAlias = type[T] | Serde[T] | UnionType

#: The defaults. Typed as anything: a default says nothing about the types of those who give another.
BYTES_KEYS: Final[Any] = bytes
TEXT_KEYS: Final[Any] = str
OPEN_JSON: Final[Any] = dict
