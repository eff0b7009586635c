"""The one offset to report for a video, and how sure that is: of all of it, or of the segments that carry it.

A face that waits half a minute and then talks for six seconds has an answer, though the mean over the whole
video hides it. A voice-over of two hours has none, though some segment of it looks fine. So there are two
ways to an answer, and the surer one is taken: the estimate over the whole video, which nobody selected; and
the segments that agree, whose confidence is lowered by what chance alone makes of so many (``chance``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from synctool.scoring.chance import AGREEING_FRAMES, chance_of_groups, probability_not_chance
from synctool.scoring.confidence import Calibration, Certainty
from synctool.scoring.offset import CORRELATION_FRAMES, OffsetEstimate, estimate_offset
from synctool.scoring.segments import SegmentEvidence, find_segments
from synctool.types import VIDEO_FPS, Segment

LEAST_CONFIDENCE = 0.25
"""Segments with less are no evidence."""
LEAST_CARRIED_S = 2.0
"""Less than this of a longer video carries no answer for it."""
NOTABLE_REPEATS = 0.2
"""Repetitions are counted once where they are at least this share of the video."""
_FINE = 0.5


@dataclass(frozen=True)
class OverallOffset:
    """The offset of a video.

    Attributes:
        offset_frames: Sub-frame offset; > 0: audio ahead.
        confidence: Probability in 0..1 that it is right within ±1 frame.
        at_edge: Whether it is the first or the last of the offset bins searched.
        frames: Frames of evidence behind it.
        contradictory: Whether segments that look fine one by one disagree.
        belongs: Probability in 0..1 that the audio belongs to the face at all.
        least_belongs: Least such probability that an answer needs.
        estimate: What it comes from; its own offset may differ a little where segments were averaged.
    """

    offset_frames: float
    confidence: float
    at_edge: bool
    frames: int
    contradictory: bool = False
    belongs: float = 1.0
    least_belongs: float = 0.0
    estimate: OffsetEstimate | None = None

    @property
    def strength(self) -> tuple[bool, float]:
        """For comparing: a match of the face's own audio before any other, then the surer one."""
        return self.belongs >= self.least_belongs, self.confidence


def judge_segments(
    volume: np.ndarray,
    evidence: Sequence[SegmentEvidence],
    whole: OffsetEstimate,
    calibration: Calibration,
    *,
    repeated: np.ndarray,
    contrast: float,
) -> tuple[tuple[Segment, ...], OverallOffset]:
    """Give each segment of a video its confidence, and the video its offset.

    Args:
        volume: Scores ``[2K+1, T]``, NaN where there is none.
        evidence: What ``find_segments`` found in it.
        whole: Estimate over the whole volume.
        calibration: Turns the statistics of a peak into a probability.
        repeated: Which frames repeat others, bool ``[T]``.
        contrast: How far a true peak stands out from the mean of all rows, in units of the scores.

    Returns:
        The segments that are some evidence, in the order of time, and the offset of the whole.
    """
    fresh = ~repeated if repeated.mean() >= NOTABLE_REPEATS else None
    sure = _certainty(whole, volume, slice(None), fresh, calibration)
    real = _not_chance(volume, evidence, fresh, contrast)
    alone = [
        _certainty(e.estimate, volume, slice(e.start, e.stop), fresh, calibration).confidence
        for e in evidence
    ]
    judged = [
        _judged(e, own * part, own, whole, sure.confidence, calibration)
        for e, own, part in zip(evidence, alone, real.tolist(), strict=True)
    ]
    overall = _overall(whole.offset_frames, whole, sure)
    carried = _carried(volume, evidence, judged, real, fresh, calibration)
    if carried is not None and carried.strength > overall.strength:
        overall = carried
    segments = tuple(s for s in judged if s.confidence >= LEAST_CONFIDENCE)
    return segments, replace(overall, contradictory=_contradict(evidence, alone))


@dataclass(frozen=True)
class TrackEvidence:
    """One face for as long as it was followed.

    Attributes:
        start: Its first frame.
        stop: The frame after its last.
        estimate: Its offset, from its own frames.
        certainty: How sure that is, as if there were no other face.
    """

    start: int
    stop: int
    estimate: OffsetEstimate
    certainty: Certainty


def with_tracks(
    segments: tuple[Segment, ...], overall: OverallOffset, tracks: Sequence[TrackEvidence]
) -> tuple[tuple[Segment, ...], OverallOffset]:
    """Let a face that is sure carry the answer where nothing else does.

    Nobody selected the frames of a track, but the surest of many tracks is selected: its odds are divided
    by their number (Bonferroni).

    Returns:
        The segments, with the track's own among them where it decides, and the offset of the video.
    """
    if len(tracks) < 2:
        return segments, overall
    best = max(tracks, key=lambda t: (t.certainty.is_match, t.certainty.confidence))
    offset, at_once = best.estimate.offset_frames, len(tracks)
    certainty = best.certainty.lowered(
        _of_many(best.certainty.confidence, at_once), _of_many(best.certainty.belongs, at_once)
    )
    found = replace(_overall(offset, best.estimate, certainty), contradictory=overall.contradictory)
    short = best.stop - best.start < LEAST_CARRIED_S * VIDEO_FPS
    weak = found.confidence < _FINE or found.strength <= overall.strength
    if short or weak or best.estimate.at_edge:
        return segments, overall
    start_s, end_s = best.start / VIDEO_FPS, best.stop / VIDEO_FPS
    others = [s for s in segments if s.end_s <= start_s or s.start_s >= end_s]
    shown = [*others, Segment(start_s, end_s, offset, found.confidence)]
    return tuple(sorted(shown, key=lambda s: s.start_s)), found


