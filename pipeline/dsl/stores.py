"""Stores that a user declares for a processor of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pipeline.dsl.graph import known, resolve
from pipeline.errors import TopologyError
from pipeline.serde import SerdeLike
from pipeline.topology import StoreSpec, check_topic_name, declaration_site
from pipeline.windows import milliseconds


@dataclass(frozen=True, slots=True)
class Store:
    """A key-value store: the last value by key, with a changelog.

    Attributes:
        name: names the changelog and the HTTP view.
        key: serde of the keys.
        value: serde of the values.
    """

    name: str
    key: SerdeLike = str
    value: SerdeLike = dict

    def spec(self) -> StoreSpec:
        """Return what the planner needs."""
        what = f"store {self.name!r}"
        check_topic_name(self.name, f"{what} at {declaration_site()}: name")
        return StoreSpec(
            self.name,
            "key-value",
            known(resolve(self.key, None, what), what, "key"),
            known(resolve(self.value, None, what), what, "value"),
        )


@dataclass(frozen=True, slots=True)
class WindowedStore(Store):
    """A window store: values by key and start time, forgotten after `retention`.

    Attributes:
        retention: how long a window can be read, in stream time. Required.
        window_size: size of a window; the end of a window is its start plus this.
    """

    retention: timedelta = timedelta(0)
    window_size: timedelta = timedelta(milliseconds=1)

    def spec(self) -> StoreSpec:
        """Return what the planner needs."""
        plain = Store(self.name, self.key, self.value).spec()
        return StoreSpec(
            plain.name,
            "window",
            plain.key,
            plain.value,
            retention_ms=self._positive(self.retention, "retention"),
            window_size_ms=self._positive(self.window_size, "window_size"),
        )

    def _positive(self, duration: timedelta, what: str) -> int:
        try:
            ms = milliseconds(duration, what)
        except ValueError as error:
            raise TopologyError(f"store {self.name!r} at {declaration_site()}: {error}") from error
        if ms < 1:
            raise TopologyError(
                f"store {self.name!r} at {declaration_site()} needs {what}= of at least a millisecond"
            )
        return ms
