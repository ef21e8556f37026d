"""How a table's rows are kept: what every operator that makes a table takes beside its name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, TypedDict

from pipeline.dsl.graph import known
from pipeline.errors import TopologyError
from pipeline.serde import Serde
from pipeline.topology import StoreSpec, declaration_site
from pipeline.windows import milliseconds


class StoreOptions(TypedDict, total=False):
    """Options of a table's store (Kafka Streams: `Materialized`), all optional.

    Attributes:
        retention: windowed tables only: how long a window can be read, in stream time, from its start
            (of a session: from its end). At least as long as in Kafka Streams: size plus grace, for
            sliding windows twice the difference plus grace, for sessions gap plus grace. It may only
            raise what a record that is not late may ask for, which is the default.
        history: unwindowed tables only: makes the table versioned, with the history of each key as
            far back as this (Kafka Streams: `Stores.persistentVersionedKeyValueStore`).
        caching: True (default): updates go downstream at commit, the last one of each key; False:
            each update goes downstream at once.
        logging: True (default): a changelog topic; False: none: the table is lost with its worker.
        in_memory: True: rows are kept in memory; False (default): in RocksDB.
    """

    retention: timedelta
    history: timedelta
    caching: bool
    logging: bool
    in_memory: bool


def table_store(
    name: str, key: Serde[Any], value: Serde[Any], options: StoreOptions, operator: str
) -> StoreSpec:
    """Return the store of an unwindowed table, versioned if it is to keep history.

    Raises:
        TopologyError: an option does not fit; names the operator and the line.
    """
    check_options(options, operator)
    if "retention" in options:
        raise TopologyError(
            f"{operator} at {declaration_site()}: retention= is for windowed tables; rows of this one stay "
            "until they are deleted"
        )
    history = options.get("history")
    if history is None:
        return StoreSpec(name, "key-value", key, value, **_kept(options))
    if options.get("caching"):
        raise TopologyError(
            f"{operator} at {declaration_site()}: a table with history= cannot have caching=True: every "
            "version goes downstream"
        )
    return StoreSpec(
        name,
        "versioned",
        key,
        value,
        retention_ms=positive_ms(history, "history", operator),
        **(_kept(options) | {"caching": False}),
    )


def named_store(
    name: str | None,
    key: Serde[Any],
    value: Serde[Any] | None,
    options: StoreOptions,
    operator: str,
) -> StoreSpec | None:
    """Return the store of a table that is kept if it has a name; None: its rows are computed on demand.

    Raises:
        TopologyError: an option does not fit; names the operator and the line.
    """
    if name is not None:
        return table_store(name, key, known(value, operator, "value"), options, operator)
    check_options(options, operator)
    if options:
        given = ", ".join(f"{option}=" for option in options)
        raise TopologyError(
            f"{operator} at {declaration_site()}: {given} needs name=: without a name the table has no "
            "store, its rows are computed when asked for"
        )
    return None


def windowed_store(
    name: str, key: Serde[Any], value: Serde[Any], options: StoreOptions, operator: str, *, least_ms: int
) -> dict[str, Any]:
    """Return the fields that the stores of all windowed tables have in common.

    Args:
        name: the store's name.
        key: serde of the key within the window.
        value: serde of the value.
        options: what the user asked for.
        operator: for messages.
        least_ms: the shortest retention with which nothing that is accepted is hidden.

    Raises:
        TopologyError: an option does not fit; names the operator and the line.
    """
    check_options(options, operator)
    if "history" in options:
        raise TopologyError(f"{operator} at {declaration_site()}: history= is for tables without windows")
    retention_ms = least_ms
    if "retention" in options:
        retention_ms = positive_ms(options["retention"], "retention", operator)
        if retention_ms < least_ms:
            raise TopologyError(
                f"{operator} at {declaration_site()}: retention of {retention_ms} ms is shorter than the "
                f"{least_ms} ms that the windows and their grace need"
            )
    kept: dict[str, Any] = {"name": name, "key": key, "value": value, "retention_ms": retention_ms}
    return kept | _kept(options)


def check_options(options: Mapping[str, object], operator: str) -> None:
    """Check what came in as `**options`: to Python, any keyword will do.

    Raises:
        TopologyError: an option is unknown, or one that is on or off is neither.
    """
    known_options = StoreOptions.__optional_keys__
    for option, value in options.items():
        if option not in known_options:
            close = get_close_matches(option, known_options, n=1)
            hint = (
                f"; did you mean {close[0]}=?" if close else f": there are {', '.join(sorted(known_options))}"
            )
            raise TopologyError(f"{operator} at {declaration_site()}: there is no {option}={hint}")
        if option not in {"retention", "history"} and not isinstance(value, bool):
            raise TopologyError(
                f"{operator} at {declaration_site()}: {option}= must be True or False, not {value!r}"
            )


def positive_ms(duration: timedelta, what: str, operator: str) -> int:
    """Return a duration in ms, or raise a TopologyError that names operator and line."""
    try:
        ms = milliseconds(duration, what)
    except ValueError as error:
        raise TopologyError(f"{operator} at {declaration_site()}: {error}") from error
    if ms < 1:
        raise TopologyError(f"{operator} at {declaration_site()} needs {what}= of at least a millisecond")
    return ms


def _kept(options: StoreOptions) -> dict[str, Any]:
    return {
        "caching": options.get("caching", True),
        "logged": options.get("logging", True),
        "in_memory": options.get("in_memory", False),
    }
