"""The identity of an event: its own id where it has a usable one, else a hash of what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from pipeline.observability.cards import mask_cards
from pipeline.observability.errors import InvalidEventError

_DIGEST_BYTES = 16
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}").fullmatch
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
    """Return an event's own id: as it is where it is short and plain, else hashed.

    An e-mail address, a card number and a sentence are not plain: so an id never holds what is to
    be redacted, and can be left alone by redaction, which would make different events' ids equal.
    """
    text = str(value)
    if _PLAIN_ID(text) and mask_cards(text, "") is text:
        return text
    return blake2b(text.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
