"""Verdicts after ITU-R BT.1359-1 (1998), and the sentence that says what to do.

The recommendation puts the thresholds of detectability at about +45 ms (audio advanced) and -125 ms,
those of acceptability at about +90 ms and -185 ms. A value on a threshold is still inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from synctool.types import FRAME_MS, VIDEO_FPS, DetectResult, ReasonCode, Segment, Verdict

DETECTABLE_MS = (-125, 45)
"""Offsets outside are detectable; negative: audio behind, positive: audio ahead."""
UNACCEPTABLE_MS = (-185, 90)
"""Offsets outside are unacceptable."""
LEAST_CONFIDENCE = 0.5
"""With less, there is no verdict."""
LEAST_FRAMES = 15
"""Fewer frames of a talking face (0.6 s) carry no verdict."""
LEAST_FACE_PX = 40.0
"""Lower faces show too little of a mouth."""
LEAST_EYES_APART = 0.5
"""Eyes nearer to each other, as a share of their distance to the mouth, are those of a head near its profile:
of 461 recordings of talk half have 1.01, nineteen of twenty more than 0.6, and the others turn aside."""
SMALL_COVERAGE = 0.75
"""Where the segments that carry the verdict cover less of the video, this is worth a remark."""
DIFFERENT_FRAMES = 1.0
"""Segments whose offsets differ by more are worth a remark."""
_SPARE_FRAMES = 10
_LONG_FRAMES = 75
_NO_MATCH = 0.25
_SEVERITY: tuple[Verdict, ...] = ("in sync", "detectable", "unacceptable")


@dataclass(frozen=True)
class Decision:
    """A verdict, and for ``inconclusive`` the reason: in a sentence without a full stop, and by name."""

    verdict: Verdict
    reason: str | None = None
    code: ReasonCode | None = None


def judge(offset_ms: float) -> Verdict:
    """Verdict on an offset that is known, in whole milliseconds as it is shown; > 0: audio ahead."""
    shown = round(offset_ms)
    if not UNACCEPTABLE_MS[0] <= shown <= UNACCEPTABLE_MS[1]:
        return "unacceptable"
    if not DETECTABLE_MS[0] <= shown <= DETECTABLE_MS[1]:
        return "detectable"
    return "in sync"


@dataclass(frozen=True)
class Circumstances:
    """What a video is like beside its scores: where there is no answer, this tells why.

    Attributes:
        has_face: Whether a face was found anywhere.
        other_videos: Numbers of video tracks that were not looked at.
        has_audio: Whether the audio is anything but silence.
        steady: Whether the audio is too steady for speech.
        speech_s: Seconds of speech while a face is visible, None where nobody listened for it.
        speech_elsewhere_s: Seconds of speech while none is.
        face_px: Height of the largest face in pixels, None where it is not known.
        eyes_apart: How far apart its eyes are, as a share of their distance to the mouth; of the face that
            is turned away least. None where it is not known.
        edge_confidence: Of a match at the edge of the searched range, the confidence that it would have
            anywhere else.
        far_offset_frames: A clear match outside the searched range, None where none is known.
        audio_starts_late_s: How much later than the video the audio starts, by the file's own times.
        contradictory: Whether segments that look fine one by one disagree.
        belongs: Probability in 0..1 that the audio belongs to the face at all.
        least_belongs: Least such probability that a verdict needs.
    """

    has_face: bool = True
    other_videos: tuple[int, ...] = ()
    has_audio: bool = True
    steady: bool = False
    speech_s: float | None = None
    speech_elsewhere_s: float = 0.0
    face_px: float | None = None
    eyes_apart: float | None = None
    edge_confidence: float = 0.0
    far_offset_frames: float | None = None
    audio_starts_late_s: float = 0.0
    contradictory: bool = False
    belongs: float = 1.0
    least_belongs: float = 0.0


def decide(
    offset_frames: float | None,
    *,
    confidence: float,
    max_offset: int,
    frames: int,
    at_edge: bool = False,
    circumstances: Circumstances = Circumstances(),
    segments: Sequence[Segment] = (),
    drift_ms_per_min: float = 0.0,
    least_confidence: float = LEAST_CONFIDENCE,
) -> Decision:
    """Judge what was measured, or say why it carries no verdict.

    Args:
        offset_frames: Offset of the video, None when there is no estimate; > 0: audio ahead.
        confidence: Probability that it is right within ±1 frame.
        max_offset: Largest offset searched, in frames.
        frames: Frames of evidence behind the estimate.
        at_edge: Whether the best match is the first or last of those searched.
        circumstances: What else is known.
        segments: Segments of the video; the worst confident one decides, as a video is in sync only
            if all of it is.
        drift_ms_per_min: How fast the offset grows within the segments; their ends count.
        least_confidence: With less there is no verdict.
    """
    if not circumstances.has_face:
        return _without(f"no face was found{_elsewhere_seen(circumstances)}", "no_face")
    if not circumstances.has_audio:
        return _without("the audio is silent", "no_speech")
    if offset_frames is None or frames < LEAST_FRAMES:
        return _without(_too_short(frames), "too_short")
    foreign = not circumstances.belongs >= circumstances.least_belongs
    if at_edge or foreign or not confidence >= least_confidence:
        strong_edge = at_edge and circumstances.edge_confidence >= least_confidence
        return (
            _beyond(circumstances, max_offset, strong_edge=strong_edge)
            or without_speech(circumstances)
            or _unreadable_face(circumstances)
            or _starts_beyond(circumstances, max_offset)
            or _from_elsewhere(circumstances, confidence, frames, least_confidence)
            or _weak(circumstances, confidence, frames, least_confidence)
        )
    sure = [s for s in segments if s.confidence >= least_confidence]
    offsets_ms = [offset_frames * FRAME_MS, *_extremes_ms(sure, drift_ms_per_min)]
    worst = max(_SEVERITY.index(judge(offset)) for offset in offsets_ms)
    return Decision(_SEVERITY[worst])


def _elsewhere_seen(circumstances: Circumstances) -> str:
    if not circumstances.other_videos:
        return ""
    return f" in this video track: try --video-track {' or '.join(map(str, circumstances.other_videos))}"


def wider_search(offset_frames: float) -> int:
    """A ``--max-offset`` that holds an offset with room to spare, in frames."""
    return 5 * math.ceil((abs(offset_frames) + _SPARE_FRAMES) / 5)


def _without(reason: str, code: ReasonCode) -> Decision:
    return Decision("inconclusive", reason, code)


def _beyond(circumstances: Circumstances, max_offset: int, *, strong_edge: bool) -> Decision | None:
    """A clear match where nothing was searched, and how far to search."""
    far = circumstances.far_offset_frames
    if far is not None:
        starts = _starts(circumstances, max_offset)
        also = f" ({starts} by the file's own times)" if starts else ""
        return _without(
            f"a match outside {_range(max_offset)} is clear, with the audio {in_words(far * FRAME_MS)}"
            f"{also}: search wider with --max-offset {wider_search(far)}",
            "out_of_range",
        )
    if strong_edge:
        return _without(
            f"the best match lies at the edge of {_range(max_offset)}: search wider with --max-offset "
            f"{wider_search(2 * max_offset)}",
            "out_of_range",
        )
    return None


def _starts_beyond(circumstances: Circumstances, max_offset: int) -> Decision | None:
    """No match, and times of the file that say where one may lie."""
    if not (starts := _starts(circumstances, max_offset)):
        return None
    needed = wider_search(circumstances.audio_starts_late_s * VIDEO_FPS)
    return _without(
        f"{starts} by the file's own times, which is more than {_range(max_offset)}: "
        f"search wider with --max-offset {needed}",
        "out_of_range",
    )


def _range(max_offset: int) -> str:
    return f"the searched range (±{max_offset} frames)"


def _starts(circumstances: Circumstances, max_offset: int) -> str:
    """By how much one stream starts later than the other, where that is more than was searched."""
    late_s = circumstances.audio_starts_late_s
    if abs(late_s) * VIDEO_FPS <= max_offset:
        return ""
    first, second = ("audio", "video") if late_s > 0 else ("video", "audio")
    return f"the {first} starts {abs(late_s):.2f} s later than the {second}"


def without_speech(circumstances: Circumstances) -> Decision | None:
    """Audio in which nobody speaks while a face can be seen; None where somebody does, or nobody listened."""
    if circumstances.steady:
        return _without(
            "no speech was found in the audio: its level is as steady as noise or music",
            "no_speech",
        )
    heard, least_s = circumstances.speech_s, LEAST_FRAMES / VIDEO_FPS
    if heard is None or heard >= least_s:
        return None
    other = circumstances.speech_elsewhere_s
    elsewhere = f"; there are {other:.1f} s of speech without a face" if other >= least_s else ""
    if heard == 0:
        return _without(f"nobody speaks while a face is visible{elsewhere}", "no_speech")
    return _without(
        f"there is {heard:.2f} s of speech while a face is visible, and at least {least_s:.2f} s are "
        f"needed{elsewhere}",
        "no_speech",
    )


def _unreadable_face(circumstances: Circumstances) -> Decision | None:
    """Faces that show too little of their lips."""
    height, apart = circumstances.face_px, circumstances.eyes_apart
    if height is not None and height < LEAST_FACE_PX:
        return _without(
            f"the face is too small: {height:.0f} px high, and about {LEAST_FACE_PX:.0f} are needed",
            "face_too_small",
        )
    if apart is not None and apart < LEAST_EYES_APART:
        return _without(
            "the face is turned aside: little of the lips can be seen", "face_turned_away"
        )
    return None


def _from_elsewhere(
    circumstances: Circumstances, confidence: float, frames: int, least_confidence: float
) -> Decision | None:
    """Audio that is likely not this face's own."""
    if circumstances.contradictory:
        return _without(
            "segments contradict each other, as chance matches do: "
            "the audio is perhaps from elsewhere (a voice-over, dubbing)",
            "audio_from_elsewhere",
        )
    if confidence >= least_confidence and circumstances.belongs < circumstances.least_belongs:
        return _without(
            "the audio may not be this face's own: probability "
            f"{circumstances.belongs:.2f} that it is, and at least {circumstances.least_belongs:.2f} is "
            "needed for so short a match",
            "audio_from_elsewhere",
        )
    heard = circumstances.speech_s
    if heard is None or min(heard * VIDEO_FPS, frames) < _LONG_FRAMES or not confidence < _NO_MATCH:
        return None
    return _without(
        f"there are {heard:.1f} s of speech while a face is visible, and no lips match it (confidence "
        f"{confidence:.2f}): the audio is perhaps from elsewhere (a voice-over, dubbing), or somebody out of "
        "view speaks",
        "audio_from_elsewhere",
    )


