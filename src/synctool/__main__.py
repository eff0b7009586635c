"""The program, as ``synctool`` and as ``python -m synctool``."""

from __future__ import annotations

import sys

EXIT_STOPPED = 130


def main() -> int:
    """Run the program; Ctrl-C while its modules are still read ends it as later: without a traceback."""
    try:
        from synctool.cli.app import main as run
    except KeyboardInterrupt:
        return EXIT_STOPPED
    return run()


if __name__ == "__main__":
    sys.exit(main())
