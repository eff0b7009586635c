"""Made-up entries of the catalogue, and the settings that make their download quick."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fake_plugins import FakePlugin
from synctool.plugins import loader as plugins
from synctool.plugins.loader import Plugins
from synctool.plugins.specs import CatalogueEntry, CatalogueFile
from synctool.settings.download import DownloadSettings

NOTE = "Ask for access at https://example.org/form."


def some_bytes(count: int, seed: int = 1) -> bytes:
    """Bytes that look like nothing."""
    return random.Random(seed).randbytes(count)


def file_of(path: str, content: bytes, *urls: str, **more: object) -> CatalogueFile:
    """A file of the catalogue with its size and checksum; keywords win."""
    digest = hashlib.sha256(content).hexdigest()
    return CatalogueFile(path, urls, **{"size": len(content), "sha256": digest, **more})


def entry_of(*files: CatalogueFile, name: str = "thing", **more: object) -> CatalogueEntry:
    """An entry of the catalogue; keywords win."""
    fields = {
        "kind": "weights",
        "summary": "made up",
        "homepage": "https://example.org/thing",
        "licence": "CC BY 4.0",
        "access_note": NOTE,
    }
    return CatalogueEntry(name=name, files=files, **{**fields, **more})


@contextmanager
def catalogue(*entries: CatalogueEntry) -> Iterator[Plugins]:
    """Let the program have these entries, and no others."""
    with plugins.use() as own:
        own.register(FakePlugin(synctool_catalogue=list(entries)), name="fake")
        yield own


def settings(**flags: Any) -> DownloadSettings:
    """Settings that wait for nothing."""
    return DownloadSettings(**{"wait_s": 0.0, "timeout_s": 2.0, "retries": 3, **flags})


def leftovers(folder: Path) -> list[str]:
    """Files of unfinished work in a folder, and below it."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if ".part" in path.name and path.is_file()
    )
