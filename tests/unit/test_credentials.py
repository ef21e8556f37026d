"""Who the application is to the broker: Faust's credentials, and librdkafka's settings, as one."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from faust.auth import GSSAPICredentials, OAuthCredentials, SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from pipeline import App
from pipeline.credentials import connection_settings
from pipeline.errors import ConfigError
from pipeline.limits import format_limits, limits
from pipeline.plan.acl import required_rights
from pipeline.plan.acl_formats import to_commands, to_table
from pipeline.plan.description import describe
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.kafka.settings import admin_settings, producer_settings, reader_settings

CONTEXT = ssl.create_default_context()
OPEN = ssl.create_default_context()
OPEN.check_hostname = False
OPEN.verify_mode = ssl.CERT_NONE


def sasl(**more: Any) -> SASLCredentials:
    return SASLCredentials(username="shop", password="hunter2", **more)  # noqa: S106 (no one's)


@pytest.mark.parametrize(
    ("credentials", "given", "expected"),
    [
        (None, {}, {}),
        (None, {"compression.type": "zstd"}, {"compression.type": "zstd"}),
        (
            sasl(),
            {},
            {
                "security.protocol": "sasl_plaintext",
                "sasl.mechanisms": "PLAIN",
                "sasl.username": "shop",
                "sasl.password": "hunter2",
            },
        ),
        (
            sasl(mechanism="SCRAM-SHA-512", ssl_context=CONTEXT),
            {"ssl.ca.location": "ca.pem"},
            {
                "security.protocol": "sasl_ssl",
                "sasl.mechanisms": "SCRAM-SHA-512",
                "sasl.username": "shop",
                "sasl.password": "hunter2",
                "enable.ssl.certificate.verification": True,
                "ssl.endpoint.identification.algorithm": "https",
                "ssl.ca.location": "ca.pem",
            },
        ),
        (
            SSLCredentials(OPEN),
            {"ssl.ca.location": "ca.pem"},
            {
                "security.protocol": "ssl",
                "enable.ssl.certificate.verification": False,
                "ssl.endpoint.identification.algorithm": "none",
                "ssl.ca.location": "ca.pem",
            },
        ),
        (
            GSSAPICredentials(kerberos_service_name="broker"),
            {},
            {
                "security.protocol": "sasl_plaintext",
                "sasl.mechanisms": "GSSAPI",
                "sasl.kerberos.service.name": "broker",
            },
        ),
        (
            sasl(),
            {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256"},
            {
                "security.protocol": "SASL_SSL",
                "sasl.mechanisms": "SCRAM-SHA-256",
                "sasl.username": "shop",
                "sasl.password": "hunter2",
            },
        ),
    ],
)
def test_credentials_and_settings_are_one(
    credentials: CredentialsT | None, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert connection_settings(credentials, given) == expected


def test_what_a_context_trusts_is_trusted() -> None:
    settings = connection_settings(SSLCredentials(CONTEXT), {})
    count = len(CONTEXT.get_ca_certs())
    assert str(settings.get("ssl.ca.pem", "")).count("BEGIN CERTIFICATE") == count


OAUTH = {"security.protocol": "sasl_ssl", "sasl.mechanism": "OAUTHBEARER"}


@pytest.mark.parametrize(
    ("credentials", "given", "message"),
    [
        (None, {"sasl.password": "hunter2"}, "sasl.password would have no effect.*set it to sasl_ssl"),
        (
            None,
            {"security.protocol": "ssl", "sasl.password": "hunter2"},
            "no effect.*is ssl: set it to sasl_ssl",
        ),
        (None, {"ssl.ca.location": "ca.pem"}, "ssl.ca.location would have no effect.*set it to ssl$"),
        (sasl(), {"ssl.ca.location": "ca.pem"}, "is sasl_plaintext: set it to sasl_ssl"),
        (SASLCredentials(username="shop"), {}, "need a username and a password"),
        (OAuthCredentials(oauth_cb=None), {}, "do not say when a token ends"),
        (None, OAUTH, "OAUTHBEARER needs a token"),
        (CredentialsT(), {}, "CredentialsT is not known"),
    ],
)
def test_what_could_not_work_is_refused_where_it_is_written(
    credentials: CredentialsT | None, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        App("shop", broker_credentials=credentials, broker_settings=given)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"sasl.usernam": "shop", "security.protocol": "sasl_ssl"},
            'No such configuration property: "sasl.usernam"',
        ),
        ({"security.protocol": "tls"}, 'Invalid value "tls" for configuration property "security.protocol"'),
        (
            {"security.protocol": "sasl_ssl", "sasl.mechanisms": "HUNTER"},
            "Unsupported SASL mechanism: HUNTER",
        ),
        ({"security.protocol": "ssl", "ssl.key.pem": "hunter2"}, "ssl.key.pem failed"),
        (
            {"security.protocol": "ssl", "ssl.key.password": "hunter2", "ssl.key.location": "no"},
            "ssl.key.location",
        ),
    ],
)
def test_what_the_client_does_not_take_is_named_without_secrets(
    settings: dict[str, Any], message: str
) -> None:
    broker = KafkaBroker("localhost:1", settings=settings)
    for make in (broker.admin, broker.reader, lambda: broker.producer("shop")):
        with pytest.raises(ConfigError, match=f"broker_settings: .*{message}") as caught:
            make()
        assert "hunter2" not in str(caught.value)


def test_an_application_hands_its_credentials_to_every_client_and_shows_them_nowhere() -> None:
    app = App("shop", broker_credentials=sasl(mechanism="SCRAM-SHA-256", ssl_context=CONTEXT))
    app.stream("in").group_by_key().count(name="counts")
    worker = app.make_worker()
    assert app.client_settings["sasl.password"] == "hunter2"
    everything = limits(app.streams_config, app.client_settings, app.plan)
    rights = required_rights(app.plan, app.streams_config)
    shown = [
        format_limits(everything),
        describe(app.plan),
        to_commands(rights, "User:shop", app.broker_address),
        to_table(rights, "User:shop"),
        repr(app),
        repr(worker.status()),
        repr(worker),
        repr(app.conf.broker_credentials),
    ]
    assert not any("hunter2" in text for text in shown)


def test_readers_are_of_the_applications_group() -> None:
    """They join none, but the client asks who coordinates it: that is to be allowed."""
    app = App("shop")
    assert reader_settings("localhost:1", app.client_settings)["group.id"] == "shop"
    assert "group.id" not in producer_settings("localhost:1", "shop", app.client_settings)
    assert "group.id" not in admin_settings("localhost:1", app.client_settings)