def _weak(
    circumstances: Circumstances, confidence: float, frames: int, least_confidence: float
) -> Decision:
    """Little that speaks for any offset, and where nobody listened for speech, the likely cause."""
    unknown = circumstances.speech_s is None and frames >= _LONG_FRAMES and confidence < _NO_MATCH
    perhaps = (
        "; the audio is perhaps from elsewhere (a voice-over, dubbing), or nobody in view speaks"
        if unknown
        else ""
    )
    return _without(
        f"the evidence is weak: confidence {confidence:.2f}, and at least {least_confidence:.2f} is "
        f"needed{perhaps}",
        "weak_evidence",
    )


def in_words(offset_ms: float) -> str:
    """An offset without a sign: ``120 ms ahead``, ``40 ms behind``, ``0 ms``."""
    shown = round(offset_ms)
    if shown == 0:
        return "0 ms"
    return f"{abs(shown)} ms {'ahead' if shown > 0 else 'behind'}"


def sentence(result: DetectResult) -> str:
    """What was found, and what a person can do about it, in one line.

    For example ``audio is 120 ms ahead of the video: detectable; delay the audio by 120 ms``.
    """
    if result.verdict == "inconclusive" or result.offset_ms is None:
        return f"inconclusive: {result.reason or 'the evidence does not carry an answer'}"
    return "; ".join([_finding(result), *_remarks(result)])


