"""Room on the disk, and amounts of bytes in words."""

from __future__ import annotations

import shutil
from pathlib import Path

from synctool.errors import OutputError


def amount(count: int) -> str:
    """Bytes for people, in powers of 1000: ``54.6 MB``."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{count} B" if unit == "B" else f"{size:.3g} {unit}"


def free_bytes(folder: Path) -> int:
    """Bytes free on the disk that holds a folder, or that would hold it.

    Raises:
        OutputError: The disk cannot be asked.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        return shutil.disk_usage(place).free
    except OSError as error:
        raise OutputError(
            f"cannot tell how much room there is in {place}: {error.strerror}",
            remedy="Choose another place with --dest.",
        ) from error


def check_space(folder: Path, needed: int, what: str) -> None:
    """Make sure that something fits on the disk.

    Args:
        folder: Where it goes.
        needed: Bytes still to be written.
        what: What it is, for the message.

    Raises:
        OutputError: It does not fit.
    """
    free = free_bytes(folder)
    if needed > free:
        raise OutputError(
            f"{what} needs {amount(needed)} in {folder}, and only {amount(free)} are free",
            remedy="Free some space, or choose another disk with --dest.",
        )
