"""Cutting a video into segments of one offset.

A Viterbi search over the rows of the volume and one more state, "no evidence", in steps of five
frames. A step of one row is cheap (drift), a jump dear, and so is coming and going. How much a score
counts is measured on the video itself: the height of its peaks against the spread of the other rows.
A talking person also pauses, so a step without evidence costs a row only little.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from synctool.scoring.offset import CORRELATION_FRAMES, OffsetEstimate, estimate_offset
from synctool.scoring.rows import BLOCK_COLUMNS, blocks
from synctool.types import VIDEO_FPS

STEP_FRAMES = round(CORRELATION_FRAMES)
"""Frames per step: about one independent observation."""
LEAST_SEGMENT_S = 1.0
"""Shorter segments are joined to a neighbour, or left out."""
JUMP_COST, COME_COST, GO_COST, SHIFT_COST = 12.0, 6.0, 6.0, 5.0
"""In natural log-odds: a jump between rows, from and to "no evidence", one row up or down."""
_TALKING = 0.4
_EMPTY_STEP = np.log(1 - _TALKING)
_MOST_CONTRAST = 3.0
_SPREAD_STEPS = 25
_BORDER_FRAMES = VIDEO_FPS
_MOST_PAUSE_FRAMES = 2 * VIDEO_FPS
"""Where the offset changes over a longer pause, it is not said when."""
_NO_EVIDENCE = -1
_SAME_RUN_ROWS = 1.5


@dataclass(frozen=True)
class SegmentEvidence:
    """A segment that the search found, and what speaks for it.

    Attributes:
        start: Its first frame.
        stop: The frame after its last.
        estimate: Its offset, from its own frames.
        gain: Natural log-odds of its path over "no evidence".
    """

    start: int
    stop: int
    estimate: OffsetEstimate
    gain: float


@dataclass(frozen=True)
class Segmentation:
    """A video cut into segments.

    Attributes:
        segments: In the order of time. What has no evidence belongs to none.
        score: Natural log-odds of the whole path over "no evidence", less what its changes cost.
    """

    segments: tuple[SegmentEvidence, ...] = ()
    score: float = 0.0


@dataclass(frozen=True)
class _Run:
    """Columns ``start`` to ``stop`` (not included) whose best row is about ``row``."""

    start: int
    stop: int
    row: float


def find_segments(volume: np.ndarray, *, contrast: float) -> Segmentation:
    """Cut a video into segments of nearly one offset, each measured on its own columns.

    Args:
        volume: Scores ``[2K+1, T]``, NaN where there is none.
        contrast: How far a true peak stands out from the mean of all rows, in units of the scores.
    """
    if not contrast > 0 or not volume.size:
        return Segmentation()
    log_odds, weights = _log_odds(_steps(volume), contrast)
    path, score = _best_path(log_odds)
    runs = [_trimmed(run, volume) for run in _runs(path, volume.shape[1])]
    runs = _with_exact_borders(
        _without_short([run for run in runs if run.stop > run.start]), volume, weights
    )
    measured = [(run, estimate_offset(volume[:, run.start : run.stop])) for run in runs]
    steps = np.arange(len(path))
    gains = np.where(path == _NO_EVIDENCE, 0.0, log_odds[np.maximum(path, 0), steps])
    segments = tuple(
        SegmentEvidence(run.start, run.stop, estimate, _gain(gains, run))
        for run, estimate in _joined([(r, e) for r, e in measured if e is not None], volume)
    )
    return Segmentation(segments, score)


def _gain(gains: np.ndarray, run: _Run) -> float:
    return float(gains[run.start // STEP_FRAMES : -(-run.stop // STEP_FRAMES)].sum())


def _steps(volume: np.ndarray) -> np.ndarray:
    """Means over five frames above the median of all rows, ``[R, ceil(T / 5)]`` float32."""
    parts = []
    for part in blocks(volume.shape[1], BLOCK_COLUMNS // STEP_FRAMES * STEP_FRAMES):
        values = volume[:, part]
        padding = -values.shape[1] % STEP_FRAMES
        values = np.pad(values, ((0, 0), (0, padding)), constant_values=np.nan)
        values = values.reshape(len(values), -1, STEP_FRAMES)
        valid = np.isfinite(values)
        counts = valid.sum(axis=2)
        sums = np.where(valid, values, np.float32(0)).sum(axis=2)
        means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
        parts.append(means - _median_of_rows(means))
    return np.concatenate(parts, axis=1)


def _median_of_rows(values: np.ndarray) -> np.ndarray:
    """Median of the valid values of every column ``[T]``, NaN where there is none.

    As ``numpy.nanmedian``, which takes many times longer.
    """
    counts = np.isfinite(values).sum(axis=0)
    ordered = np.sort(values, axis=0)  # NaN last
    column = np.arange(values.shape[1])
    low, high = np.maximum(counts - 1, 0) // 2, np.minimum(counts // 2, len(values) - 1)
    return 0.5 * (ordered[low, column] + ordered[high, column])


def _log_odds(steps: np.ndarray, contrast: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of "the offset is this row" against "no evidence", ``[R, N]`` float32; and by how much a
    score counts at each step, ``[N]``.

    A peak of known height in normal noise, present in a share of the steps of a talking face. The
    noise is the spread over the rows, here and in the video as a whole, whichever is larger.
    """
    spread = 1.4826 * _median_of_rows(np.abs(steps))
    seen = np.isfinite(spread)
    typical = np.median(spread[seen]) if seen.any() else 0.0
    near = uniform_filter1d(np.where(seen, spread, typical), _SPREAD_STEPS, mode="nearest")
    noise = np.maximum(np.maximum(near, typical), contrast / _MOST_CONTRAST)
    score = np.minimum(steps, 2 * contrast) * (contrast / noise**2) - 0.5 * (contrast / noise) ** 2
    missing = np.isnan(steps)
    odds = np.logaddexp(np.log(_TALKING) + np.where(missing, 0.0, score), _EMPTY_STEP)
    odds = np.where(missing, np.where(seen, 0.0, _EMPTY_STEP), odds)
    return odds.astype(np.float32), contrast / noise**2


