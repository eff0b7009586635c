"""CSV as Adobe Premiere Pro exports markers: UTF-16, fields between tabs."""

from __future__ import annotations

import csv
import io

from synctool.report.markers.description import MarkedVideo

COLUMNS = ("Marker Name", "Description", "In", "Out", "Duration", "Marker Type")


def to_premiere_csv(video: MarkedVideo) -> bytes:
    """The file. Drop-frame has semicolons throughout, as there."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for marker in video.markers:
        out = marker.frame + marker.frames
        times = (
            video.clock.text(marker.frame), video.clock.text(out), video.clock.span(marker.frames)
        )  # fmt: skip
        mark = video.clock.mark
        writer.writerow(
            (marker.name, marker.note, *(t.replace(":", mark) for t in times), "Comment")
        )
    return text.getvalue().encode("utf-16", "replace")
