"""What stands in a URL, as keys, times, limits and tokens; and times as they are answered."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec

from pipeline.record import Windowed
from pipeline.runtime.scan import DEFAULT_LIMIT, MAX_LIMIT, Position
from pipeline.serde import BytesSerde, Int64Serde, Serde, StringSerde, WindowedSerde
from pipeline.web.view import HttpError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_ZONED = Annotated[datetime, msgspec.Meta(tz=True)]


def bad_request(parameter: str, message: str) -> HttpError:
    """Return a 400 that names the parameter."""
    return HttpError(HTTPStatus.BAD_REQUEST, f"{parameter}: {message}", parameter=parameter)


def check_names(query: Mapping[str, str], known: frozenset[str]) -> None:
    """Raise a 400 for a parameter that would be ignored."""
    for name in query:
        if name not in known:
            raise bad_request(name, f"unknown; known here are {', '.join(sorted(known))}")


def parse_key(parameter: str, text: str, serde: Serde[Any]) -> Any:
    """Return the key that `text`, taken from a URL and unquoted, stands for.

    Which form it has depends on how the store's keys are encoded:

    * `str`: the text as it is
    * `int`: decimal digits
    * `bytes`: base64, of either alphabet
    * a key within a window: a JSON array of the key, and of start and end in ms
    * any other serde: JSON, so a string stands in quotes and a composite key is an array

    Raises:
        HttpError: 400, it is not such a text.
    """
    try:
        if isinstance(serde, StringSerde):
            return text
        if isinstance(serde, Int64Serde):
            number = int(text)
            serde.serialize(number)
            return number
        if isinstance(serde, BytesSerde):
            return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
        if isinstance(serde, WindowedSerde):
            return _windowed_key(parameter, text, serde)
        if serde.name.startswith("json"):
            return serde.deserialize(text.encode())
        value = msgspec.json.decode(text)
        serde.serialize(value)
    except Exception as error:
        raise bad_request(parameter, f"{text!r} is no {serde.name} key: {error}; {_form(serde)}") from error
    return value


def _windowed_key(parameter: str, text: str, serde: WindowedSerde) -> Windowed[Any]:
    key, start, end = msgspec.json.decode(text, type=tuple[Any, int, int])
    as_text = isinstance(key, str) and isinstance(serde.inner, StringSerde | BytesSerde)
    return Windowed(
        parse_key(parameter, key if as_text else msgspec.json.encode(key).decode(), serde.inner), start, end
    )


def _form(serde: Serde[Any]) -> str:
    if isinstance(serde, Int64Serde):
        return "give a whole number of 64 bits"
    if isinstance(serde, BytesSerde):
        return "give base64"
    if isinstance(serde, WindowedSerde):
        return 'give a JSON array of the key, and of start and end in ms, URL-encoded: ["a",0,60000]'
    return 'give JSON, URL-encoded: a string in quotes ("a"), a composite key as an array (["a",1])'


def parse_time(parameter: str, text: str) -> int:
    """Return a time in ms: `text` is milliseconds since the epoch, or RFC 3339 with a zone.

    Raises:
        HttpError: 400, it is neither.
    """
    if text.lstrip("-").isdecimal() and text.isascii():
        return int(text)
    # An unencoded plus arrives as a blank.
    head, blank, zone = text.rpartition(" ")
    repaired = f"{head}+{zone}" if blank and "T" in head else text
    try:
        time = msgspec.convert(repaired, _ZONED)
    except msgspec.ValidationError as error:
        raise bad_request(
            parameter,
            f"{text!r} is no time: give milliseconds since the epoch, or RFC 3339 with a zone, "
            "such as 2023-01-29T08:42:00Z",
        ) from error
    return (time - _EPOCH) // _MILLISECOND


def format_time(ms: int) -> str | None:
    """Return a time as RFC 3339 in UTC; None if it lies outside of the years 1 to 9999.

    >>> format_time(1_674_981_720_000)
    '2023-01-29T08:42:00.000Z'
    """
    try:
        time = _EPOCH + ms * _MILLISECOND
    except OverflowError:
        return None
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_limit(query: Mapping[str, str]) -> int:
    """Return `limit`, or its default.

    Raises:
        HttpError: 400, it is not within its bounds.
    """
    text = query.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        raise bad_request("limit", f"{text!r} is no number from 1 to {MAX_LIMIT}")
    return int(text)


def encode_token(position: Position | None) -> str | None:
    """Return a scan's position as it stands in an answer and comes back as `after`."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(position.to_token()).decode().rstrip("=")


def parse_token(query: Mapping[str, str]) -> Position | None:
    """Return the position that `after` stands for, None if it is not given.

    Raises:
        HttpError: 400, it was not made by `encode_token`.
    """
    text = query.get("after")
    if text is None:
        return None
    try:
        return Position.from_token(
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        )
    except ValueError as error:
        raise bad_request("after", f"{text!r} is no token: give the `next` of the last answer") from error
