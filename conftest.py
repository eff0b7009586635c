"""Tiers of tests: what is marked neither ``integration`` nor ``slow`` is ``unit``."""

from __future__ import annotations

import gc
import os
import sys

import pytest

# Several hundred programs are started: what the first one compiles, the others read.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The collector of reference cycles, begun after every 700 new objects, takes half of the time in which
# tests are collected (`time pytest --collect-only`, user and sys: 28 s with it, 14 s so).
_THRESHOLD = gc.get_threshold()
gc.set_threshold(50_000, 20, 100)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything that is left."""
    for item in items:
        if not any(item.iter_markers("integration")) and not any(item.iter_markers("slow")):
            item.add_marker(pytest.mark.unit)


def pytest_collection_finish() -> None:
    """What is loaded stays to the end: the collector of reference cycles need not go over it each time."""
    gc.collect()
    gc.set_threshold(*_THRESHOLD)
    gc.freeze()
