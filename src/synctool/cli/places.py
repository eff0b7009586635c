"""Whether results can be written: found out before the work, so that a long run does not end with an
error."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from synctool.errors import OutputNameError, UsageError
from synctool.files import check_writable, make_folder
from synctool.report.plot_format import FORMATS

STANDARD_OUTPUT = "-"
_WRITES_VIDEO = {"--fix", "--out", "--video"}
_ENDINGS = {
    "--json": (".json", ".jsonl", ".ndjson"),
    "--csv": (".csv",),
    "--html": (".html", ".htm"),
    "--plot": tuple(f".{name}" for name in (*FORMATS, "jpeg")),
}
"""Of the files of an option; a name with an ending of another's is taken for a slip."""


def is_plot_folder(plot: str | None, *, one: bool) -> bool:
    """Whether ``--plot`` names a folder: of several videos, or if there is one or the name ends in a slash.

    Args:
        plot: As it was given.
        one: Whether the user named a single video.
    """
    ends = tuple(filter(None, (os.sep, os.altsep)))
    return plot is not None and (not one or plot.endswith(ends) or os.path.isdir(plot))


def is_video_name(name: str) -> bool:
    """Whether a name ends as videos do."""
    from synctool.media.video_files import VIDEO_SUFFIXES

    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def _check_ending(option: str, name: str) -> None:
    """See that a name does not end as the files of another option do.

    Raises:
        OutputNameError: It does.
    """
    ending = os.path.splitext(name)[1].lower()
    own = _ENDINGS.get(option, ())
    if not own or ending in own:
        return
    others = [other for other, endings in _ENDINGS.items() if ending in endings]
    if others or is_video_name(name):
        owner = others[0] if others else "videos"
        raise OutputNameError(
            f"{option} {name}: the ending {ending} belongs to {owner}",
            remedy=f"Give a name that ends in {own[0]}.",
        )


def check_places(
    outputs: Mapping[str, str | os.PathLike[str] | None],
    *,
    kept: Iterable[str],
    plot: str | None = None,
    plot_folder: bool = False,
) -> None:
    """Check that all results can be written, each to a place of its own.

    Args:
        outputs: Option -> path, ``-`` for the standard output, or None where it is not wanted.
        kept: Files that must not be overwritten: what is read.
        plot: What ``--plot`` names.
        plot_folder: Whether that is a folder; it is made.

    Raises:
        OutputError: One cannot be written.
        UsageError: Two would go to one place, or one would replace what is read, or any video.
        MissingError: A plot is wanted, and nothing to draw it with is installed.
    """
    if plot is not None:
        from synctool.report.plot_format import check_plot

        check_plot(Path(plot) / "a.png" if plot_folder else plot)
        if not plot_folder:
            outputs = {**outputs, "--plot": plot}
    wanted = {option: os.fspath(name) for option, name in outputs.items() if name is not None}
    files = {option: name for option, name in wanted.items() if name != STANDARD_OUTPUT}
    on_stdout = [option for option, name in wanted.items() if name == STANDARD_OUTPUT]
    if len(on_stdout) > 1:
        raise UsageError(
            f"{' and '.join(on_stdout)} cannot both go to stdout", remedy="Give one a file."
        )
    read = {os.path.realpath(name) for name in kept}
    taken: dict[str, str] = {}
    for option, name in files.items():
        place = os.path.realpath(name)
        if place in read and os.path.isfile(place):
            raise UsageError(
                f"{option} {name} is read by this run and would be overwritten",
                remedy="Give the result another name.",
            )
        if option not in _WRITES_VIDEO and is_video_name(name) and os.path.isfile(place):
            raise UsageError(
                f"{option} {name} would replace a video by a report",
                remedy="Give the result another name, or remove the video first.",
            )
        _check_ending(option, name)
        ordinary = os.path.isfile(place) or not os.path.exists(place)
        if place in taken and ordinary:
            raise UsageError(
                f"{taken[place]} and {option} cannot both go to {name}",
                remedy="Give each its own name.",
            )
        taken[place] = option
    for name in files.values():
        check_writable(name)
    if plot is not None and plot_folder:
        make_folder(plot)
        check_writable(Path(plot) / "a.png")
