"""An object store in memory that fails as it is told to: ``flaky://`` addresses for fsspec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

_FAILS: list[Callable[[str, str, int], BaseException | None]] = []
CALLS: Counter[tuple[str, str]] = Counter()


class FlakyStore(MemoryFileSystem):
    """The store."""

    protocol = "flaky"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("flaky://", "memory://", 1))

    def info(self, path: str, **more: Any) -> dict[str, Any]:
        _maybe("info", path)
        return super().info(path, **more)

    def ls(self, path: str, detail: bool = True, **more: Any) -> list[Any]:
        _maybe("ls", path)
        return super().ls(path, detail=detail, **more)

    def cat_file(self, path: str, *where: Any, **more: Any) -> bytes:
        _maybe("read", path)
        return super().cat_file(path, *where, **more)

    def get_file(self, path: str, local: str, **more: Any) -> None:
        _maybe("read", path)
        super().get_file(path, local, **more)

    def put_file(self, local: str, path: str, **more: Any) -> None:
        _maybe("write", path)
        super().put_file(local, path, **more)


def _maybe(kind: str, path: str) -> None:
    name = path.rsplit("/", 1)[-1]
    CALLS[kind, name] += 1
    for fails in _FAILS:
        error = fails(kind, name, CALLS[kind, name])
        if error is not None:
            raise error


@contextmanager
def flaky(fails: Callable[[str, str, int], BaseException | None]) -> Iterator[None]:
    """Let the store fail.

    Args:
        fails: Told the kind of call (info, ls, read, write), the base name and which call that is,
            from 1; gives the error to raise, or None.
    """
    fsspec.register_implementation("flaky", FlakyStore, clobber=True)
    CALLS.clear()
    _FAILS.append(fails)
    try:
        yield
    finally:
        _FAILS.pop()


def empty() -> None:
    """Forget all files."""
    fsspec.register_implementation("flaky", FlakyStore, clobber=True)
    FlakyStore.store.clear()
    FlakyStore.pseudo_dirs[:] = [""]
    CALLS.clear()
