"""The formats of marker files by name, and which one the ending of a file means."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from synctool.errors import UsageError
from synctool.report.markers.description import MarkedVideo, marked
from synctool.report.markers.edl import to_edl
from synctool.report.markers.fcpxml import to_fcpxml
from synctool.report.markers.premiere_csv import to_premiere_csv
from synctool.report.markers.resolve_csv import to_resolve_csv
from synctool.report.markers.webvtt import to_webvtt
from synctool.report.stream import send
from synctool.types import DetectResult


@dataclass(frozen=True)
class MarkerFormat:
    """A format.

    Attributes:
        suffix: Ending of its files.
        content: Makes the file.
    """

    suffix: str
    content: Callable[[MarkedVideo], bytes]


FORMATS = {
    "resolve": MarkerFormat(".csv", to_resolve_csv),
    "premiere": MarkerFormat(".csv", to_premiere_csv),
    "fcpxml": MarkerFormat(".fcpxml", to_fcpxml),
    "edl": MarkerFormat(".edl", to_edl),
    "webvtt": MarkerFormat(".vtt", to_webvtt),
}
"""By the names of ``--markers-format``; of several with one ending the first is meant."""


def marker_format(path: str | os.PathLike[str], name: str | None) -> MarkerFormat:
    """The format that a name asks for, or the ending of a file.

    Raises:
        UsageError: There is none of that name or ending.
    """
    if name is not None:
        if name not in FORMATS:
            raise UsageError(
                f"there is no marker format {name!r}", remedy=f"Give one of {', '.join(FORMATS)}."
            )
        return FORMATS[name]
    suffix = Path(path).suffix.lower()
    for form in FORMATS.values():
        if form.suffix == suffix:
            return form
    raise UsageError(
        f"the format of the markers cannot be told from {os.fspath(path)!r}",
        remedy=f"Give --markers-format: {', '.join(FORMATS)}.",
    )


def write_markers(
    result: DetectResult,
    path: str | os.PathLike[str],
    form: MarkerFormat,
    *,
    start_timecode: str | None = None,
) -> None:
    """Write the segments of a video as markers, atomically, or for ``-`` to the standard output.

    Args:
        result: What was measured.
        path: The file.
        form: Its format.
        start_timecode: Timecode of the first frame; None for that of the file.

    Raises:
        OutputError: It cannot be written.
        UsageError: The timecode is none of the video's frame rate.
    """
    send(path, form.content(marked(result, start_timecode=start_timecode)))
