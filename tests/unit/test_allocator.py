"""How many heaps the C library keeps for a process with many threads."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="glibc alone has heaps")

#: Threads that allocate at the same time, each beside the others, and then what glibc says of its heaps.
PROGRAM = """
import ctypes, sys, threading
from pipeline.runtime import allocator
if sys.argv[1] == "settled":
    allocator.settle()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(8)
def allocate():
    together.wait()
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""


def heaps(how: str, environment: dict[str, str]) -> int:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return run.stdout.count("<heap nr=")


def test_threads_share_two_heaps() -> None:
    assert heaps("settled", {}) <= 2 < heaps("as it is", {})


def test_what_the_user_has_set_stays() -> None:
    assert 2 < heaps("settled", {"MALLOC_ARENA_MAX": "5"}) <= 5
