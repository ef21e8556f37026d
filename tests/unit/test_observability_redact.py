from __future__ import annotations

import random
import re
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.observability.cards import BRANDS, Brand, is_card
from pipeline.observability.errors import InvalidEventError
from pipeline.observability.model import LogRecord, Span
from pipeline.observability.redact import CARD, DEFAULT, EMAIL, Redactor, Rule
from pipeline.record import Headers

REDACTOR = Redactor()
E, C = "[REDACTED:email]", "[REDACTED:card]"
VISA, AMEX = "4111111111111111", "378282246310005"

#: The grammar of pipeline.observability.emails, written as one expression, for ASCII.
ADDRESS = re.compile(r"[A-Za-z0-9._%+-](?:@|%40)(?:[A-Za-z0-9_-]+\.)+[A-Za-z][A-Za-z0-9_-]+")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("bob@example.com", E),
        ("user bob@example.com logged in", f"user {E} logged in"),
        ("<Bob.Smith+tag@mail.example.co.uk>, next", f"<{E}>, next"),
        ("mailto:bob@example.com?subject=x", f"mailto:{E}?subject=x"),
        ("user=bob@example.com&x=1", f"user={E}&x=1"),
        ("https://shop/?email=bob%40example.com", f"https://shop/?email={E}"),
        ("https://bob:secret@example.com/", f"https://bob:{E}/"),
        ("a@b.cc,c@d.ee c@d.ee", f"{E},{E} {E}"),
        ("ends a sentence: bob@example.com.", f"ends a sentence: {E}."),
        ("o'brien@example.com 'bob@example.com'", f"{E} '{E}'"),
        ("josé@example.com jose\u0301@example.com", f"{E} {E}"),
        ("пользователь@пример.рф", E),
        ("उपयोगकर्ता@उदाहरण.भारत", E),
        ("bob@xn--e1afmkfd.xn--p1ai", E),
        ("a@b.cc@d.ee@f.gg", E),
        ("a_b-c%d@x-y.z2z", E),
        # not these
        ("root@localhost", None),
        ("@example.com", None),
        ("bob@", None),
        ("bob@example.c", None),
        ("bob @example.com", None),
        ("pip install pkg@1.2.3", None),
        ("user@10.0.0.1", None),
        ("a@b..cc", None),
        ("com.sun.Proxy@6f3cbf05", None),
        ("100%40", None),
    ],
)
def test_email(text: str, redacted: str | None) -> None:
    result = REDACTOR.text(text)
    if redacted is None:
        assert result is text
    else:
        assert result == redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (VISA, C),
        ("paid with 4111 1111 1111 1111 today", f"paid with {C} today"),
        ("paid with 4111-1111-1111-1111.", f"paid with {C}."),
        ("amex 3782 822463 10005, visa 4222222222222", f"amex {C}, visa {C}"),
        ("diners 3852 000002 3237", f"diners {C}"),
        ("100 4111 1111 1111 1111 2023", f"100 {C} 2023"),
        (f"{VISA} {AMEX}", f"{C} {C}"),
        (f"pan={VISA}&cvv=123", f"pan={C}&cvv=123"),
        (f'{{"pan":"{VISA}"}}', f'{{"pan":"{C}"}}'),
        (f"/cards/{VISA}/", f"/cards/{C}/"),
        (f"{VISA}@example.com", f"{C}@example.com"),
        # not these
        ("4111111111111112", None),
        ("4111 1111 1111 1112", None),
        ("1674981729487160534", None),
        ("1674981729487 16749817294871", None),
        (f"x{VISA}", None),
        (f"{VISA}x", None),
        (f"_{VISA}", None),
        (f"é{VISA}", None),
        (f"1{VISA}", None),
        (f"{VISA}1", None),
        (f"v1.{VISA}", None),
        (f"{VISA}.25", None),
        ("550e8400-e29b-41d4-a716-446655440000", None),
        (f"00-6f3cbf058c2765548a39ad724905d6a1-{VISA}-01", None),
        (f"00-6f3cbf058c2765548a39ad724905abcd-{VISA}-01", None),
        ("41 11 11 11 11 11 11 11", None),
        ("4111  1111  1111  1111", None),
        ("٤١١١١١١١١١١١١١١١", None),
        ("2023-01-29 08:42:09 17/06/09 20:10:40", None),
    ],
)
def test_card(text: str, redacted: str | None) -> None:
    result = REDACTOR.text(text)
    if redacted is None:
        assert result is text
    else:
        assert result == redacted


