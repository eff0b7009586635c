"""The folder of an exported model: it takes its place when it is complete, and replaces nothing else."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synctool.engine.export_settings import ALONE, PARTS
from synctool.errors import UsageError
from synctool.files import make_folder, output_error
from synctool.weights.artefact import MANIFEST

FAILED = ".failed-check"
"""Ending of the name that a model keeps which did not pass."""
_SHOWN = 3


def check_folder(out: Path) -> None:
    """Find out before the work whether a model can be put there; nothing is left behind but the
    folders above it.

    Raises:
        UsageError: There is something else.
        OutputError: It cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file", remedy="Give --out the name of a folder.")
    foreign = _foreign(out)
    if foreign:
        listed = ", ".join(foreign[:_SHOWN]) + (" ..." if len(foreign) > _SHOWN else "")
        raise UsageError(
            f"{out} holds other files, which would be lost: {listed}",
            remedy="Give --out a new folder, or that of an exported model.",
        )
    make_folder(_place(out).parent)
    with folder_beside(out):
        pass


@contextmanager
def folder_beside(out: Path) -> Iterator[Path]:
    """A new folder beside the one that is wanted; removed when the block ends, unless it was moved.

    Raises:
        OutputError: It cannot be made, or something in it cannot be written.
    """
    place = _place(out)
    folder = place.parent / f".synctool-{secrets.token_hex(6)}.export"
    try:
        folder.mkdir()
    except OSError as error:
        raise output_error(out, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put(folder: Path, out: Path) -> None:
    """Let a complete folder take the place of another, or of none.

    Raises:
        OutputError: It cannot be moved; then everything is as it was.
    """
    place, old = _place(out), None
    try:
        if place.exists():
            old = place.parent / f".synctool-{secrets.token_hex(6)}.old"
            place.rename(old)
        try:
            folder.rename(place)
        except BaseException:
            if old is not None:
                old.rename(place)
            raise
    except OSError as error:
        raise output_error(out, error) from error
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def failed_place(out: Path) -> Path:
    """Where a model is kept that did not pass: beside the wanted folder, under a name that says so."""
    place, number = _place(out), 1
    wanted = place.with_name(place.name + FAILED)
    while wanted.exists() and (not wanted.is_dir() or _foreign(wanted)):
        number += 1
        wanted = place.with_name(f"{place.name}{FAILED}-{number}")
    return wanted


def _place(out: Path) -> Path:
    """The folder itself, where the name is a link to it."""
    return Path(os.path.realpath(out))


def _foreign(folder: Path) -> list[str]:
    """What lies in a folder and is not of an exported model."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise output_error(folder, error) from error
    own = {*PARTS, ALONE}
    is_export = MANIFEST in names
    return [n for n in names if n != MANIFEST and not (is_export and n.partition(".")[0] in own)]