def _of_many(probability: float, count: int) -> float:
    """Probability of the best of so many (Bonferroni): its odds divided by their number."""
    return float(expit(logit(probability) - np.log(count)))


def _overall(offset_frames: float, estimate: OffsetEstimate, certainty: Certainty) -> OverallOffset:
    return OverallOffset(
        offset_frames,
        certainty.confidence,
        estimate.at_edge,
        estimate.frames,
        belongs=certainty.belongs,
        least_belongs=certainty.least_belongs,
        estimate=estimate,
    )


def _not_chance(
    volume: np.ndarray,
    evidence: Sequence[SegmentEvidence],
    fresh: np.ndarray | None,
    contrast: float,
) -> np.ndarray:
    """Probability of each segment that it is more than chance ``[N]``.

    Where the video repeats itself, that of the best segment of the same offset in what it shows once.
    """
    once = (
        evidence if fresh is None else find_segments(volume[:, fresh], contrast=contrast).segments
    )
    offsets = np.array([e.estimate.offset_frames for e in once])
    chance = chance_of_groups(offsets, [e.gain for e in once], rows=len(volume))
    real = probability_not_chance(chance)
    if fresh is None:
        return real
    own = np.array([e.estimate.offset_frames for e in evidence])
    agree = np.abs(own[:, None] - offsets) <= AGREEING_FRAMES
    return np.where(agree, real, 0.0).max(axis=1, initial=0.0)


def _judged(
    evidence: SegmentEvidence,
    corrected: float,
    alone: float,
    whole: OffsetEstimate,
    sure: float,
    calibration: Calibration,
) -> Segment:
    """One segment; the whole video speaks for the segments that agree with it."""
    offset = evidence.estimate.offset_frames
    agrees = abs(offset - whole.offset_frames) <= AGREEING_FRAMES
    confidence = max(corrected, min(alone, sure)) if agrees else corrected
    spans = calibration.offset_set(evidence.estimate) if confidence >= _FINE else None
    return Segment(evidence.start / VIDEO_FPS, evidence.stop / VIDEO_FPS, offset, confidence, spans)


def _carried(
    volume: np.ndarray,
    evidence: Sequence[SegmentEvidence],
    judged: Sequence[Segment],
    real: np.ndarray,
    fresh: np.ndarray | None,
    calibration: Calibration,
) -> OverallOffset | None:
    """The offset on which the weightiest segments agree, from all their frames together."""
    weights = np.array([(s.end_s - s.start_s) * s.confidence for s in judged])
    offsets = np.array([s.offset_frames for s in judged])
    if not weights.sum() > 0:
        return None
    agree = np.abs(offsets[:, None] - offsets) <= AGREEING_FRAMES
    group = np.flatnonzero(agree[int((agree @ weights).argmax())]).tolist()
    columns = np.zeros(volume.shape[1], bool)
    for i in group:
        columns[evidence[i].start : evidence[i].stop] = True
    estimate = estimate_offset(volume[:, columns])
    if estimate is None or columns.sum() < LEAST_CARRIED_S * VIDEO_FPS:
        return None
    together = _certainty(estimate, volume, columns, fresh, calibration)
    offset = float(np.average(offsets[group], weights=weights[group]))
    part = float(real[group].max())
    lowered = together.lowered(together.confidence * part, together.belongs * part)
    return _overall(offset, estimate, lowered)


def _contradict(evidence: Sequence[SegmentEvidence], alone: Sequence[float]) -> bool:
    """Whether segments that look fine one by one disagree."""
    pairs = zip(evidence, alone, strict=True)
    fine = [e.estimate.offset_frames for e, sure in pairs if sure >= _FINE]
    return len(fine) > 1 and max(fine) - min(fine) > AGREEING_FRAMES


def _certainty(
    estimate: OffsetEstimate,
    volume: np.ndarray,
    columns: slice | np.ndarray,
    fresh: np.ndarray | None,
    calibration: Calibration,
) -> Certainty:
    """How sure an estimate over some columns is; what they repeat counts once.

    Columns that are nothing but a repetition are as sure as what they repeat.
    """
    certainty = calibration.certainty(estimate)
    if fresh is None:
        return certainty
    here = np.zeros(len(fresh), bool)
    here[columns] = True
    once = estimate_offset(volume[:, here & fresh])
    if once is None or once.frames < CORRELATION_FRAMES:
        return certainty
    if abs(once.offset_frames - estimate.offset_frames) > AGREEING_FRAMES:
        return certainty.lowered(0.0, 0.0)
    fewer = calibration.certainty(once)
    return fewer.lowered(certainty.confidence, certainty.belongs)