SECRET = {"pan": VISA, "mail": "bob@example.com"}


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        (SECRET, {"pan": C, "mail": E}),
        ({"deep": [{"a": [SECRET]}]}, {"deep": [{"a": [{"pan": C, "mail": E}]}]}),
        (["x", "bob@example.com", 5], ["x", E, 5]),
        (int(VISA), C),
        (float(VISA), C),
        ({"pan": int(VISA), "n": 7}, {"pan": C, "n": 7}),
        ({"bob@example.com": 1}, {E: 1}),
        ({"a@b.cc": 1, "c@d.ee": 2, E: 3}, {f"{E}#2": 1, f"{E}#3": 2, E: 3}),
        ({"x": {VISA: "bob@example.com"}}, {"x": {C: E}}),
        ({"trace_id": "bob@example.com"}, {"trace_id": E}),
        (b"bob@example.com \xff", f"{E} ".encode() + b"\xff"),
    ],
)
def test_values_keys_and_numbers(value: Any, redacted: Any) -> None:
    before = repr(value)
    assert REDACTOR.value(value) == redacted
    assert repr(value) == before


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "text", {"b": "c"}]},
        {"span_id": VISA, "trace_id": VISA + VISA, "eventId": "4111-1111-1111-1111"},
        1674981729487160534,
        4111111111111112,
        float("nan"),
        float("inf"),
        1e300,
        -int(VISA),
        None,
        object(),
    ],
)
def test_what_holds_no_secret_is_the_same_object(value: Any) -> None:
    assert REDACTOR.value(value) is value


def test_a_record_is_copied_only_where_it_changes() -> None:
    clean = LogRecord(time_unix_nano=1674981729487160534, body="hello", event_id="e", resource={"a": "b"})
    assert REDACTOR.record(clean) is clean
    dirty = msgspec.structs.replace(clean, body="from bob@example.com", span_id=VISA)
    redacted = REDACTOR.record(dirty)
    assert redacted == msgspec.structs.replace(dirty, body=f"from {E}")
    assert redacted.resource is dirty.resource


def test_a_span_is_redacted() -> None:
    span = Span(
        trace_id=VISA * 2, span_id=VISA, name=f"GET /{VISA}", start_time_unix_nano=0, end_time_unix_nano=1
    )
    assert REDACTOR.record(span) == msgspec.structs.replace(span, name=f"GET /{C}")


@pytest.mark.parametrize(
    ("headers", "redacted"),
    [
        (
            [("user", b"bob@example.com"), ("n", None), ("raw", b"\xff")],
            [("user", E.encode()), ("n", None), ("raw", b"\xff")],
        ),
        ([("bob@example.com", b"")], [(E, b"")]),
    ],
)
def test_headers(headers: Headers, redacted: Headers) -> None:
    assert REDACTOR.headers(headers) == redacted


@pytest.mark.parametrize("headers", [(), [("traceparent", f"00-{'a' * 32}-{VISA}-01".encode()), ("x", None)]])
def test_headers_without_secrets_are_the_same_object(headers: Headers) -> None:
    assert REDACTOR.headers(headers) is headers


def test_rules_and_replacement_are_the_users() -> None:
    token = Rule.from_pattern("token", r"tok_\w+")
    redactor = Redactor((token, EMAIL), replacement="<{rule}>")
    assert redactor.text(f"tok_5 bob@example.com {VISA}") == f"<token> <email> {VISA}"
    assert redactor.value({"pan": int(VISA)}) == {"pan": int(VISA)}
    assert Redactor(ids=frozenset()).value({"span_id": VISA}) == {"span_id": C}


@pytest.mark.parametrize(
    ("rules", "replacement", "reason"),
    [
        ((), "x", "at least one rule"),
        (DEFAULT, "x@{rule}", "redacted again"),
        (DEFAULT, "0000", "redacted again"),
        ((Rule.from_pattern("r", "RED"),), "[REDACTED]", "redacted again"),
        (DEFAULT, "", "empty"),
    ],
)
def test_a_bad_redactor_is_refused(rules: tuple[Rule, ...], replacement: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Redactor(rules, replacement)


@pytest.mark.parametrize("pattern", ["(", "a{1,99999999999999999999}", "(" * 10_000 + ")" * 10_000])
def test_a_bad_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="rule 'broken'"):
        Rule.from_pattern("broken", pattern)


def test_what_is_too_deep_to_search_is_invalid_not_passed() -> None:
    deep: list[Any] = ["bob@example.com"]
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(InvalidEventError, match="nested too deeply"):
        REDACTOR.value(deep)


# --- for all texts ---------------------------------------------------------------------------


