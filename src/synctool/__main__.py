"""``python -m synctool``: the program."""

from __future__ import annotations

import sys

from synctool.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
