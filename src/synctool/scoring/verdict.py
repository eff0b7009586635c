"""Verdicts after ITU-R BT.1359-1 (1998), and the sentence that says what to do.

The recommendation puts the thresholds of detectability at about +45 ms (sound advanced) and -125 ms,
those of acceptability at about +90 ms and -185 ms. A value on a threshold is still inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synctool.types import FRAME_MS, VIDEO_FPS, DetectResult, Segment, Verdict

DETECTABLE_MS = (-125, 45)
"""Offsets outside are detectable; negative: audio behind, positive: audio ahead."""
UNACCEPTABLE_MS = (-185, 90)
"""Offsets outside are unacceptable."""
LEAST_CONFIDENCE = 0.5
"""With less, there is no verdict."""
LEAST_FRAMES = 15
"""Fewer frames of a talking face (0.6 s) carry no verdict."""
DIFFERENT_FRAMES = 1.0
"""Segments whose offsets differ by more are worth a remark."""
_SEVERITY: tuple[Verdict, ...] = ("in sync", "detectable", "unacceptable")


@dataclass(frozen=True)
class Decision:
    """A verdict, and for ``inconclusive`` the reason in a sentence without a full stop."""

    verdict: Verdict
    reason: str | None = None


def judge(offset_ms: float) -> Verdict:
    """Verdict on an offset that is known, in whole milliseconds as it is shown; > 0: audio ahead."""
    shown = round(offset_ms)
    if not UNACCEPTABLE_MS[0] <= shown <= UNACCEPTABLE_MS[1]:
        return "unacceptable"
    if not DETECTABLE_MS[0] <= shown <= DETECTABLE_MS[1]:
        return "detectable"
    return "in sync"


def decide(
    offset_frames: float | None,
    *,
    confidence: float,
    max_offset: int,
    frames: int,
    at_edge: bool = False,
    has_face: bool = True,
    has_sound: bool = True,
    segments: Sequence[Segment] = (),
    least_confidence: float = LEAST_CONFIDENCE,
) -> Decision:
    """Judge what was measured, or say why it carries no verdict.

    Args:
        offset_frames: Offset of the film, None when there is no estimate; > 0: audio ahead.
        confidence: Probability that it is right within ±1 frame.
        max_offset: Largest offset searched, in frames.
        frames: Frames of evidence behind the estimate.
        at_edge: Whether the best match is the first or last of those searched.
        has_face: Whether a face was found anywhere.
        has_sound: Whether the sound is anything but silence.
        segments: Segments of the film; the worst confident one decides, as a film is in sync only
            if all of it is.
        least_confidence: With less there is no verdict.
    """
    if not has_face:
        return Decision("inconclusive", "no face was found in the picture")
    if not has_sound:
        return Decision("inconclusive", "the sound is silent")
    if offset_frames is None or frames < LEAST_FRAMES:
        return Decision("inconclusive", _too_short(frames))
    if at_edge:
        reason = (
            "the best match lies at the edge of the searched range "
            f"(±{max_offset} frames): search wider with --max-offset"
        )
        return Decision("inconclusive", reason)
    if not confidence >= least_confidence:
        reason = (
            f"the evidence is weak: confidence {confidence:.2f}, "
            f"and at least {least_confidence:.2f} is needed"
        )
        return Decision("inconclusive", reason)
    sure = [s.offset_frames for s in segments if s.confidence >= least_confidence]
    verdicts = [judge(offset * FRAME_MS) for offset in (offset_frames, *sure)]
    return Decision(max(verdicts, key=_SEVERITY.index))


def in_words(offset_ms: float) -> str:
    """An offset without a sign: ``120 ms ahead``, ``40 ms behind``, ``0 ms``."""
    shown = round(offset_ms)
    if shown == 0:
        return "0 ms"
    return f"{abs(shown)} ms {'ahead' if shown > 0 else 'behind'}"


def sentence(result: DetectResult) -> str:
    """What was found, and what a person can do about it, in one line.

    For example ``audio is 120 ms ahead of the picture: detectable; delay the sound by 120 ms``.
    """
    if result.verdict == "inconclusive" or result.offset_ms is None:
        return f"inconclusive: {result.reason or 'the evidence does not carry an answer'}"
    return "; ".join([_finding(result), *_remarks(result)])


def differing_offsets(segments: Sequence[Segment]) -> bool:
    """Whether the segments of a film disagree by more than a frame."""
    offsets = [s.offset_frames for s in segments]
    return len(offsets) > 1 and max(offsets) - min(offsets) > DIFFERENT_FRAMES


def drift_matters(result: DetectResult) -> bool:
    """Whether drift moves the sound by a frame or more from the film's beginning to its end."""
    drift = result.drift_ms_per_min or 0.0
    return abs(drift) * result.source.duration_s / 60.0 >= FRAME_MS


def _too_short(frames: int) -> str:
    if frames < 1:
        return "no picture frame could be compared with the sound"
    seen, needed = frames / VIDEO_FPS, LEAST_FRAMES / VIDEO_FPS
    return f"too short: {seen:.2f} s of a talking face, and at least {needed:.2f} s are needed"


def _finding(result: DetectResult) -> str:
    offset_ms = result.offset_ms or 0
    where = _where(offset_ms)
    varies = differing_offsets(result.segments)
    if varies:
        where = _where_between([s.offset_frames * FRAME_MS for s in result.segments])
    if result.verdict == "in sync":
        if result.audio_is == "level" and not varies:
            exactly = f" ({in_words(offset_ms)})" if offset_ms else ""
            return f"in sync: audio and picture are level{exactly}"
        return f"in sync: {where}, which viewers hardly notice"
    if varies or drift_matters(result):
        return f"{where}: {result.verdict}"  # no one shift repairs it
    verb = "delay" if offset_ms > 0 else "advance"
    return f"{where}: {result.verdict}; {verb} the sound by {abs(offset_ms)} ms"


def _where(offset_ms: int) -> str:
    if offset_ms == 0:
        return "audio and picture are level"
    return f"audio is {in_words(offset_ms)}{' of' if offset_ms > 0 else ''} the picture"


def _where_between(offsets_ms: list[float]) -> str:
    low, high = sorted((min(offsets_ms), max(offsets_ms)), key=abs)
    return f"audio is between {in_words(low)} and {in_words(high)} of the picture".replace(
        "behind of", "behind"
    )


def _remarks(result: DetectResult) -> list[str]:
    if drift_matters(result):
        drift = result.drift_ms_per_min or 0.0
        direction = "ahead" if drift > 0 else "behind"
        return [
            f"it drifts {direction} by {abs(drift):.0f} ms per minute, "
            "which no constant shift repairs"
        ]
    if differing_offsets(result.segments):
        advice = "" if result.verdict == "in sync" else ": repair them one by one"
        return [f"{len(result.segments)} segments differ in offset{advice}"]
    return []
