"""The folder of an exported model: it takes its place when it is complete, and replaces nothing but what an
earlier export wrote there, which its manifest names with sizes and checksums."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from synctool.errors import SyncToolError, UsageError
from synctool.files import make_folder, output_error
from synctool.temporaries import temporary_beside
from synctool.untrusted.documents import read_json, typed
from synctool.untrusted.origin import Origin
from synctool.weights.artefact import MANIFEST, ArtefactPart, digest, read_artefact, size

FAILED = ".failed-check"
"""Ending of the name that a model keeps which did not pass."""
_SHOWN = 3
_ASIDE = ".synctool-old"
_COMING = ".synctool-coming.json"
"""What lies in a folder while its content is exchanged: the old files, and the names of the new ones."""


def check_folder(out: Path) -> None:
    """Find out before the work whether a model can be put there; nothing is left behind but the
    folders above it.

    Raises:
        UsageError: There is something else.
        OutputError: It cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file", remedy="Give --out the name of a folder.")
    _recover(real_place(out))
    _refuse_foreign(out)
    make_folder(real_place(out).parent)
    with folder_beside(out):
        pass


@contextmanager
def folder_beside(out: Path) -> Iterator[Path]:
    """A new folder beside the one that is wanted; removed when the block ends, unless it was moved.

    Raises:
        OutputError: It cannot be made, or something in it cannot be written.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(temporary_beside(real_place(out), folder=True))
        except OSError as error:
            raise output_error(out, error) from error
        yield folder


def put(folder: Path, out: Path) -> None:
    """Let a complete folder take the place of another, or of none.

    Raises:
        UsageError: Files of others have come into the old one meanwhile; they stay.
        OutputError: It cannot be moved; then everything is as it was.
    """
    place = real_place(out)
    _refuse_foreign(out)
    try:
        if not place.exists():
            folder.rename(place)
        elif os.path.samefile(place, os.curdir):
            # Whoever stands in the folder would be left in one that is deleted.
            _exchange(sorted(place.iterdir()), place, folder)
        else:
            _replace(place, folder)
    except OSError as error:
        raise output_error(out, error) from error


def failed_place(out: Path) -> Path:
    """Where a model is kept that did not pass: beside the wanted folder, under a name that says so."""
    place, number = real_place(out), 1
    wanted = place.with_name(place.name + FAILED)
    while wanted.exists() and (not wanted.is_dir() or _foreign(wanted)):
        number += 1
        wanted = place.with_name(f"{place.name}{FAILED}-{number}")
    return wanted


def real_place(out: Path) -> Path:
    """The folder itself with its own name, where it is given as a link to it or as ``.``."""
    return Path(os.path.realpath(out))


def _replace(place: Path, folder: Path) -> None:
    old = _old(place)
    if old.exists():  # with files of others, which stay
        old = old.with_name(f".synctool-{secrets.token_hex(6)}.old")
    place.rename(old)
    try:
        _refuse_foreign(old, shown=place)  # what came in since the check before
        folder.rename(place)
    except BaseException:
        old.rename(place)
        raise
    _remove_own(old)


def _exchange(old: list[Path], place: Path, folder: Path) -> None:
    """Replace what lies in a folder, and keep the folder itself."""
    aside = place / _ASIDE
    aside.mkdir()
    (aside / _COMING).write_text(json.dumps(sorted(os.listdir(folder))))
    moved: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        source.rename(target)
        moved.append((source, target))

    try:
        for path in old:
            move(path, aside / path.name)
        (aside / _COMING).rename(place / _COMING)
        _refuse_foreign(aside, shown=place)  # what came in since the check before
        for path in sorted(folder.iterdir()):
            move(path, place / path.name)
    except BaseException:
        for source, target in reversed(moved):
            target.rename(source)
        for noted in (aside / _COMING, place / _COMING):
            noted.unlink(missing_ok=True)
        aside.rmdir()
        raise
    (place / _COMING).unlink()
    _remove_own(aside)


def _recover(place: Path) -> None:
    """Bring back what a killed run had moved aside, or remove it where the new one had come.

    Raises:
        OutputError: It cannot be moved.
    """
    old, aside, coming = _old(place), place / _ASIDE, place / _COMING
    try:
        if old.is_dir() and place.exists():
            _remove_own(old)
        elif old.is_dir():
            old.rename(place)
        if not aside.is_dir():
            return
        moving = (aside / _COMING).exists()
        if coming.is_file():  # all of the old is aside, and what is listed is new
            with Origin(str(coming), remedy="Give --out a new folder.").checked():
                new = typed(read_json(coming), list[str])
            for name in new:
                _remove(place / os.path.basename(name))
            coming.rename(aside / _COMING)
            moving = True
        if not moving:  # all of the new is there
            _remove_own(aside)
            return
        for path in sorted(aside.iterdir()):
            if path.name != _COMING:
                path.rename(place / path.name)
        (aside / _COMING).unlink()
        aside.rmdir()
    except OSError as error:
        raise output_error(place, error) from error


def _old(place: Path) -> Path:
    number = hashlib.sha256(os.fsencode(place.name)).hexdigest()[:12]
    return place.parent / f".synctool-{number}.old"


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _remove_own(folder: Path) -> None:
    """Remove a folder that was moved aside and checked; what comes into it even now stays, and it too."""
    names: list[str] = []
    with suppress(SyncToolError):  # without a manifest it was empty
        # The manifest goes last, as it tells what may go.
        names = [*(part.file for part in read_artefact(folder).parts.values()), MANIFEST]
    for path in (folder / name for name in names):
        _remove(path)
    with suppress(OSError):
        folder.rmdir()


def _refuse_foreign(folder: Path, *, shown: Path | None = None) -> None:
    """Refuse a folder with files of others in it.

    Args:
        folder: The folder.
        shown: Its name for people, where it was moved.
    """
    foreign = _foreign(folder)
    if not foreign:
        return
    listed = ", ".join(foreign[:_SHOWN]) + (" ..." if len(foreign) > _SHOWN else "")
    raise UsageError(
        f"{shown or folder} holds other files, which would be lost: {listed}",
        remedy="Give --out a new folder, or that of an exported model that nobody changed.",
    )


def _foreign(folder: Path) -> list[str]:
    """What lies in a folder and was not written there by an earlier export."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise output_error(folder, error) from error
    if MANIFEST not in names:
        return names
    try:
        parts = {part.file: part for part in read_artefact(folder).parts.values()}
    except SyncToolError:
        return names  # no manifest, or a damaged one: nothing in it can be relied upon
    return [
        name
        for name in names
        if name != MANIFEST and (name not in parts or not _unchanged(folder / name, parts[name]))
    ]


def _unchanged(path: Path, part: ArtefactPart) -> bool:
    try:
        return size(path) == part.bytes and digest(path) == part.sha256
    except OSError as error:
        raise output_error(path, error) from error
