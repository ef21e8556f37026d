"""Ports for servers that are started by tests, benchmarks and the demo."""

from __future__ import annotations

import random
import socket

from pipeline.testing.process import free_port


def test_a_free_port_is_none_that_an_outgoing_connection_takes() -> None:
    assert all(20_000 <= free_port() < 32_768 for _ in range(100))


def test_processes_that_seed_alike_take_different_ports() -> None:
    chosen = set()
    for _ in range(20):
        random.seed(1)
        chosen.add(free_port())
    assert len(chosen) > 1


def test_a_wanted_port_is_taken_if_it_is_free() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        taken = server.getsockname()[1]
        assert free_port(taken) != taken
    assert free_port(taken) == taken
