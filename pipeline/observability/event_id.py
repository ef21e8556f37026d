"""The identity of an event: its own id where it has a usable one, else a hash of what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from pipeline.observability.errors import InvalidEventError

_DIGEST_BYTES = 16
#: Ids that are kept as they are. Others (an e-mail address, a card number, a sentence) are hashed,
#: so that an id never holds what is to be redacted.
_PLAIN_ID = re.compile(r"(?!.*[0-9]{12})[A-Za-z0-9_.:-]{1,128}").fullmatch
_encode = msgspec.json.Encoder(order="deterministic").encode


def content_hash(event: Mapping[str, Any]) -> str:
    """Hash an event's canonical form: its JSON with sorted keys and no white space.

    Returns:
        32 hexadecimal digits: blake2b of 128 bits.

    Raises:
        InvalidEventError: the event holds what JSON can't express, or is nested too deeply.
    """
    try:
        return blake2b(_encode(event), digest_size=_DIGEST_BYTES).hexdigest()
    except RecursionError as error:
        raise InvalidEventError("it is nested too deeply") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidEventError(f"it can't be written as JSON ({type(error).__name__})") from error


def own_id(value: str | int) -> str:
    """Return an event's own id: as it is where it is short and plain, else hashed."""
    text = str(value)
    return (
        text
        if _PLAIN_ID(text)
        else blake2b(text.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
    )
