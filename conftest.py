"""Tiers of tests: what is marked neither ``integration`` nor ``slow`` is ``unit``."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything that is left."""
    for item in items:
        if not any(item.iter_markers("integration")) and not any(item.iter_markers("slow")):
            item.add_marker(pytest.mark.unit)
