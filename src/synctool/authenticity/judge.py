"""From the evidence of a video's faces to verdicts, span by span and for the whole, with reasons in
sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synctool.authenticity.evidence import Evidence, FaceSeries, evidence_of
from synctool.authenticity.reasons import reasons_of, whole_reasons
from synctool.authenticity.scores import Scores, interval
from synctool.authenticity.signs import find_signs
from synctool.scoring.confidence import Calibration
from synctool.scoring.offset import estimate_offset
from synctool.scoring.verdict import judge
from synctool.types import (
    FRAME_MS,
    VIDEO_FPS,
    Authentic,
    Authenticity,
    AuthenticitySpan,
    ScoreInterval,
)

SPAN_S = 5.0
"""Faces are judged in spans of about this length: the scores were fitted on 2 to 6 s."""
LEAST_SPEECH_S = 1.0
"""A span with less speech tells nothing."""
SURE_DUB, SURE_NATURAL, SURE_REANIMATED = 0.7, 0.3, 0.8
"""From or up to these scores there is a verdict, if the whole interval lies on that side of a half."""
NOTABLE_SHARE, NOTABLE_S = 0.25, 2.5
"""A graver verdict is that of the video where it has so much of the speech that was judged."""
_DRAWS = 400
_GRAVEST: tuple[Authentic, ...] = ("reanimated", "dubbed", "offset")


@dataclass(frozen=True)
class Face:
    """One face of a video.

    Attributes:
        number: Its track number.
        series: What is known of it.
    """

    number: int
    series: FaceSeries


@dataclass(frozen=True)
class _Judged:
    span: AuthenticitySpan
    dub: np.ndarray
    reanimation: np.ndarray


def judge_video(
    faces: Sequence[Face],
    calibration: Calibration,
    scores: Scores,
    *,
    frames_late: float = 0.0,
    cannot_because: str | None = None,
) -> Authenticity:
    """Judge a video.

    Args:
        faces: Its faces.
        calibration: Of the model that made their score volumes.
        scores: Fitted on volumes of the same model.
        frames_late: Is added to offsets that are told, see ``EncodedVideo``.
        cannot_because: A reason, known beforehand, for which nothing can be told.
    """
    if cannot_because is not None:
        return Authenticity("cannot tell", None, None, (_sentence(cannot_because),))
    judged = [one for face in faces for one in _judged_face(face, calibration, scores, frames_late)]
    signs = [s for face in faces for s in find_signs(face.number, face.series, calibration)]
    spans = tuple(one.span for one in judged)
    verdict = _of_all(spans)
    told = [one for one in judged if one.span.dub is not None]
    return Authenticity(
        verdict,
        _pooled([one.dub for one in told], [one.span.speech_s for one in told]),
        _pooled([one.reanimation for one in told], [one.span.speech_s for one in told]),
        whole_reasons(verdict, spans),
        _merged(spans),
        tuple(sorted(signs, key=lambda s: (s.start_s, s.track))),
    )


def _judged_face(
    face: Face, calibration: Calibration, scores: Scores, frames_late: float
) -> list[_Judged]:
    frames = face.series.frames
    count = max(1, round(frames / (SPAN_S * VIDEO_FPS)))
    edges = np.linspace(0, frames, count + 1).astype(int)
    found = []
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist()):
        part = face.series.part(start, stop)
        evidence = evidence_of(part, calibration)
        found.append(_judged(face.number, part, evidence, scores, frames_late))
    return found


def _judged(
    number: int, part: FaceSeries, evidence: Evidence, scores: Scores, frames_late: float
) -> _Judged:
    start_s = part.first_frame / VIDEO_FPS
    end_s = start_s + part.frames / VIDEO_FPS
    if evidence.speech_s < LEAST_SPEECH_S or np.isnan(evidence.height):
        reason = (
            f"there is {evidence.speech_s:.1f} s of speech that may be this face's, and at least "
            f"{LEAST_SPEECH_S:.0f} s is needed"
        )
        span = AuthenticitySpan(
            number,
            start_s,
            end_s,
            "cannot tell",
            evidence.speech_s,
            None,
            None,
            (_sentence(reason),),
        )
        return _Judged(span, np.zeros(0), np.zeros(0))
    dub = scores.dub.probabilities([evidence])[:, 0]
    lips = scores.reanimation.probabilities([evidence])[:, 0]
    estimate = estimate_offset(part.volume)
    offset_ms = 0.0 if estimate is None else (estimate.offset_frames + frames_late) * FRAME_MS
    verdict = verdict_of(scored(dub), scored(lips), offset_ms)
    span = AuthenticitySpan(
        number, start_s, end_s, verdict, evidence.speech_s, scored(dub), scored(lips),
        reasons_of(
            verdict, evidence, offset_ms,
            odd_lips=float(lips[0]) >= SURE_REANIMATED and float(dub[0]) <= SURE_NATURAL,
        ),
    )  # fmt: skip
    return _Judged(span, dub, lips)


def verdict_of(dub: ScoreInterval, reanimation: ScoreInterval, offset_ms: float) -> Authentic:
    """The verdict that two scores and an offset give."""
    if reanimation.value >= SURE_REANIMATED and reanimation.low >= 0.5:
        # Lips that follow the audio as people's do are not accused for the way in which they move.
        return "reanimated" if dub.value > SURE_NATURAL else "cannot tell"
    if dub.value >= SURE_DUB and dub.low >= 0.5:
        return "dubbed"
    if dub.value <= SURE_NATURAL and dub.high <= 0.5:
        return "natural" if judge(offset_ms) == "in sync" else "offset"
    return "cannot tell"


def scored(fits: np.ndarray) -> ScoreInterval:
    """A score from the probabilities that every fit gives, that of all people first ``[fits]``."""
    low, high = interval(fits)
    value = float(fits[0])
    return ScoreInterval(value, min(low, value), max(high, value))


def _pooled(parts: Sequence[np.ndarray], weights: Sequence[float]) -> ScoreInterval | None:
    """Mean over spans by their speech; the interval draws both the fits and the spans anew."""
    if not parts:
        return None
    fits, weight = np.stack(parts, 1), np.array(weights)
    rng = np.random.default_rng(0)
    spans = rng.integers(0, len(parts), (_DRAWS, len(parts)))
    fit = rng.integers(0, len(fits), (_DRAWS, 1))
    means = (fits[fit, spans] * weight[spans]).sum(1) / weight[spans].sum(1)
    value = float((fits[0] * weight).sum() / weight.sum())
    low, high = interval(means)
    return ScoreInterval(value, min(low, value), max(high, value))


def _of_all(spans: Sequence[AuthenticitySpan]) -> Authentic:
    """The gravest verdict with a fair share of the speech that was judged, else that of most of it."""
    told = [s for s in spans if s.dub is not None]
    total = sum(s.speech_s for s in told)
    by_verdict: dict[Authentic, float] = {}
    for span in told:
        by_verdict[span.verdict] = by_verdict.get(span.verdict, 0.0) + span.speech_s
    for verdict in _GRAVEST:
        seconds = by_verdict.get(verdict, 0.0)
        if seconds >= NOTABLE_SHARE * total and seconds >= min(NOTABLE_S, total) > 0:
            return verdict
    return max(by_verdict, key=lambda v: by_verdict[v]) if by_verdict else "cannot tell"


def _merged(spans: Sequence[AuthenticitySpan]) -> tuple[AuthenticitySpan, ...]:
    """Touching spans of one face and one verdict as one: scores by speech, the reasons of the longest."""
    merged: list[list[AuthenticitySpan]] = []
    for span in sorted(spans, key=lambda s: (s.track, s.start_s)):
        last = merged[-1][-1] if merged else None
        if last is not None and (last.track, last.verdict) == (span.track, span.verdict):
            merged[-1].append(span)
        else:
            merged.append([span])
    together = [_together(group) for group in merged]
    return tuple(sorted(together, key=lambda s: (s.start_s, s.track)))


def _together(group: Sequence[AuthenticitySpan]) -> AuthenticitySpan:
    longest = max(group, key=lambda s: s.speech_s)
    return AuthenticitySpan(
        longest.track, group[0].start_s, group[-1].end_s, longest.verdict,
        sum(s.speech_s for s in group), _mean([s.dub for s in group], group),
        _mean([s.reanimation for s in group], group), longest.reasons,
    )  # fmt: skip


def _mean(
    found: Sequence[ScoreInterval | None], group: Sequence[AuthenticitySpan]
) -> ScoreInterval | None:
    known = [(s, g.speech_s) for s, g in zip(found, group) if s is not None]
    total = sum(weight for _, weight in known)
    if not total:
        return None
    value, low, high = (
        sum(getattr(s, name) * weight for s, weight in known) / total
        for name in ("value", "low", "high")
    )
    return ScoreInterval(value, low, high)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