def sure_segments(segments: Sequence[Segment]) -> list[Segment]:
    """The segments that count for a verdict."""
    return [s for s in segments if s.confidence >= LEAST_CONFIDENCE]


def worst_ms(result: DetectResult) -> int:
    """Largest offset, either way, of a video and of those of its segments that count for its verdict."""
    offsets_ms = [*extremes_ms(result)]
    if result.offset_frames is not None:
        offsets_ms.append(result.offset_frames * FRAME_MS)
    return max((round(abs(ms)) for ms in offsets_ms), default=0)


def ends_ms(segment: Segment, drift_ms_per_min: float | None) -> tuple[float, float]:
    """The offset of a segment at its begin and at its end: its own is that of its middle."""
    middle = segment.offset_frames * FRAME_MS
    half = (drift_ms_per_min or 0.0) * (segment.end_s - segment.start_s) / 120
    return middle - half, middle + half


def extremes_ms(result: DetectResult) -> list[float]:
    """Offsets at the ends of the segments that count, in the order of time; without drift one of each."""
    return _extremes_ms(sure_segments(result.segments), result.drift_ms_per_min or 0.0)


def _extremes_ms(segments: Sequence[Segment], drift_ms_per_min: float) -> list[float]:
    if not drift_ms_per_min:
        return [s.offset_frames * FRAME_MS for s in segments]
    return [ms for s in segments for ms in ends_ms(s, drift_ms_per_min)]


