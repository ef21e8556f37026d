"""The compiled part: it is there where it can be built, and can be left out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from pipeline.compiled import WITHOUT


def is_compiled(environment: dict[str, str]) -> str:
    program = "from pipeline.runtime.kafka.linked import COMPILED; print(COMPILED)"
    kept = {name: value for name, value in os.environ.items() if name != WITHOUT}
    done = subprocess.run(
        [sys.executable, "-c", program], env=kept | environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: nothing was built")
def test_it_is_built_where_there_is_a_compiler() -> None:
    assert is_compiled({}) == "True"


def test_it_can_be_left_out() -> None:
    assert is_compiled({WITHOUT: "1"}) == "False"
