"""CSV with the columns of DaVinci Resolve's edit index, in which it lists markers."""

from __future__ import annotations

import csv
import io

from synctool.report.markers.description import MarkedVideo

COLUMNS = (
    *("#", "Reel", "V", "C", "Dur", "Source In", "Source Out", "Record In", "Record Out"),
    *("Name", "Comments", "Color", "Notes"),
)


def to_resolve_csv(video: MarkedVideo) -> bytes:
    """The file: UTF-8, comma, every field in quotes."""
    text, clock = io.StringIO(), video.clock
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for number, marker in enumerate(video.markers, 1):
        times = (clock.text(marker.frame), clock.text(marker.frame + marker.frames))
        facts = (number, video.name, "V1", "C", clock.span(marker.frames), *times, *times)
        writer.writerow((*facts, marker.name, "", marker.colour, marker.note))
    return text.getvalue().encode("utf-8", "replace")