def _best_path(log_odds: np.ndarray) -> tuple[np.ndarray, float]:
    """Viterbi: the best row of every step, ``[N]``, or -1 for "no evidence"; and what the path scores."""
    rows, steps = log_odds.shape
    order = np.ascontiguousarray(log_odds.T)
    came_from = np.empty((steps, rows), dtype=np.int16)
    ended_at = np.full(steps, _NO_EVIDENCE, dtype=np.int16)
    row = np.arange(rows, dtype=np.int16)
    score, silent = np.full(rows, -COME_COST), 0.0
    score += order[0]
    came_from[0] = _NO_EVIDENCE
    for step in range(1, steps):
        top = int(score.argmax())
        best, origin = score.copy(), row.copy()
        for direction in (1, -1):
            to = slice(1, None) if direction == 1 else slice(None, -1)
            of = slice(None, -1) if direction == 1 else slice(1, None)
            shifted = score[of] - SHIFT_COST
            better = shifted > best[to]
            best[to][better] = shifted[better]
            origin[to][better] = row[of][better]
        afar = max(score[top] - JUMP_COST, silent - COME_COST)
        better = afar > best
        best[better] = afar
        origin[better] = top if score[top] - JUMP_COST >= silent - COME_COST else _NO_EVIDENCE
        if score[top] - GO_COST > silent:
            silent, ended_at[step] = score[top] - GO_COST, top
        score = best + order[step]
        came_from[step] = origin
    best_score = max(float(score.max()), silent)
    return _traced_back(score, silent, came_from, ended_at), best_score


def _traced_back(
    score: np.ndarray, silent: float, came_from: np.ndarray, ended_at: np.ndarray
) -> np.ndarray:
    path = np.empty(len(came_from), dtype=np.int64)
    state = int(score.argmax()) if score.max() > silent else _NO_EVIDENCE
    for step in range(len(path) - 1, -1, -1):
        path[step] = state
        state = int(ended_at[step] if state == _NO_EVIDENCE else came_from[step, state])
    return path


