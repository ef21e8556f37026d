"""An application that does everything there is a right for; who it is comes from the environment."""

from __future__ import annotations

import os
import ssl
from datetime import timedelta
from typing import Final, Literal, TypeAlias

import msgspec
from faust import SASLCredentials

from pipeline import App, tumbling

#: Topics, after the application's id and a dot.
SOURCES: Final = ("orders", "owners", "rates", "logs.web")
SINKS: Final = ("per-minute", "large", "small", "all-logs")
LETTERS: Final = "letters"

#: Variables of the environment: how it runs, what says who it is (its id), and whom it trusts.
ID, GUARANTEE, PASSWORD, AUTHORITY = (
    "SECURED_ID",
    "SECURED_GUARANTEE",
    "SECURED_PASSWORD",
    "SECURED_AUTHORITY",
)

Guarantee: TypeAlias = Literal["at_least_once", "exactly_once"]


class Order(msgspec.Struct):
    """Keyed by its number."""

    region: str
    amount: int


def topic(application: str, name: str) -> str:
    """Return the name of one of an application's topics."""
    return f"{application}.{name}"


class BySize:
    """Chooses a topic, and says which there are."""

    def __init__(self, application: str) -> None:
        self.topics = tuple(topic(application, name) for name in ("large", "small"))

    def __call__(self, _key: str, order: Order) -> str:
        """Return where orders of this amount go."""
        return self.topics[order.amount <= 50]


def declare(application: str, guarantee: Guarantee) -> App:
    """Return the application, with a client's certificates and password from the environment."""
    app = App(
        application,
        processing_guarantee=guarantee,
        commit_interval=0.1,
        metadata_interval=1,
        dead_letter=topic(application, LETTERS),
        broker_credentials=SASLCredentials(
            username=application,
            password=os.environ.get(PASSWORD, ""),
            mechanism="SCRAM-SHA-512",
            ssl_context=ssl.create_default_context(cafile=os.environ.get(AUTHORITY)),
        ),
    )
    orders = app.stream(topic(application, "orders"), key=str, value=Order)
    orders.to(BySize(application))
    (
        orders.group_by(lambda _key, order: order.region, name="by-region")
        .windowed_by(tumbling(timedelta(minutes=1), grace=timedelta(0)))
        .count(name="counts")
        .to_stream()
        .map(lambda window, count: (f"{window.key}@{window.start}", count), key=str, value=int)
        .to(topic(application, "per-minute"))
    )
    app.stream(topic(application, "logs.*"), key=str, value=bytes).to(topic(application, "all-logs"))
    app.table(topic(application, "owners"), name="owners", key=str, value=str, reuse_source=True)
    app.global_table(topic(application, "rates"), name="rates", key=str, value=str)
    return app


app = declare(
    os.environ.get(ID, "secured"),
    "exactly_once" if os.environ.get(GUARANTEE) == "exactly_once" else "at_least_once",
)
