"""Checksums of files, and what they say about a file of the catalogue."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from synctool.files import chunks
from synctool.plugins.specs import CatalogueFile


@dataclass(frozen=True)
class Digests:
    """What content was found to be; the checksums are lower-case hexadecimal digits.

    Attributes:
        size: Bytes.
        sha256: Its SHA-256.
        md5: Its MD5, None where it was not asked for.
    """

    size: int
    sha256: str
    md5: str | None = None


class Hasher:
    """Computes the checksums of content that comes in pieces.

    Args:
        md5: Whether to compute MD5 as well.
    """

    def __init__(self, *, md5: bool = False) -> None:
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None

    def update(self, chunk: bytes) -> None:
        """Take the next piece."""
        self._size += len(chunk)
        self._sha256.update(chunk)
        if self._md5 is not None:
            self._md5.update(chunk)

    def digests(self) -> Digests:
        """What has come so far."""
        md5 = None if self._md5 is None else self._md5.hexdigest()
        return Digests(self._size, self._sha256.hexdigest(), md5)


def digests(
    path: Path, *, md5: bool = False, on_bytes: Callable[[int], None] | None = None
) -> Digests:
    """Read a file and compute its checksums.

    Args:
        path: The file.
        md5: Whether to compute MD5 as well.
        on_bytes: Called again and again with the bytes read so far.

    Raises:
        OSError: It cannot be read.
    """
    hasher = Hasher(md5=md5)
    with path.open("rb") as file:
        for chunk in chunks(file, on_bytes=on_bytes):
            hasher.update(chunk)
    return hasher.digests()


def difference(file: CatalogueFile, found: Digests) -> str | None:
    """What is wrong with the content of a file, None if nothing is, as far as it can be told."""
    if file.size is not None and found.size != file.size:
        return f"it has {found.size} bytes in place of {file.size}"
    for name, wanted, got in (
        ("SHA-256", file.sha256, found.sha256),
        ("SHA-256", file.sha256_prefix, found.sha256[: len(file.sha256_prefix or "")]),
        ("MD5", file.md5, found.md5),
    ):
        if None not in (wanted, got) and wanted != got:
            return f"its {name} is {str(got)[:16]}... in place of {str(wanted)[:16]}..."
    return None
