"""Agents: users' coroutines that the engine drives, one record after the other.

`stream` is what a coroutine iterates over, `actor` drives one, `loop` waits for what one awaits.
"""
