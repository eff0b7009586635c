"""What is marked in a video, before any format: its segments, in frames and words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synctool.media.locating import is_pipe
from synctool.names import printable
from synctool.report.markers.timecode import TimecodeClock
from synctool.scoring.verdict import LEAST_CONFIDENCE, ends_ms, in_words, judge, sentence
from synctool.types import FRAME_MS, DetectResult, Segment

Colour = Literal["Green", "Yellow", "Red", "Blue"]
"""Of in sync, detectable, unacceptable, not sure."""
_COLOURS: dict[str, Colour] = {"in sync": "Green", "detectable": "Yellow", "unacceptable": "Red"}


@dataclass(frozen=True)
class Marker:
    """One marker.

    Attributes:
        start_s: Begin, in seconds on the timeline of the video.
        end_s: End.
        frame: First frame, counted from the first frame of the video.
        frames: How many there are, at least 1.
        name: In a few words.
        note: What else is known.
        colour: By its verdict.
    """

    start_s: float
    end_s: float
    frame: int
    frames: int
    name: str
    note: str
    colour: Colour


@dataclass(frozen=True)
class MarkedVideo:
    """A video and its markers.

    Attributes:
        result: What was measured.
        clock: Its timecode.
        markers: In the order of time.
    """

    result: DetectResult
    clock: TimecodeClock
    markers: tuple[Marker, ...]

    @property
    def name(self) -> str:
        """Its name without folders, on one line."""
        return printable(Path(self.result.input).name) or "video"

    @property
    def file(self) -> Path | None:
        """Its file, None for a pipe."""
        path = self.result.input
        return None if is_pipe(path) else Path(path.removeprefix("file://")).absolute()

    @property
    def frames(self) -> int:
        """How many frames it has."""
        source = self.result.source
        return max(1, self.clock.frame(source.duration_s - source.video_start_s))


def marked(result: DetectResult, *, start_timecode: str | None = None) -> MarkedVideo:
    """The markers of a video: one for each segment; one for all of it where there is none.

    Args:
        result: What was measured.
        start_timecode: Timecode of the first frame; None for that of the file.

    Raises:
        UsageError: It is no timecode of the video's frame rate.
    """
    source = result.source
    start = source.timecode if start_timecode is None else start_timecode
    clock = TimecodeClock.of(source.video_fps, start)
    segments = result.segments or (Segment(0.0, source.duration_s, 0.0, 0.0),)
    return MarkedVideo(result, clock, tuple(_marker(s, result, clock) for s in segments))


def _marker(segment: Segment, result: DetectResult, clock: TimecodeClock) -> Marker:
    late_s = result.source.video_start_s
    first = clock.frame(segment.start_s - late_s)
    last = max(clock.frame(segment.end_s - late_s), first + 1)
    name, note, colour = _words(segment, result)
    return Marker(segment.start_s, segment.end_s, first, last - first, name, note, colour)


def _words(segment: Segment, result: DetectResult) -> tuple[str, str, Colour]:
    if not result.segments:
        said = printable(sentence(result))
        return said.partition(";")[0], said, _COLOURS.get(result.verdict, "Blue")
    start, end = ends_ms(segment, result.drift_ms_per_min)
    at = in_words(segment.offset_frames * FRAME_MS)
    name = (
        f"audio {at}"
        if round(start) == round(end)
        else f"audio {in_words(start)} to {in_words(end)}"
    )
    note = f"confidence {segment.confidence:.2f}"
    if segment.confidence < LEAST_CONFIDENCE:
        return f"{name}?", f"not sure; {note}", "Blue"
    worst = max(start, end, key=abs)
    verdict = judge(worst)
    if verdict == "in sync":
        return name, f"{verdict}; {note}", _COLOURS[verdict]
    verb = "delay" if segment.offset_frames > 0 else "advance"
    by = round(abs(segment.offset_frames) * FRAME_MS)
    drift = result.drift_ms_per_min or 0.0
    more = f", drifts by {drift:+.1f} ms/min" if round(start) != round(end) else ""
    return name, f"{verdict}; {verb} the audio by {by} ms{more}; {note}", _COLOURS[verdict]