def _runs(path: np.ndarray, frames: int) -> list[_Run]:
    """Maximal runs that stay near their own mean row, in columns."""
    runs: list[_Run] = []
    start, total = 0, 0.0
    for step in range(len(path) + 1):
        row = int(path[step]) if step < len(path) else _NO_EVIDENCE
        length = step - start
        if length and row != _NO_EVIDENCE and abs(row - total / length) < _SAME_RUN_ROWS:
            total += row
            continue
        if length:
            stop = min(step * STEP_FRAMES, frames)
            runs.append(_Run(start * STEP_FRAMES, stop, total / length))
        start, total = (step + 1, 0.0) if row == _NO_EVIDENCE else (step, float(row))
    return runs


def _trimmed(run: _Run, volume: np.ndarray) -> _Run:
    """Without the frames at its ends that have no score at all."""
    seen = np.flatnonzero(np.isfinite(volume[:, run.start : run.stop]).any(axis=0))
    if not len(seen):
        return replace(run, stop=run.start)
    return replace(run, start=run.start + int(seen[0]), stop=run.start + int(seen[-1]) + 1)


def _without_short(runs: list[_Run]) -> list[_Run]:
    """Join runs of less than a second to the touching neighbour of the nearest row, or drop them."""
    runs = list(runs)
    least = LEAST_SEGMENT_S * VIDEO_FPS
    while short := [i for i, run in enumerate(runs) if run.stop - run.start < least]:
        index = min(short, key=lambda i: runs[i].stop - runs[i].start)
        run = runs.pop(index)
        beside = [
            i
            for i in (index - 1, index)
            if 0 <= i < len(runs) and (runs[i].stop == run.start or runs[i].start == run.stop)
        ]
        if beside:
            i = min(beside, key=lambda i: abs(runs[i].row - run.row))
            start, stop = min(runs[i].start, run.start), max(runs[i].stop, run.stop)
            runs[i] = replace(runs[i], start=start, stop=stop)
    return runs


def _with_exact_borders(runs: list[_Run], volume: np.ndarray, weights: np.ndarray) -> list[_Run]:
    """Put the borders between runs where the better row changes: the mean of all places, by likelihood.

    A short pause between two runs belongs to both sides of the border in it; one without a face to neither.
    """
    runs = list(runs)
    for i in range(len(runs) - 1):
        before, after = runs[i], runs[i + 1]
        pause = volume[:, before.stop : after.start]
        if (
            round(before.row) == round(after.row)
            or pause.shape[1] > _MOST_PAUSE_FRAMES
            or not np.isfinite(pause).any(axis=0).all()
        ):
            continue
        start = max(before.start + 1, before.stop - _BORDER_FRAMES)
        stop = min(after.stop - 1, after.start + _BORDER_FRAMES)
        gain = volume[round(before.row), start:stop] - volume[round(after.row), start:stop]
        counts = weights[np.arange(start, stop) // STEP_FRAMES] / STEP_FRAMES
        likelihood = np.concatenate([[0.0], np.nancumsum(gain * counts)])
        share = np.exp(likelihood - likelihood.max())
        border = start + round(float(np.average(np.arange(len(share)), weights=share)))
        runs[i], runs[i + 1] = replace(before, stop=border), replace(after, start=border)
    return runs


def _joined(
    measured: list[tuple[_Run, OffsetEstimate]], volume: np.ndarray
) -> list[tuple[_Run, OffsetEstimate]]:
    """Join touching segments whose measured offsets are less than a frame apart."""
    joined: list[tuple[_Run, OffsetEstimate]] = []
    for run, estimate in measured:
        if joined:
            last, last_estimate = joined[-1]
            apart = abs(last_estimate.offset_frames - estimate.offset_frames)
            if last.stop == run.start and apart < 1.0:
                run = replace(run, start=last.start)
                estimate = estimate_offset(volume[:, run.start : run.stop]) or estimate
                joined.pop()
        joined.append((run, estimate))
    return joined