def differing_offsets(segments: Sequence[Segment]) -> bool:
    """Whether the sure segments of a video disagree by more than a frame."""
    offsets = [s.offset_frames for s in sure_segments(segments)]
    return len(offsets) > 1 and max(offsets) - min(offsets) > DIFFERENT_FRAMES


def drift_matters(result: DetectResult) -> bool:
    """Whether drift moves the audio by a frame or more from the video's beginning to its end."""
    drift = result.drift_ms_per_min or 0.0
    return abs(drift) * result.source.duration_s / 60.0 >= FRAME_MS


def _too_short(frames: int) -> str:
    seen, needed = frames / VIDEO_FPS, LEAST_FRAMES / VIDEO_FPS
    if frames < 1:
        return (
            "too short: no frame could be compared with the audio, and at least "
            f"{needed:.2f} s of a talking face are needed"
        )
    return f"too short: {seen:.2f} s of a talking face, and at least {needed:.2f} s are needed"


def _finding(result: DetectResult) -> str:
    offset_ms = result.offset_ms or 0
    where = _where(offset_ms)
    offsets_ms = extremes_ms(result)
    drifts = drift_matters(result) and max(offsets_ms, default=0) - min(offsets_ms, default=0)
    varies = differing_offsets(result.segments) or drifts >= FRAME_MS
    if varies:
        where = _where_between(offsets_ms)
    if result.verdict == "in sync":
        if result.audio_is == "level" and not varies:
            exactly = f" ({in_words(offset_ms)})" if offset_ms else ""
            return f"in sync: audio and video are level{exactly}"
        return f"in sync: {where}, which viewers hardly notice"
    if varies or drift_matters(result):
        return f"{where}: {result.verdict}"  # no one shift repairs it
    verb = "delay" if offset_ms > 0 else "advance"
    return f"{where}: {result.verdict}; {verb} the audio by {abs(offset_ms)} ms"


def _where(offset_ms: int) -> str:
    if offset_ms == 0:
        return "audio and video are level"
    return f"audio is {in_words(offset_ms)}{' of' if offset_ms > 0 else ''} the video"


def _where_between(offsets_ms: list[float]) -> str:
    low, high = sorted((min(offsets_ms), max(offsets_ms)), key=abs)
    return f"audio is between {in_words(low)} and {in_words(high)} of the video".replace(
        "behind of", "behind"
    )


def _remarks(result: DetectResult) -> list[str]:
    remarks = []
    if drift_matters(result):
        drift = result.drift_ms_per_min or 0.0
        direction = "ahead" if drift > 0 else "behind"
        remarks.append(
            f"it drifts {direction} by {abs(drift):.0f} ms per minute{_interval(result)}, "
            "which no constant shift repairs"
        )
    elif differing_offsets(result.segments):
        advice = "" if result.verdict == "in sync" else ": repair them one by one"
        count = len(sure_segments(result.segments))
        remarks.append(f"{count} segments differ in offset{advice}")
    if 0 < result.verdict_coverage < SMALL_COVERAGE:
        remarks.append(_carried_by(result))
    return remarks


def _interval(result: DetectResult) -> str:
    """The interval of the drift, in brackets."""
    if result.drift_interval_ms_per_min is None:
        return ""
    low, high = sorted(map(abs, result.drift_interval_ms_per_min))
    return f" ({low:.0f} to {high:.0f})"


def _carried_by(result: DetectResult) -> str:
    """How much of the video the verdict rests on, and which part that is."""
    share = f"the verdict rests on {_percent(result.verdict_coverage)} of the video"
    sure = sure_segments(result.segments)
    if len(sure) == 1:
        return f"{share} ({sure[0].start_s:.1f} to {sure[0].end_s:.1f} s)"
    return f"{share} ({len(sure)} segments)" if sure else share


def _percent(share: float) -> str:
    return f"{max(100 * share, 1):.0f} %"
