"""Redaction: secrets out of events, before they reach a topic.

Values and keys are searched at any depth, text as well as numbers, and header values too. Nothing is
copied unless something is found: an event without secrets comes back as the same object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from pipeline.errors import ConfigError
from pipeline.observability import cards, emails
from pipeline.observability.errors import InvalidEventError
from pipeline.observability.patterns import Mask, mask_of
from pipeline.record import Headers

_S = TypeVar("_S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Rule:
    """What to redact.

    Attributes:
        name: stands in the replacement.
        mask: replaces what the rule finds in a text by another text; returns the same object
            where it finds nothing.
        shortest: texts with fewer characters hold nothing of the kind.
        number: whether a whole number, as decimal digits, is of the kind; None: none is.
    """

    name: str
    mask: Mask
    shortest: int = 1
    number: Callable[[str], bool] | None = None

    @classmethod
    def from_pattern(cls, name: str, pattern: str) -> Rule:
        """A rule for what a regular expression matches.

        Simple ones, without groups and alternatives, are matched many times as fast: see `patterns`.

        Raises:
            ConfigError: the expression can't be compiled.
        """
        try:
            return cls(name, mask_of(pattern))
        except (re.error, OverflowError, RecursionError) as error:
            raise ConfigError(f"redaction rule {name!r}: {error}") from error


CARD: Final = Rule("card", cards.mask_cards, cards.SHORTEST, cards.is_card)
EMAIL: Final = Rule("email", emails.mask_emails, emails.SHORTEST)

#: Cards first: an address may end in a card number's last group.
DEFAULT: Final = (CARD, EMAIL)

#: Fields of ids and times. A 16-digit span id can be a valid card number by chance, and a trace that
#: has lost one of its spans that way cannot be put together any more.
ID_FIELDS: Final = frozenset(
    {
        *("trace_id", "span_id", "parent_span_id", "event_id"),
        *("traceId", "spanId", "parentSpanId", "eventId"),
        *("time_unix_nano", "observed_time_unix_nano", "start_time_unix_nano", "end_time_unix_nano"),
        *("timeUnixNano", "observedTimeUnixNano", "startTimeUnixNano", "endTimeUnixNano"),
    }
)
_SMALLEST_CARD = 10 ** (cards.SHORTEST - 1)
_ABOVE_CARDS = 10**cards.LONGEST
_MOST_KEYS = 4096
_LONGEST_KEY = 64


class Redactor:
    """Applies rules to text, values, headers and events. Make one, use it for all records.

    >>> Redactor().text("paid by bob@example.com with 4111 1111 1111 1111")
    'paid by [REDACTED:email] with [REDACTED:card]'

    Args:
        rules: applied in order.
        replacement: what stands in place of a secret; `{rule}` is the rule's name.
        ids: fields of ids and times: left alone if they are letters, digits and dashes.

    Raises:
        ConfigError: no rules, or a replacement that a rule would redact again.
    """

    __slots__ = ("_clean_keys", "_ids", "_numbers", "_rules", "_shortest")

    def __init__(
        self,
        rules: Sequence[Rule] = DEFAULT,
        replacement: str = "[REDACTED:{rule}]",
        *,
        ids: frozenset[str] = ID_FIELDS,
    ) -> None:
        if not rules:
            raise ConfigError("a redactor needs at least one rule, for instance redact.EMAIL")
        if not replacement:
            raise ConfigError("an empty replacement would join what stands around a secret to another")
        named = [(rule, replacement.replace("{rule}", rule.name)) for rule in rules]
        self._rules = [(rule.mask, text, rule.shortest) for rule, text in named]
        self._numbers = [(rule.number, text) for rule, text in named if rule.number]
        self._ids = ids
        self._shortest = min(rule.shortest for rule in rules)
        self._clean_keys: set[str] = set()  # keys repeat from event to event; bounded by _MOST_KEYS
        for rule, text in named:
            if set(text) & set("@%") or any(each.isdigit() for each in text) or self.text(text) != text:
                raise ConfigError(f"replacement {text!r} would be redacted again by rule {rule.name!r}")

    def text(self, text: str) -> str:
        """Redact a text; the same object where there is nothing to redact."""
        length = len(text)
        if length < self._shortest:
            return text
        for mask, replacement, shortest in self._rules:
            if length >= shortest:
                text = mask(text, replacement)
        return text

    def value(self, value: Any) -> Any:
        """Redact a value: text, bytes, a number, a list, a dict or a Struct, at any depth.

        Returns:
            The same object where there is nothing to redact; else a copy of what has to change.
            A number that is redacted becomes text. Other types are returned as they are.

        Raises:
            InvalidEventError: it is nested too deeply to be searched.
        """
        try:
            return self._search(value)
        except RecursionError as error:
            raise InvalidEventError("it is nested too deeply to be searched for secrets") from error

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """Redact an open event, as `value` does."""
        redacted: dict[str, Any] = self.value(event)
        return redacted

    def record(self, record: _S) -> _S:
        """Redact a canonical event, or any other Struct, as `value` does."""
        redacted: _S = self.value(record)
        return redacted

    def headers(self, headers: Headers) -> Headers:
        """Redact a record's headers: their names, and their values as UTF-8."""
        redacted = [(self.text(name), value and self._bytes(value)) for name, value in headers]
        same = all(new[0] is old[0] and new[1] is old[1] for new, old in zip(redacted, headers, strict=True))
        return headers if same else redacted

    def _search(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is dict:
            return self._mapping(value)
        if kind is list:
            return self._items(value)
        if kind is int or kind is float:
            return self._number(value)
        if kind is bytes:
            return self._bytes(value)
        return self._struct(value) if isinstance(value, msgspec.Struct) else value

    def _bytes(self, value: bytes) -> bytes:
        text = value.decode(errors="surrogateescape")
        redacted = self.text(text)
        return value if redacted is text else redacted.encode(errors="surrogateescape")

    def _number(self, value: float) -> float | str:
        if not _SMALLEST_CARD <= value < _ABOVE_CARDS or value != (whole := int(value)):
            return value
        digits = str(whole)
        for is_secret, replacement in self._numbers:
            if is_secret(digits):
                return replacement
        return value

    def _items(self, items: list[Any]) -> list[Any]:
        for item in items:
            if self._search(item) is not item:
                return [self._search(each) for each in items]
        return items

    def _mapping(self, mapping: dict[Any, Any]) -> dict[Any, Any]:
        clean, field = self._clean_keys, self._field
        changed = {}
        renamed = False
        for key, item in mapping.items():
            if key not in clean and self._key(key) is not key:
                renamed = True
            redacted = field(key, item)
            if redacted is not item:
                changed[key] = redacted
        if changed:
            mapping = {**mapping, **changed}
        return self._renamed(mapping) if renamed else mapping

    def _renamed(self, mapping: dict[Any, Any]) -> dict[Any, Any]:
        """Redact keys. Those that become the same are numbered, so that no value is lost."""
        copy: dict[Any, Any] = {}
        taken: dict[str, int] = {}
        for key, item in mapping.items():
            redacted = name = self._key(key)
            while redacted is not key and (name in copy or name in mapping):
                taken[redacted] = taken.get(redacted, 1) + 1
                name = f"{redacted}#{taken[redacted]}"
            copy[name] = item
        return copy

    def _struct(self, struct: msgspec.Struct) -> msgspec.Struct:
        changed = {}
        for name in struct.__struct_fields__:
            item = getattr(struct, name)
            redacted = self._field(name, item)
            if redacted is not item:
                changed[name] = redacted
        return msgspec.structs.replace(struct, **changed) if changed else struct

    def _field(self, name: Any, item: Any) -> Any:
        kind = type(item)
        if name in self._ids and (kind is int or (kind is str and item.replace("-", "").isalnum())):
            return item
        return self.text(item) if kind is str else self._search(item)

    def _key(self, key: Any) -> Any:
        if type(key) is not str:
            return key
        redacted = self.text(key)
        if redacted is key and len(key) <= _LONGEST_KEY and len(self._clean_keys) < _MOST_KEYS:
            self._clean_keys.add(key)
        return redacted
