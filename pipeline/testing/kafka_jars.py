"""Jars from a Maven repository, such as Apache Kafka's, each checked against a locked checksum."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.errors import BrokerError

#: Where jars are kept; default `.kafka` in the current directory.
DIRECTORY_VARIABLE: Final = "HEADRACE_KAFKA_DIR"

#: Base URL of a repository in Maven's layout. If it is set, jars are downloaded from there; if
#: not, `mvn` is asked where it is installed (its settings know the site's mirror), else Central.
REPOSITORY_VARIABLE: Final = "HEADRACE_MAVEN_REPOSITORY"

CENTRAL: Final = "https://repo.maven.apache.org/maven2"

#: What Apache Kafka's broker needs.
BROKER_LOCK: Final = Path(__file__).with_name("kafka-jars.lock")

_PLUGIN: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_TIMEOUT_S: Final = 600.0


class Jar(NamedTuple):
    """One locked artifact."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file, as Maven gives it."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Path within a repository of Maven's layout."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"


def locked_jars(lock: Path = BROKER_LOCK) -> list[Jar]:
    """Return the artifacts of a lock file, in its order."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [_parse(line) for line in lines if line and not line.startswith("#")]


def kafka_directory() -> Path:
    """Return where jars and brokers' data are kept, absolute."""
    return Path(os.environ.get(DIRECTORY_VARIABLE) or ".kafka").absolute()


def classpath(directory: Path | None = None, lock: Path = BROKER_LOCK) -> str:
    """Return a Java class path with every locked jar, fetching what is missing.

    Args:
        directory: where the jars are kept; default `kafka_directory()`.
        lock: a file that names them, `group:artifact:version sha256` a line.

    Raises:
        BrokerError: a jar cannot be had, or is not the one that is locked.
    """
    folder = (directory or kafka_directory()) / "jars"
    folder.mkdir(parents=True, exist_ok=True)
    jars = locked_jars(lock)
    missing = [jar for jar in jars if not (folder / jar.file_name).exists()]
    if missing:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            _fetch(missing, lock, folder, Path(scratch))
    return os.pathsep.join(str(folder / jar.file_name) for jar in jars)


def _parse(line: str) -> Jar:
    coordinates, sha256 = line.split()
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, sha256)


def _fetch(jars: Sequence[Jar], lock: Path, folder: Path, scratch: Path) -> None:
    repository = os.environ.get(REPOSITORY_VARIABLE)
    maven = shutil.which("mvn")
    if maven is not None and not repository:
        _copy_with_maven(maven, jars, scratch)
        read = _reader_of_copies(lock, scratch)
    else:
        read = _downloader((repository or CENTRAL).rstrip("/"))
    with ThreadPoolExecutor(max_workers=8) as pool:
        for _ in pool.map(lambda jar: _install(jar, read(jar), lock, folder, scratch), jars):
            pass


def _install(jar: Jar, content: bytes, lock: Path, folder: Path, scratch: Path) -> None:
    """Put a jar in place, whole or not at all: other processes may be doing the same."""
    actual = hashlib.sha256(content).hexdigest()
    if actual != jar.sha256:
        raise BrokerError(
            f"{jar.file_name} has SHA-256 {actual}, {lock.name} says {jar.sha256}: the repository "
            f"it came from serves another file; set {REPOSITORY_VARIABLE} to one that does not"
        )
    partial = scratch / f"{jar.file_name}.checked"
    partial.write_bytes(content)
    partial.replace(folder / jar.file_name)


def _downloader(repository: str) -> Callable[[Jar], bytes]:
    if not repository.startswith("https://"):
        raise BrokerError(f"{REPOSITORY_VARIABLE} is {repository!r}: it must begin with https://")

    def download(jar: Jar) -> bytes:
        url = f"{repository}/{jar.path}"
        try:
            with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 (https only, see above)
                content: bytes = response.read()
        except OSError as error:
            raise BrokerError(
                f"{url} cannot be downloaded: {error}; set {REPOSITORY_VARIABLE} to a reachable repository"
            ) from error
        return content

    return download


def _reader_of_copies(lock: Path, scratch: Path) -> Callable[[Jar], bytes]:
    def read(jar: Jar) -> bytes:
        try:
            return (scratch / jar.path).read_bytes()
        except FileNotFoundError as error:
            raise BrokerError(
                f"mvn did not resolve {jar.group}:{jar.artifact}:{jar.version}, which {lock.name} names"
            ) from error

    return read


def _copy_with_maven(maven: str, jars: Sequence[Jar], scratch: Path) -> None:
    pom = scratch / "pom.xml"
    pom.write_text(_pom(jars), encoding="utf-8")
    command = [maven, "-B", "-q", "-f", str(pom), _PLUGIN]
    command += [f"-DoutputDirectory={scratch}", "-Dmdep.useRepositoryLayout=true", "-DexcludeTransitive=true"]
    done = subprocess.run(  # noqa: S603 (the command is built above from locked names)
        command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise BrokerError(
            f"mvn cannot copy jars: {(done.stdout + done.stderr)[-2000:].strip()}\n"
            f"Mend its settings, or set {REPOSITORY_VARIABLE} (such as {CENTRAL}) to download without it"
        )


def _pom(jars: Sequence[Jar]) -> str:
    dependencies = "".join(
        f"<dependency><groupId>{jar.group}</groupId><artifactId>{jar.artifact}</artifactId>"
        f"<version>{jar.version}</version></dependency>"
        for jar in jars
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>headrace</groupId><artifactId>jars</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )
