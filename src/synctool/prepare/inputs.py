"""What the user means by FILE...: files, globs, folders, and lists of them in a file."""

from __future__ import annotations

import codecs
import glob
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from synctool.errors import MissingError, UsageError
from synctool.prepare.videos import videos_in
from synctool.untrusted.origin import Origin


def expand(names: Iterable[str], *, from_file: str | None = None) -> list[str]:
    """The videos meant, in order, each once.

    A name that exists is taken literally, whatever characters it holds; then globs are tried. A
    folder gives the videos below it. A name that fits nothing is kept, so that it fails by itself,
    and so is, among others, a folder without videos.

    Args:
        names: As given on the command line; ``-`` is a video on the standard input.
        from_file: A text file with one name a line (empty lines and ``#`` comments skipped), or
            ``-`` for the standard input.

    Raises:
        UsageError: Nothing was given, or the standard input twice.
        MissingError: The list cannot be read; the one folder given cannot be, or holds no videos.
    """
    wanted = list(names)
    if from_file is not None:
        wanted += _listed(from_file)
    if not wanted:
        raise UsageError(
            "no videos given", remedy="Give files, folders, globs, or --from-file LIST."
        )
    if from_file == "-" and "-" in wanted:
        raise UsageError(
            "the standard input cannot be both a list and a video",
            remedy="Give the list as a file, or the video.",
        )
    found: dict[str, None] = {}
    for name in wanted:
        try:
            meant = _meant(name)
        except MissingError:
            if len(wanted) == 1:
                raise
            meant = [name]
        for video in meant:
            found[video] = None
    return list(found)


def means_one_video(names: Iterable[str], *, from_file: str | None = None) -> bool:
    """Whether the user named one video, and not a list, folder or glob that happens to hold one.

    The form of what is written for machines hangs on this alone, so that it can be foreseen.
    """
    wanted = list(names)
    if from_file is not None or len(wanted) != 1 or os.path.isdir(wanted[0]):
        return False
    return os.path.lexists(wanted[0]) or not glob.has_magic(wanted[0])


def _meant(name: str) -> list[str]:
    if os.path.isdir(name):
        video_files = [os.fspath(p) for p in videos_in(Path(name))]
        if not video_files:
            raise MissingError(f"no videos below {name}", remedy="Give a folder that holds videos.")
        return video_files
    if os.path.lexists(name) or not glob.has_magic(name):
        return [name]
    return sorted(p for p in glob.glob(name, recursive=True) if not os.path.isdir(p)) or [name]


def _listed(name: str) -> list[str]:
    remedy = "Give a text file with one name a line."
    with Origin(name, remedy).reading("list", name, missing="Check the path of --from-file."):
        raw = _standard_input() if name == "-" else Path(name).read_bytes()
    if b"\0" in raw:
        raise UsageError(f"{name} is no list of videos", remedy=remedy)
    # Names that are not UTF-8 stay what they are; some editors begin a file with a mark.
    text = raw.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    lines = (line.rstrip("\r") for line in text.split("\n"))
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _standard_input() -> bytes:
    if hasattr(sys.stdin, "buffer"):
        return sys.stdin.buffer.read()
    return sys.stdin.read().encode("utf-8", "surrogateescape")
