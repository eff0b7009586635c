"""Giving memory back is glibc's affair; elsewhere nothing happens."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from synctool.media import freed_memory


@pytest.fixture(autouse=True)
def _asked_again() -> Iterator[None]:
    freed_memory._trim.cache_clear()
    yield
    freed_memory._trim.cache_clear()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_the_allocator_is_asked_once_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    library = SimpleNamespace(malloc_trim=lambda keep: asked.append(keep))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    freed_memory.give_back()
    freed_memory.give_back()
    assert asked == [0, 0]


def test_another_c_library_has_no_such_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    freed_memory.give_back()
