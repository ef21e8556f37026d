"""Who the application is to the broker, and how the connection is kept private: as librdkafka has it.

Faust's `broker_credentials` and `broker_settings` (librdkafka's own names) say the same things; what
`broker_settings` says counts. All clients of a worker get the same.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

from faust.auth import GSSAPICredentials, OAuthCredentials, SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from pipeline.errors import ConfigError
from pipeline.runtime.kafka.settings import Setting, Settings

_PROTOCOL: Final = "security.protocol"
_SASL: Final = ("sasl.", "oauth_cb")
_TLS: Final = ("ssl.", "enable.ssl.certificate.verification")
#: Where librdkafka can be told to find the certificates that it trusts: one of them, not several.
_TRUST: Final = ("ssl.ca.location", "ssl.ca.pem", "ssl.ca.certificate.stores")
#: Where tokens of OAUTHBEARER come from.
_TOKENS: Final = ("oauth_cb", "sasl.oauthbearer.method", "enable.sasl.oauthbearer.unsecure.jwt")
#: Two names of one setting.
_MECHANISM: Final = ("sasl.mechanisms", "sasl.mechanism")


def connection_settings(credentials: CredentialsT | None, given: Mapping[str, Setting]) -> Settings:
    """Return librdkafka's settings for `App(broker_credentials=..., broker_settings=...)`.

    Args:
        credentials: Faust's, or None.
        given: librdkafka's settings by their names; they count before the credentials.

    Raises:
        ConfigError: credentials that librdkafka cannot use, or settings that would have no effect because
            the connection is not of their kind.
    """
    settings = dict(given)
    name, alias = _MECHANISM
    if alias in settings:
        settings[name] = settings.pop(alias)
    translated = {} if credentials is None else _translated(credentials)
    if any(trust in settings for trust in _TRUST):
        translated.pop("ssl.ca.pem", None)
    settings = translated | settings
    if str(settings.get(name)) == "OAUTHBEARER" and not any(source in settings for source in _TOKENS):
        raise ConfigError(
            "broker_settings: OAUTHBEARER needs a token: give oauth_cb, a function that returns one and its "
            "end (seconds since 1970), or sasl.oauthbearer.method=oidc and its settings"
        )
    protocol = str(settings.get(_PROTOCOL, "plaintext")).lower()
    _check_effect(settings, _SASL, protocol, wanted="sasl_ssl")
    _check_effect(settings, _TLS, protocol, wanted="sasl_ssl" if protocol.startswith("sasl") else "ssl")
    return settings


def _check_effect(settings: Settings, kind: tuple[str, ...], protocol: str, wanted: str) -> None:
    """Refuse what would be ignored: the connection would be less safe than its settings look."""
    has = protocol.startswith("sasl") if kind is _SASL else protocol.endswith("ssl")
    if not has and (ignored := sorted(name for name in settings if name.startswith(kind))):
        raise ConfigError(
            f"broker_settings: {', '.join(ignored)} would have no effect, because {_PROTOCOL} is {protocol}: "
            f"set it to {wanted}"
        )


def _translated(credentials: CredentialsT) -> Settings:
    if isinstance(credentials, SSLCredentials):
        return {_PROTOCOL: "ssl", **_tls(credentials.context)}
    if isinstance(credentials, SASLCredentials):
        if credentials.username is None or credentials.password is None:
            raise ConfigError("broker_credentials: SASLCredentials need a username and a password")
        names: Settings = {"sasl.username": credentials.username, "sasl.password": credentials.password}
        return {**_sasl(credentials), **names}
    if isinstance(credentials, GSSAPICredentials):
        return {**_sasl(credentials), "sasl.kerberos.service.name": credentials.kerberos_service_name}
    if isinstance(credentials, OAuthCredentials):
        raise ConfigError(
            "broker_credentials: OAuthCredentials do not say when a token ends, which librdkafka must know: "
            "give broker_settings={'security.protocol': 'sasl_ssl', 'sasl.mechanism': 'OAUTHBEARER', ...} "
            "with either 'sasl.oauthbearer.method': 'oidc' and its settings, or 'oauth_cb': a function that "
            "returns the token and its end (seconds since 1970)"
        )
    raise ConfigError(
        f"broker_credentials: {type(credentials).__name__} is not known: give SASLCredentials, "
        "SSLCredentials, GSSAPICredentials, or librdkafka's settings in broker_settings"
    )


def _sasl(credentials: SASLCredentials | GSSAPICredentials) -> Settings:
    mechanism: Settings = {_MECHANISM[0]: credentials.mechanism.value}
    if credentials.ssl_context is None:
        return {_PROTOCOL: "sasl_plaintext", **mechanism}
    return {_PROTOCOL: "sasl_ssl", **mechanism, **_tls(credentials.ssl_context)}


def _tls(context: ssl.SSLContext) -> Settings:
    """Return what a context of Python's says that librdkafka can be told.

    A context does not show the client's own certificate and key, nor a folder of certificates: they go into
    `broker_settings`. Without certificates to trust, librdkafka trusts those of the system.
    """
    trusted = "".join(map(ssl.DER_cert_to_PEM_cert, context.get_ca_certs(binary_form=True)))
    settings: Settings = {
        "enable.ssl.certificate.verification": context.verify_mode is not ssl.CERT_NONE,
        "ssl.endpoint.identification.algorithm": "https" if context.check_hostname else "none",
    }
    return {**settings, "ssl.ca.pem": trusted} if trusted else settings
