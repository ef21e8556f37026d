"""`python -m demo.ready`: exit code 0 if the worker of this container processes records."""

from __future__ import annotations

import os
import sys

from demo.views import Views


def main() -> int:
    """Ask the worker on port `WEB_PORT`."""
    return 0 if Views(int(os.environ["WEB_PORT"])).ready() else 1


if __name__ == "__main__":
    sys.exit(main())
