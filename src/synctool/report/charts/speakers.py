"""The timeline of who speaks: a row for each face that speaks, and one for off-screen voices."""

from __future__ import annotations

from synctool.report.charts.description import Axis, Line, Look, Panel, Point
from synctool.report.detect_tables import several_speakers, speakers
from synctool.report.text import counted
from synctool.report.wording import speaker_name
from synctool.types import DetectResult

MOST_ROWS = 8
"""Of more speakers those who speak longest are drawn."""
_ROW_HEIGHT = 17.0


def speakers_panel(result: DetectResult) -> Panel | None:
    """The turns of a video along its time, None where one face speaks alone or nothing is known."""
    if not several_speakers(result):
        return None
    found = speakers(result)
    shown = sorted(found[:MOST_ROWS], key=lambda track: (track is None, track))
    height = float(len(shown))
    marks, ticks = [], []
    for row, track in enumerate(shown):
        y = height - row - 0.5
        points: list[Point | None] = []
        for turn in result.speakers or ():
            if turn.track == track:
                points += [(turn.start_s, y), (turn.end_s, y), None]
        marks.append(Line(tuple(points), Look("turn", None if track is None else row)))
        ticks.append((y, "off-screen" if track is None else speaker_name(track)))
    more = len(found) - len(shown)
    title = f"Who speaks (and {counted(more, 'other')} less)" if more else "Who speaks"
    return Panel(Axis(0.0, height, tuple(ticks)), tuple(marks), height * _ROW_HEIGHT, title)


def speakers_described(result: DetectResult) -> str:
    """The same in words, for those who do not see it; "" for nothing."""
    if not several_speakers(result):
        return ""
    spoken = {
        track: sum(t.end_s - t.start_s for t in result.speakers or () if t.track == track)
        for track in speakers(result)
    }
    return "; ".join(f"{speaker_name(track)} speaks {s:.1f} s" for track, s in spoken.items())
