"""Stores that a user declares for a processor of their own.

A processor puts into its stores and reads them; nothing is forwarded from them, so there is no
`caching` to choose as there is for tables. Each of them reads its own writes at once, and is written
and logged at commit, the last value of each key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from pipeline.dsl.graph import known, resolve
from pipeline.dsl.options import positive_ms
from pipeline.serde import Serde, SerdeLike
from pipeline.topology import StoreSpec, check_topic_name, declaration_site


@dataclass(frozen=True, slots=True)
class DeclaredStore:
    """What all declarations of stores have in common.

    Attributes:
        name: names the changelog and the HTTP view.
        key: serde of the keys.
        value: serde of the values.
        logging: True (default): a changelog topic; False: none: the store is lost with its worker.
        in_memory: True: entries are kept in memory; False (default): in RocksDB.
    """

    name: str
    key: SerdeLike = str
    value: SerdeLike = dict
    logging: bool = field(default=True, kw_only=True)
    in_memory: bool = field(default=False, kw_only=True)

    def spec(self) -> StoreSpec:
        """Return what the planner needs.

        Raises:
            TopologyError: the declaration cannot work; names the store and the line.
        """
        raise NotImplementedError

    @property
    def _what(self) -> str:
        return f"store {self.name!r}"

    def _key(self) -> Serde[object]:
        check_topic_name(self.name, f"{self._what} at {declaration_site()}: name")
        return known(resolve(self.key, None, self._what), self._what, "key")

    def _value(self) -> Serde[object]:
        return known(resolve(self.value, None, self._what), self._what, "value")


@dataclass(frozen=True, slots=True)
class Store(DeclaredStore):
    """A key-value store: the last value by key; with `history` a versioned one.

    The processor is given a `pipeline.state.keyvalue.KeyValueStore`, or, with `history`, a
    `pipeline.state.versioned.VersionedStore`.

    Attributes:
        history: keep the values of each key over time, as far back from stream time as this (Kafka
            Streams: `Stores.persistentVersionedKeyValueStore`).
    """

    history: timedelta | None = field(default=None, kw_only=True)

    def spec(self) -> StoreSpec:
        """Return what the planner needs."""
        key, value = self._key(), self._value()
        if self.history is None:
            return StoreSpec(
                self.name, "key-value", key, value, logged=self.logging, in_memory=self.in_memory
            )
        return StoreSpec(
            self.name,
            "versioned",
            key,
            value,
            retention_ms=positive_ms(self.history, "history", self._what),
            caching=False,
            logged=self.logging,
            in_memory=self.in_memory,
        )


@dataclass(frozen=True, slots=True)
class WindowedStore(DeclaredStore):
    """A window store: values by key and start time, forgotten after `retention`.

    The processor is given a `pipeline.state.window.WindowStore`.

    Attributes:
        retention: how long a window can be read, in stream time. Required.
        window_size: size of a window; the end of a window is its start plus this.
    """

    retention: timedelta = timedelta(0)
    window_size: timedelta = timedelta(milliseconds=1)

    def spec(self) -> StoreSpec:
        """Return what the planner needs."""
        return StoreSpec(
            self.name,
            "window",
            self._key(),
            self._value(),
            retention_ms=positive_ms(self.retention, "retention", self._what),
            window_size_ms=positive_ms(self.window_size, "window_size", self._what),
            logged=self.logging,
            in_memory=self.in_memory,
        )


@dataclass(frozen=True, slots=True)
class SessionWindowedStore(DeclaredStore):
    """A session store: values by key, start and end, forgotten after `retention`.

    The processor is given a `pipeline.state.session.SessionStore`.

    Attributes:
        retention: how long a session can be read after its end, in stream time. Required.
    """

    retention: timedelta = timedelta(0)

    def spec(self) -> StoreSpec:
        """Return what the planner needs."""
        return StoreSpec(
            self.name,
            "session",
            self._key(),
            self._value(),
            retention_ms=positive_ms(self.retention, "retention", self._what),
            logged=self.logging,
            in_memory=self.in_memory,
        )
