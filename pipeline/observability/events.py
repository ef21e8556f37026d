"""Record values to open events."""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.errors import ConfigError
from pipeline.observability.errors import InvalidEventError
from pipeline.observability.plaintext import PLAIN_TEXT

_decode = msgspec.json.decode


def parse_event(value: bytes, *, plain: bool = False, observed_ms: int | None = None) -> dict[str, Any]:
    """Decode a record's value to an open event.

    Args:
        value: a JSON object; with `plain`, any other text too, as a log line.
        plain: accept text that is no JSON object.
        observed_ms: the record's timestamp, in ms; needed with `plain`.

    Raises:
        InvalidEventError: it is not UTF-8, not JSON, or not an object; with `plain`, not UTF-8.
        ConfigError: `plain` without `observed_ms`.
    """
    if plain and observed_ms is None:
        raise ConfigError("plain lines need observed_ms: a missing year is chosen by it")
    try:
        event = _decode(value)
    except RecursionError as error:
        raise InvalidEventError("the value is nested too deeply") from error
    except ValueError as error:  # msgspec's DecodeError, or UnicodeDecodeError
        if plain and observed_ms is not None:
            return PLAIN_TEXT.event(_text(value), observed_ms=observed_ms)
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else f"not JSON: {error}"
        raise InvalidEventError(f"the value is {reason}") from error
    if type(event) is dict:
        return event
    if plain and observed_ms is not None:
        return PLAIN_TEXT.event(_text(value), observed_ms=observed_ms)
    raise InvalidEventError(f"the value is JSON, but {type(event).__name__} and not an object")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidEventError("the value is not UTF-8") from error
