"""Throughput of the engine beside hand-written loops for the same work, on real brokers.

`python -m benchmarks` runs everything; `python -m benchmarks --help` shows what can be chosen.
"""
