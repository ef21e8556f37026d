"""`python -m pipeline.testing.embedded`: a broker for a first run."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

from pipeline.runtime.kafka import KafkaBroker
from pipeline.testing.process import free_port

COMMAND = (sys.executable, "-m", "pipeline.testing.embedded")


@pytest.mark.embedded
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_has_the_topics_and_ends_in_order(number: signal.Signals) -> None:
    command = (*COMMAND, "orders:3", "totals", "--port", str(free_port()))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as broker:
        try:
            assert broker.stdout is not None
            said = re.match(
                r"kafka://(127\.0\.0\.1:\d+), in memory; Ctrl-C ends it", broker.stdout.readline()
            )
            assert said is not None
            admin = KafkaBroker(said[1]).admin()
            assert admin.partition_counts(["orders", "totals"]) == {"orders": 3, "totals": 1}
            admin.close()
            broker.send_signal(number)
            assert broker.wait(120) == 0
        finally:
            broker.kill()


def test_what_is_no_number_of_partitions_is_named() -> None:
    done = subprocess.run([*COMMAND, "orders:many"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "orders:many: give a name, or name:partitions" in done.stderr
