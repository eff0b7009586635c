"""What is to be repaired: which offset from when on, and of which audio tracks.

A plan says what is wrong, in the words of a measurement; how it is repaired follows from it and from the
container.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from synctool.errors import InconclusiveError, UsageError
from synctool.scoring.verdict import sure_segments
from synctool.types import FRAME_MS, PLAYED, DetectResult, Segment, StreamSelection

LEAST_STEP_MS = FRAME_MS
"""Segments whose offsets differ by less are repaired as one."""
LEAST_DRIFT_MS = FRAME_MS / 2
"""Over the whole video, a smaller drift is not worth new audio."""
_LONGEST_MS = 3_600_000.0


@dataclass(frozen=True)
class OffsetSpan:
    """From when on which offset holds, on the timeline of the video.

    Attributes:
        start_s: Where it begins, in seconds from the start of the video.
        offset_ms: The offset there; > 0: audio ahead.
        drift_ms_per_min: How fast it grows.
    """

    start_s: float
    offset_ms: float
    drift_ms_per_min: float = 0.0

    def offset_s(self, time_s: float) -> float:
        """The offset at a time, in seconds."""
        grown = self.drift_ms_per_min * (time_s - self.start_s) / 60
        return (self.offset_ms + grown) / 1000


@dataclass(frozen=True)
class RepairPlan:
    """What is wrong with a video.

    Attributes:
        spans: Offsets in the order of time; the first holds from the start, whatever it says.
        audio_track: The audio track that is moved, counted from 0; None moves all.
        measured: The streams that the times count from.

    Raises:
        UsageError: There are no spans, they are out of order, or an offset is no number.
    """

    spans: tuple[OffsetSpan, ...]
    audio_track: int | None = None
    measured: StreamSelection = PLAYED

    def __post_init__(self) -> None:
        figures = [x for s in self.spans for x in (s.start_s, s.offset_ms, s.drift_ms_per_min)]
        if not self.spans or any(a.start_s >= b.start_s for a, b in pairwise(self.spans)):
            raise UsageError(
                "a repair needs offsets in the order of time", remedy="Give at least one span."
            )
        if not all(math.isfinite(x) and abs(x) <= _LONGEST_MS for x in figures):
            raise UsageError(
                "a repair of more than an hour, or by no number", remedy="Give milliseconds."
            )

    @classmethod
    def constant(cls, offset_ms: float, *, audio_track: int | None = None) -> RepairPlan:
        """One offset for the whole video; > 0: audio ahead."""
        return cls((OffsetSpan(0.0, float(offset_ms)),), audio_track)

    @property
    def offset_ms(self) -> float | None:
        """The one offset of the whole video; None where it changes."""
        first = self.spans[0]
        return first.offset_ms if len(self.spans) == 1 and not first.drift_ms_per_min else None

    def in_words(self) -> str:
        """What is wrong, for people."""
        first = self.spans[0]
        if len(self.spans) == 1:
            drift = first.drift_ms_per_min
            more = f", and gains {drift:+.1f} ms per minute" if drift else ""
            return f"audio {_amount(first.offset_ms)}{more}"
        return ", ".join(f"audio {_amount(s.offset_ms)} from {s.start_s:.2f} s" for s in self.spans)


def plan_repair(result: DetectResult, *, audio_track: int | None = None) -> RepairPlan:
    """The repair that a measurement asks for.

    A drift is repaired as one line through the whole video; segments that differ by a frame or more one
    by one, each until the middle of the gap before the next, and with the drift if there is one; all else by
    one offset.

    Args:
        result: What ``detect`` has found.
        audio_track: The audio track that is moved; None moves all.

    Raises:
        InconclusiveError: The measurement is inconclusive.
    """
    if result.verdict == "inconclusive" or result.offset_frames is None:
        raise InconclusiveError(
            f"{result.input}: the offset is not known: {result.reason or 'no confident offset'}",
            remedy="Give the offset by hand with --offset-ms.",
        )
    numbers = {t.kind: t.number for t in result.source.tracks if t.measured}
    measured = StreamSelection(numbers.get("video"), numbers.get("audio"))
    sure, drift = list(sure_segments(result.segments)), _drift(result)
    spans = (
        _line(sure, drift)
        or _steps(sure, drift)
        or (OffsetSpan(0.0, round(result.offset_frames * FRAME_MS, 3)),)
    )
    return RepairPlan(spans, audio_track, measured)


def _drift(result: DetectResult) -> float:
    """The drift that is worth new audio, in ms per minute; else 0."""
    drift, minutes = result.drift_ms_per_min or 0.0, result.source.duration_s / 60
    # Of a drift that is hardly told from none, half of that has to be sure.
    sure = min(map(abs, result.drift_interval_ms_per_min or (drift, drift)))
    enough = abs(drift) * minutes >= LEAST_DRIFT_MS and sure * minutes >= LEAST_DRIFT_MS / 2
    return drift if enough else 0.0


def _line(sure: Sequence[Segment], drift: float) -> tuple[OffsetSpan, ...]:
    """A drift as one span; empty where there is none, or the offset jumps besides."""
    if not drift or not sure:
        return ()
    per_s = drift / 60
    weights = [s.end_s - s.start_s for s in sure]
    heights = [s.offset_frames * FRAME_MS - per_s * (s.start_s + s.end_s) / 2 for s in sure]
    start_ms = sum(w * h for w, h in zip(weights, heights)) / sum(weights)
    if any(abs(h - start_ms) > LEAST_STEP_MS for h in heights):
        return ()
    return (OffsetSpan(0.0, round(start_ms, 3), drift),)


def _steps(sure: Sequence[Segment], drift: float) -> tuple[OffsetSpan, ...]:
    """Segments as spans of an offset each, and of one drift; empty where they do not differ."""
    spans: list[OffsetSpan] = []
    last: Segment | None = None
    for segment in sorted(sure, key=lambda s: s.start_s):
        middle_s, offset_ms = (
            (segment.start_s + segment.end_s) / 2,
            segment.offset_frames * FRAME_MS,
        )
        start_s = 0.0
        if last is not None:
            before_ms = 1000 * spans[-1].offset_s(middle_s)
            if abs(offset_ms - before_ms) < LEAST_STEP_MS:
                last = segment
                continue
            start_s = round(max((last.end_s + segment.start_s) / 2, spans[-1].start_s + 0.001), 3)
        start_ms = offset_ms - drift * (middle_s - start_s) / 60 if drift else offset_ms
        spans.append(OffsetSpan(start_s, round(start_ms, 3), drift))
        last = segment
    return tuple(spans) if len(spans) > 1 else ()


def _amount(offset_ms: float) -> str:
    if not offset_ms:
        return "level"
    return f"{abs(offset_ms):.0f} ms {'ahead' if offset_ms > 0 else 'behind'}"
