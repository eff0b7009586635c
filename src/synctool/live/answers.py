"""What is said of a moment of a stream: the offset as it is now, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from synctool.features.voice_activity import SPEECH
from synctool.live.rolling import Window
from synctool.measure.analyze import Findings, analyze
from synctool.networks.loaded import LoadedModel
from synctool.scoring.offset import estimate_offset
from synctool.scoring.verdict import Circumstances, judge, sure_segments, without_speech
from synctool.types import (
    FRAME_MS,
    VIDEO_FPS,
    AudioIs,
    ReasonCode,
    Segment,
    Verdict,
    where_audio_is,
)

STALE_S = 3.0
"""An offset of which nothing has been seen for longer is none of now."""
CHANGED_FRAMES = 1.0
"""The last segment is measured by itself where its offset differs by more from that of the window."""
NEWEST_S = 3.0
"""Where the window carries no answer, so much of its end is measured by itself."""
_UNDECIDED = ("audio_from_elsewhere", "weak_evidence")
RECENT_S = 2.0
"""So much of the end of the window may contradict all that was before: the offset has changed."""
SURE_OF_CHANGE = 0.7
"""With less confidence it does not: ends that are wrong by chance are seldom so sure."""
LEAST_OWN_S = 1.2
"""Shorter segments at the end of the window do not speak against all that was before."""


@dataclass(frozen=True)
class Answer:
    """A moment of a stream.

    Attributes:
        offset_frames: The offset now, None where there is no answer; > 0: audio ahead.
        confidence: Probability in 0..1 that it is right within a frame.
        verdict: By ITU-R BT.1359-1; ``inconclusive`` where there is no answer.
        reason: Why there is none, in words; None where there is one.
        reason_code: The same by name.
        faces: How many faces are in view.
        speaker: Number of the face that speaks; None where none does or nobody can tell.
        speech: Whether there is speech in the last second.
        face_s: Seconds of the window with a face.
        speech_s: Seconds of the window with speech.
        changed: Whether the newest ``RECENT_S`` are of another offset than what was before.
    """

    offset_frames: float | None
    confidence: float
    verdict: Verdict
    reason: str | None = None
    reason_code: ReasonCode | None = None
    faces: int = 0
    speaker: int | None = None
    speech: bool = False
    face_s: float = 0.0
    speech_s: float = 0.0
    changed: bool = False

    @property
    def offset_ms(self) -> int | None:
        """The offset in whole milliseconds."""
        return None if self.offset_frames is None else round(self.offset_frames * FRAME_MS)

    @property
    def audio_is(self) -> AudioIs | None:
        """Whether the audio is ahead, behind or level; None where there is no answer."""
        return None if self.offset_frames is None else where_audio_is(self.offset_frames)


def answer(
    model: LoadedModel,
    window_of: Callable[[int], Window],
    start: int,
    *,
    max_offset: int,
    frames_late: float,
    look_further: bool,
) -> Answer:
    """Measure the last seconds of a stream, as ``detect`` measures a video of them.

    Where the offset has changed within them, what is new alone is measured once more: it must carry an
    answer of its own. That is the last segment, or before there is one, an end that is sure of its offset.

    Args:
        model: The model.
        window_of: Gives the window from a frame index to now.
        start: Frame index of the longest window.
        max_offset: K.
        frames_late: How much later than their frame indices the images belong on average, in frames.
        look_further: Whether to look for a match outside the searched range where there is none within.
    """

    def measured(window: Window, *, further: bool) -> Findings:
        return analyze(
            model,
            window.faces,
            window.audio,
            frames=window.frames,
            max_offset=max_offset,
            known=Circumstances(has_audio=not window.silent, steady=window.steady),
            speech=window.speech,
            look_further=further,
            frames_late=frames_late,
        )

    window = window_of(start)
    findings = measured(window, further=look_further)
    seen = _seen(window, findings)
    last = _last(findings)
    recent = _changed(model, window, findings, last, frames_late=frames_late)
    if recent is not None:
        own = window_of(window.stop - round(RECENT_S * VIDEO_FPS))
        alone = measured(own, further=False)
        new = _last(alone)
        if (
            new is not None
            and new.confidence >= SURE_OF_CHANGE
            and abs(new.offset_frames - recent) <= CHANGED_FRAMES
            and without_speech(_spoken(own, alone, new)) is None
        ):
            return _answered(replace(seen, changed=True), new)
    newest = window.stop - round(NEWEST_S * VIDEO_FPS)
    if last is None and findings.decision.code in _UNDECIDED and newest > start:
        # Half of it may be from before a change, and contradict the other half.
        own = window_of(newest)
        alone = measured(own, further=False)
        if _last(alone) is not None:
            window, findings, last = own, alone, _last(alone)
    if last is None:
        return _without_offset(window, findings, seen)
    silence = without_speech(_spoken(window, findings, last))
    if silence is not None:
        return replace(seen, reason=silence.reason, reason_code=silence.code)
    if _is_stale(last.end_s, window):
        return replace(seen, **_stale(last.end_s, window, seen))
    changed = (
        findings.offset_frames is not None
        and abs(last.offset_frames - findings.offset_frames) > CHANGED_FRAMES
    )
    if changed:
        own = window_of(window.start + round(last.start_s * VIDEO_FPS))
        findings = measured(own, further=False)
        if findings.decision.verdict == "inconclusive" or findings.offset_frames is None:
            return _none(findings, seen)  # what is new carries no answer yet
        last = _last(findings) or last
    return _answered(seen, last)


def _answered(seen: Answer, last: Segment) -> Answer:
    return replace(
        seen,
        offset_frames=last.offset_frames,
        confidence=last.confidence,
        verdict=judge(last.offset_frames * FRAME_MS),
    )


def _changed(
    model: LoadedModel,
    window: Window,
    findings: Findings,
    last: Segment | None,
    *,
    frames_late: float,
) -> float | None:
    """The offset of the newest frames where they are sure of another one than the window; else None."""
    frames = round(RECENT_S * VIDEO_FPS)
    if window.frames <= frames or not findings.video.volume.size:
        return None
    if last is None and findings.decision.code not in _UNDECIDED:
        return None
    estimate = estimate_offset(findings.video.volume[:, -frames:])
    if estimate is None or estimate.at_edge or window.silent or window.steady:
        return None
    certainty = model.calibration.certainty(estimate)
    if certainty.confidence < SURE_OF_CHANGE or not certainty.is_match:
        return None
    offset = estimate.offset_frames + frames_late
    same = last is not None and abs(offset - last.offset_frames) <= CHANGED_FRAMES
    return None if same else offset


def _without_offset(window: Window, findings: Findings, seen: Answer) -> Answer:
    """Why there is no offset: first of all because nobody speaks."""
    silence = without_speech(_spoken(window, findings, None))
    if silence is None or findings.decision.code in ("no_face", "too_short"):
        return _none(findings, seen)
    return replace(
        seen,
        confidence=findings.confidence,
        reason=silence.reason,
        reason_code=silence.code,
    )


def _spoken(window: Window, findings: Findings, last: Segment | None) -> Circumstances:
    """The speech behind an offset. A long video shows by its scores that nobody speaks; of a still face and a
    hum a few seconds may seem to agree."""
    heard = window.speech >= SPEECH
    visible = findings.video.chosen >= 0
    here = slice(None)
    if last is not None:
        here = slice(round(last.start_s * VIDEO_FPS), round(last.end_s * VIDEO_FPS))
    return Circumstances(
        steady=window.steady,
        speech_s=float((heard & visible)[here].sum()) / VIDEO_FPS,
        speech_elsewhere_s=float((heard & ~visible).sum()) / VIDEO_FPS,
    )


def _last(findings: Findings) -> Segment | None:
    """The last sure segment of a window that carries an answer; else the whole of it."""
    if findings.decision.verdict == "inconclusive" or findings.offset_frames is None:
        return None
    frames = len(findings.video.chosen)
    sure = sure_segments(findings.segments)
    long = [s for s in sure if s.end_s - s.start_s >= LEAST_OWN_S]
    if long:
        return long[-1]
    seen = np.flatnonzero(findings.video.chosen >= 0)
    stop = int(seen[-1]) + 1 if seen.size else frames
    return Segment(0.0, stop / VIDEO_FPS, findings.offset_frames, findings.confidence)


def _seen(window: Window, findings: Findings) -> Answer:
    """What is to be seen and heard, without an offset."""
    chosen, heard = findings.video.chosen, window.speech >= SPEECH
    now = window.frames - VIDEO_FPS
    faces = sum(face.end_frame > now for face in window.faces)
    speaker = None
    if findings.activity is not None:
        turns = [t for t in findings.activity.turns if t.stop > now and t.number is not None]
        speaker = turns[-1].number if turns else None
    return Answer(
        None,
        0.0,
        "inconclusive",
        faces=faces,
        speaker=speaker,
        speech=bool(heard[-VIDEO_FPS:].mean() >= 0.2) if heard.size else False,
        face_s=float((chosen >= 0).sum()) / VIDEO_FPS,
        speech_s=float(heard.sum()) / VIDEO_FPS,
    )


def _none(findings: Findings, seen: Answer) -> Answer:
    decision = findings.decision
    return replace(
        seen,
        confidence=findings.confidence,
        reason=decision.reason or "the offset is changing",
        reason_code=decision.code or "weak_evidence",
    )


def _is_stale(end_s: float, window: Window) -> bool:
    return window.frames / VIDEO_FPS - end_s > STALE_S


def _stale(end_s: float, window: Window, seen: Answer) -> dict[str, object]:
    """Why nothing is known of the last seconds."""
    begin = round(end_s * VIDEO_FPS)
    rest_s = window.frames / VIDEO_FPS - end_s
    heard = window.speech[begin:] >= SPEECH
    if not seen.faces:
        return {
            "reason": f"no face has been in view for {rest_s:.0f} s",
            "reason_code": "no_face",
        }
    if heard.mean() < 0.2:
        return {
            "reason": f"nobody has spoken for {rest_s:.0f} s",
            "reason_code": "no_speech",
        }
    return {
        "reason": f"no lips have matched the audio for {rest_s:.0f} s",
        "reason_code": "weak_evidence",
    }
