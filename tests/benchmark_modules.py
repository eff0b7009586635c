"""The scripts of ``benchmarks/`` as modules, beside the tests' own module of videos."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
_OF_BOTH = "videos"


@contextmanager
def benchmark_modules(*names: str) -> Iterator[SimpleNamespace]:
    """Import scripts, or modules of ``literature``, by name; each is given under the last part of it.

    Their folder stays on the path meanwhile, for factories of networks.
    """
    own = sys.modules.pop(_OF_BOTH, None)
    sys.path.insert(0, str(BENCHMARKS))
    try:
        found = {name.split(".")[-1]: importlib.import_module(name) for name in names}
        _put_back(own)
        yield SimpleNamespace(**found)
    finally:
        sys.path.remove(str(BENCHMARKS))
        _put_back(own)


def _put_back(own: object) -> None:
    sys.modules.pop(_OF_BOTH, None)
    if own is not None:
        sys.modules[_OF_BOTH] = own
