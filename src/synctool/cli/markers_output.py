"""``--markers``: a file of markers for each video, checked before the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctool.cli.outputs import VideoFiles
from synctool.errors import UsageError

if TYPE_CHECKING:
    from synctool.types import DetectResult


class MarkersOutput:
    """Writes the markers of videos.

    Args:
        path: A file, a folder, or ``-``; None where no markers are wanted.
        form: Name of the format, None for what the ending of the file means.
        start: Timecode of the first frame, None for that of the video file.
        one: Whether the user named a single video.

    Raises:
        UsageError: There is no such format, or something is given without ``--markers``.
    """

    def __init__(self, path: str | None, form: str | None, start: str | None, *, one: bool) -> None:
        self._format, self._start = None, start
        if path is not None:
            from synctool.report.markers.formats import marker_format

            self._format = marker_format(path, form)
        elif form is not None or start is not None:
            raise UsageError(
                "there are no markers to be written", remedy="Give --markers FILE as well."
            )
        suffix = "" if self._format is None else self._format.suffix
        self._path, self._files = path, VideoFiles(path, one=one, suffix=suffix)

    @property
    def file(self) -> str | None:
        """The one file, None where there is none."""
        return self._path if self._files.folder is None else None

    def check(self) -> None:
        """Make the folder, if there is to be one.

        Raises:
            OutputError: It cannot be made or written to.
            UsageError: The markers of several videos would go to the standard output.
        """
        self._files.check()

    def write(self, result: DetectResult) -> None:
        """Write the markers of a video.

        Raises:
            OutputError: They cannot be written.
            UsageError: The timecode is none of the video's frame rate.
        """
        if self._format is None or (path := self._files.path(result.input)) is None:
            return
        from synctool.report.markers.formats import write_markers

        write_markers(result, path, self._format, start_timecode=self._start)
