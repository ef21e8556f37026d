"""The shop that the traffic comes from: its services, their operations, and who calls whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, TypeAlias

#: How a service writes a time, given in nanoseconds since the epoch.
WriteTime: TypeAlias = Callable[[int], str | int | float]

_NS_PER_S: Final = 1_000_000_000
_EAST: Final = timezone(timedelta(hours=2))


def rfc3339_ms(ns: int) -> str:
    """Milliseconds and a Z: `2026-01-02T03:04:05.678Z`."""
    return datetime.fromtimestamp(ns // _NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{_ms(ns):03d}Z"


def rfc3339_ns(ns: int) -> str:
    """Nanoseconds and a Z, as container runtimes write it."""
    whole, rest = divmod(ns, _NS_PER_S)
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{rest:09d}Z"


def rfc3339_east(ns: int) -> str:
    """Local time with a blank and an offset: `2026-01-02 05:04:05.678+02:00`."""
    local = datetime.fromtimestamp(ns // _NS_PER_S, _EAST)
    return local.strftime("%Y-%m-%d %H:%M:%S.") + f"{_ms(ns):03d}+02:00"


def epoch_ms(ns: int) -> int:
    """Milliseconds since the epoch."""
    return ns // 1_000_000


def epoch_s(ns: int) -> float:
    """Seconds since the epoch, with a fraction."""
    return ns // 1_000_000 / 1_000


def _ms(ns: int) -> int:
    return ns % _NS_PER_S // 1_000_000


@dataclass(frozen=True, slots=True)
class Service:
    """One service, and how it logs.

    Attributes:
        name: `service` of its events, and key of its owner.
        team: who owns it.
        tier: how much its failure hurts: 1 is the most.
        hosts: number of machines that it runs on.
        write_time: how its logs write a time.
        levels: names of informational, warning and error severity in its logs.
    """

    name: str
    team: str
    tier: int
    hosts: int
    write_time: WriteTime = rfc3339_ms
    levels: tuple[str, str, str] = ("INFO", "WARN", "ERROR")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service.

    Attributes:
        service: name of the service.
        name: of its spans.
        kind: OpenTelemetry's kind of its spans.
        milliseconds: typical time of its own, without what it calls.
        error_rate: share of the calls that fail by themselves.
        done: message of a call that succeeded; `{user}`, `{email}`, `{card}`, `{order}`, `{ms}` are
            filled in. Empty: it logs nothing.
        failed: the same for a call that failed.
        calls: what it calls, one after the other.
    """

    service: str
    name: str
    kind: str
    milliseconds: float
    error_rate: float
    done: str
    failed: str
    calls: tuple[Operation, ...] = ()


_LOWER: Final = ("info", "warning", "error")
_SYSLOG: Final = ("informational", "warning", "err")

SERVICES: Final = (
    Service("gateway", "edge", 1, 4, rfc3339_ns),
    Service("checkout", "orders", 1, 3),
    Service("payment", "money", 1, 2, epoch_ms, _LOWER),
    Service("cart", "orders", 2, 3, rfc3339_ms, _LOWER),
    Service("catalogue", "discovery", 2, 3, rfc3339_east),
    Service("search", "discovery", 2, 4, rfc3339_ns, _LOWER),
    Service("accounts", "identity", 1, 2, epoch_s),
    Service("shipping", "logistics", 3, 2, rfc3339_east, _SYSLOG),
    Service("notifications", "engagement", 3, 2, epoch_ms, _SYSLOG),
    Service("recommendations", "discovery", 3, 2, rfc3339_ms),
)

_PRODUCTS = Operation("catalogue", "SELECT products", "CLIENT", 4, 0.002, "", "query timed out after {ms} ms")
_CATALOGUE = Operation(
    "catalogue",
    "catalogue.get",
    "SERVER",
    3,
    0.001,
    "product {order} found",
    "product {order} lost",
    (_PRODUCTS,),
)
_SEARCH = Operation(
    "search",
    "search.query",
    "SERVER",
    18,
    0.01,
    "query by {user} answered in {ms} ms",
    "index not reachable, query by {user} dropped",
    (_PRODUCTS,),
)
_RECOMMEND = Operation(
    "recommendations",
    "recommendations.rank",
    "SERVER",
    25,
    0.03,
    "ranked for {user}",
    "model not loaded, falling back for {user}",
)
_CART = Operation(
    "cart", "cart.get", "SERVER", 5, 0.004, "cart of {user} has 3 items", "cart of {user} not found"
)
_CHARGE = Operation(
    "payment",
    "payment.charge",
    "SERVER",
    60,
    0.05,
    "charged card {card} for order {order}",
    "card {card} declined for {email}, order {order}",
)
_QUOTE = Operation(
    "shipping", "shipping.quote", "SERVER", 12, 0.01, "quoted order {order}", "no carrier for {order}"
)
_RECEIPT = Operation(
    "notifications",
    "email.send",
    "PRODUCER",
    9,
    0.01,
    "receipt for order {order} sent to {email}",
    "mailbox {email} refused the receipt",
)
_CHECKOUT = Operation(
    "checkout",
    "checkout.place",
    "SERVER",
    8,
    0.006,
    "order {order} placed by {user}",
    "order {order} of {user} failed after {ms} ms",
    (_CART, _CHARGE, _QUOTE, _RECEIPT),
)
_LOGIN = Operation(
    "accounts", "accounts.login", "SERVER", 30, 0.04, "{email} logged in", "wrong password for {email}"
)

#: What users ask for, with the weight of each.
ROOTS: Final[tuple[tuple[Operation, int], ...]] = (
    (
        Operation(
            "gateway", "GET /search", "SERVER", 2, 0.001, "GET /search 200", "GET /search 502", (_SEARCH,)
        ),
        50,
    ),
    (
        Operation(
            "gateway",
            "GET /products",
            "SERVER",
            2,
            0.001,
            "GET /products 200",
            "GET /products 502",
            (_CATALOGUE, _RECOMMEND),
        ),
        30,
    ),
    (
        Operation(
            "gateway", "POST /login", "SERVER", 2, 0.001, "POST /login 200", "POST /login 401", (_LOGIN,)
        ),
        12,
    ),
    (
        Operation(
            "gateway",
            "POST /checkout",
            "SERVER",
            2,
            0.001,
            "POST /checkout 201",
            "POST /checkout 502",
            (_CHECKOUT,),
        ),
        8,
    ),
)