def with_check_digit(payload: str) -> str:
    """Append the digit that makes the Luhn sum a multiple of ten, by the textbook."""
    total = 0
    for position, digit in enumerate(reversed(payload)):
        doubled = int(digit) * (2 if position % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return payload + str(-total % 10)


@st.composite
def cards(draw: st.DrawFn, brand: Brand) -> str:
    first, last = draw(st.sampled_from(brand.prefixes))
    prefix = str(draw(st.integers(int(first), int(last)))).zfill(len(first))
    length = draw(st.sampled_from(sorted(brand.lengths)))
    rest = draw(st.text("0123456789", min_size=length - len(prefix) - 1, max_size=length - len(prefix) - 1))
    return with_check_digit(prefix + rest)


def grouped(digits: str, separator: str) -> str:
    """Write a number as cards print it: 4-6-5 and 4-6-4 for 15 and 14 digits, else fours."""
    if len(digits) in (14, 15):
        groups = [digits[:4], digits[4:10], digits[10:]]
    else:
        groups = [digits[start : start + 4] for start in range(0, len(digits), 4)]
    return separator.join(groups)


@pytest.mark.parametrize("brand", BRANDS, ids=lambda brand: brand.name)
@given(st.data())
def test_cards_of_each_brand(brand: Brand, data: st.DataObject) -> None:
    digits = data.draw(cards(brand))
    assert is_card(digits)
    assert REDACTOR.value(int(digits)) == C
    for separator in ("", " ", "-"):
        assert REDACTOR.text(f"card: {grouped(digits, separator)}, thanks") == f"card: {C}, thanks"
    wrong = digits[:-1] + str((int(digits[-1]) + data.draw(st.integers(1, 9))) % 10)
    for separator in ("", " ", "-"):
        text = f"card: {grouped(wrong, separator)}, thanks"
        # without its check digit the rest may be a card of another length
        assert REDACTOR.text(text) is text or len(wrong) > 16


@given(st.integers(0, 2**63 - 1))
def test_a_number_is_a_card_alone_as_in_text(number: int) -> None:
    assert (REDACTOR.value(number) == C) == (REDACTOR.text(str(number)) == C)


@given(st.integers(946_684_800, 1_999_999_999), st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_times_since_the_epoch_pass(seconds: int, unit: int) -> None:
    assert REDACTOR.value(seconds * unit) == seconds * unit
    text = f"at {seconds * unit}"
    assert REDACTOR.text(text) is text


@given(st.uuids())
def test_uuids_pass(uuid: Any) -> None:
    assume(re.search("[a-f]", str(uuid)[9:23]))  # all-digit groups of four could spell a card
    text = f"id {uuid}, {uuid.hex}"
    assert REDACTOR.text(text) is text


PIECES = st.sampled_from(
    ["bob", "@", "x.com", ".", "%40", "'", " ", "-", "_", "4111", "1111", VISA, "é", "日", ":", "a", "1", ","]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=30)


@given(TEXTS)
def test_no_address_remains_and_nothing_is_redacted_twice(text: str) -> None:
    redacted = REDACTOR.text(text)
    assert not ADDRESS.search(redacted)
    assert REDACTOR.text(redacted) is redacted


@given(TEXTS, st.sampled_from(["***", "xxx", "[{rule}]", "-", "."]))
def test_another_replacement_is_stable_too(text: str, replacement: str) -> None:
    redactor = Redactor(replacement=replacement)
    redacted = redactor.text(text)
    assert not ADDRESS.search(redacted)
    assert redactor.text(redacted) is redacted


@given(
    st.from_regex(r"[A-Za-z0-9._+-]{1,12}", fullmatch=True),
    st.from_regex(r"([A-Za-z0-9-]{1,8}\.){1,3}[A-Za-z]{2,6}", fullmatch=True),
    st.sampled_from(["", " ", "<", "(", '"', "=", ":", "/", ",", ";", "\n", "user "]),
    st.sampled_from(["", " ", ">", ")", '"', "&", ":", "/", ",", ";", "\n", "!"]),
)
def test_every_address_is_redacted_with_all_of_it(local: str, domain: str, before: str, after: str) -> None:
    assert REDACTOR.text(f"{before}{local}@{domain}{after}") == f"{before}{E}{after}"


@given(st.text(st.characters(exclude_characters="@", exclude_categories=["Nd"])))
def test_text_without_at_and_digits_is_the_same_object(text: str) -> None:
    assume("%" not in text)
    assert REDACTOR.text(text) is text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_no_address_remains_in_any_value(value: Any) -> None:
    redacted = REDACTOR.value(value)
    assert not ADDRESS.search(repr(redacted))
    assert REDACTOR.value(redacted) is redacted
    assert size(redacted) == size(value)


def size(value: Any) -> int:
    """Count leaves: redaction loses none."""
    if isinstance(value, dict):
        return sum(size(each) for each in value.values())
    return sum(map(size, value)) if isinstance(value, list) else 1


def test_a_long_text_of_near_misses() -> None:
    generator = random.Random(5)
    long = "".join(generator.choice(["@a.", "a.", "4111 ", "日", "x@", "%40", "1"]) for _ in range(100_000))
    redacted = REDACTOR.text(long)
    assert REDACTOR.text(redacted) is redacted


def test_only_the_rules_asked_for_apply() -> None:
    assert Redactor((CARD,)).text(f"bob@example.com {VISA}") == f"bob@example.com {C}"
    assert Redactor((EMAIL,)).text(f"bob@example.com {VISA}") == f"{E} {VISA}"
