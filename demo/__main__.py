"""`python -m demo`: see `demo.run`."""

from __future__ import annotations

import sys

from demo.stop import Stop


def main() -> int:
    """Run the demonstration; return the exit code."""
    with Stop() as stop:
        from demo.run import run  # noqa: PLC0415 (takes a moment, in which Ctrl-C is already heard)

        return run(stop)


if __name__ == "__main__":
    sys.exit(main())
