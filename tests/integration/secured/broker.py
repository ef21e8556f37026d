"""Apache Kafka with an authoriser, and the rights that the `acl` command prints, set on it."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not exported in its annotations
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from pipeline.testing.brokers import ApacheKafka
from pipeline.testing.secured import LISTENERS, Certificates, make_certificates, secured_settings
from tests.integration.secured.topology import AUTHORITY, GUARANTEE, ID, PASSWORD

#: What everyone says to show who he is.
SECRET: Final = "open-sesame"  # noqa: S105 (of a broker that lives for one test)
TOPOLOGY: Final = "tests.integration.secured.topology"
_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Secured:
    """A running broker, and the certificates around it."""

    kafka: ApacheKafka
    certificates: Certificates
    admin: AdminClient

    @property
    def address(self) -> str:
        """Where clients must say who they are."""
        return self.kafka.address_of("SASL")

    def add_user(self, name: str) -> None:
        """Have the broker know someone by SCRAM."""
        infos = [ScramCredentialInfo(mechanism, 4096) for mechanism in _SCRAM]
        for info in infos:
            wanted = UserScramCredentialUpsertion(name, info, SECRET.encode())
            for future in self.admin.alter_user_scram_credentials([wanted]).values():
                future.result(_TIMEOUT_S)

    def grant(self, rights: Sequence[AclBinding]) -> None:
        """Allow what was printed."""
        for future in self.admin.create_acls(list(rights)).values():
            future.result(_TIMEOUT_S)

    def revoke(self, right: AclBinding) -> None:
        """Allow it no more."""
        exactly = AclBindingFilter(
            right.restype,
            right.name,
            right.resource_pattern_type,
            right.principal,
            right.host,
            right.operation,
            right.permission_type,
        )
        for future in self.admin.delete_acls([exactly]).values():
            assert len(future.result(_TIMEOUT_S)) == 1

    def environment(self, application: str, guarantee: str) -> dict[str, str]:
        """Return what the application's module is told."""
        return {
            ID: application,
            GUARANTEE: guarantee,
            PASSWORD: SECRET,
            AUTHORITY: str(self.certificates.authority),
            "BROKER_URL": f"kafka://{self.address}",
        }


_SCRAM: Final = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """Start a broker; `admin` may do everything, and so may the certificate of `client`."""
    certificates = make_certificates(folder)
    settings = secured_settings(certificates, {"admin": SECRET})
    settings["super.users"] += ";User:admin;User:CN=client"
    with ApacheKafka(settings=settings, listeners=LISTENERS) as kafka:
        yield Secured(kafka, certificates, AdminClient({"bootstrap.servers": kafka.address}))


def printed_commands(environment: Mapping[str, str]) -> list[list[str]]:
    """Return what `faust acl --format kafka-acls` prints, in words."""
    principal = f"User:{environment[ID]}"
    command = [sys.executable, "-m", "faust", "-A", TOPOLOGY, "acl"]
    done = subprocess.run(
        [*command, "--format", "kafka-acls", "--principal", principal],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert SECRET not in done.stdout + done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines() if not line.startswith("#")]


def bindings(commands: Sequence[Sequence[str]]) -> list[AclBinding]:
    """Return what kafka-acls.sh would make of these commands."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap-server")
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", required=True)
    parser.add_argument("--resource-pattern-type", default="literal")
    for name in _TYPES:
        parser.add_argument(f"--{name}")
    made = []
    for program, *arguments in commands:
        assert program == "kafka-acls.sh"
        given = parser.parse_args(arguments)
        ((kind, name),) = [
            (kind, named) for kind in _TYPES if (named := getattr(given, kind.replace("-", "_")))
        ]
        pattern = ResourcePatternType[given.resource_pattern_type.upper()]
        made += [
            AclBinding(
                _TYPES[kind],
                name,
                pattern,
                given.allow_principal,
                "*",
                AclOperation[_OPERATIONS.get(operation, operation.upper())],
                AclPermissionType.ALLOW,
            )
            for operation in given.operation
        ]
    return made


_TYPES: Final = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}
_OPERATIONS: Final = {"DescribeConfigs": "DESCRIBE_CONFIGS"}
