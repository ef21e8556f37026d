"""Apache Kafka that asks who its clients are, and what they may do.

```
PLAINTEXT   nobody is asked: an administrator, as tests need one
SASL        SASL_SSL: PLAIN, SCRAM and OAUTHBEARER (tokens without a signature)
MUTUAL      SSL: a client shows a certificate
```
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import BrokerError

#: Listeners, and their protocols.
LISTENERS: Final = {"SASL": "SASL_SSL", "MUTUAL": "SSL"}
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM, in one folder.

    Attributes:
        folder: where they are.
    """

    folder: Path

    @property
    def authority(self) -> Path:
        """The certificate that signed the others."""
        return self.folder / "authority.pem"

    @property
    def stranger(self) -> Path:
        """One that signed nothing."""
        return self.folder / "stranger.pem"

    def certificate(self, name: str) -> Path:
        """The certificate of `broker` or `client`."""
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        """The private key of `broker` or `client`, without a password."""
        return self.folder / f"{name}.key"


def make_certificates(folder: Path) -> Certificates:
    """Make an authority, a broker's certificate for 127.0.0.1, and a client's (CN=client), valid for a day.

    Raises:
        BrokerError: there is no `openssl`, or it fails.
    """
    made = Certificates(folder)
    for name in ("authority", "stranger"):
        _openssl(folder, "req", "-x509", *_new_key(name), "-days", "1", "-out", f"{name}.pem")
    for name in ("broker", "client"):
        _openssl(folder, "req", *_new_key(name), "-out", f"{name}.csr")
        extensions = folder / f"{name}.ext"
        extensions.write_text("subjectAltName=IP:127.0.0.1\n", encoding="utf-8")
        signed = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-days", "1"]
        files = ["-in", f"{name}.csr", "-extfile", extensions.name, "-out", f"{name}.pem"]
        _openssl(folder, "x509", "-req", *signed, *files)
    store = made.key("broker").read_text(encoding="utf-8") + made.certificate("broker").read_text(
        encoding="utf-8"
    )
    (folder / "broker-store.pem").write_text(store, encoding="utf-8")
    return made


def secured_settings(certificates: Certificates, passwords: Mapping[str, str]) -> dict[str, str]:
    """Return server properties for the listeners above, with an authoriser that allows nobody by itself.

    Args:
        certificates: the broker's.
        passwords: by user, for PLAIN; those for SCRAM are set with an administrator's client.
    """
    users = " ".join(f'user_{name}="{password}"' for name, password in passwords.items())
    plain = f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    oauth = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        # Whoever comes in plain text: the brokers, and the tests' administrator.
        "super.users": "User:ANONYMOUS",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.folder / "broker-store.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.authority),
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.sasl.sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "listener.name.sasl.plain.sasl.jaas.config": plain,
        "listener.name.sasl.scram-sha-256.sasl.jaas.config": scram,
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": scram,
        "listener.name.sasl.oauthbearer.sasl.jaas.config": f'{oauth} unsecuredLoginStringClaim_sub="nobody";',
    }


def _new_key(name: str) -> list[str]:
    return ["-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-subj", f"/CN={name}"]


def _openssl(folder: Path, *arguments: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 (the arguments are ours)
            ["openssl", *arguments],  # noqa: S607 (wherever it is installed)
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise BrokerError("certificates are made with openssl, which is not installed") from error
    if done.returncode != 0:
        raise BrokerError(f"openssl {arguments[0]} fails: {done.stderr[-2000:]}")
