"""Drift: an offset that grows along the video, as from a wrong sample rate.

One slope for the whole video, and an offset of its own for every part, are fitted to the scores themselves:
the sum of the scores along the lines is largest there (an M-estimator). Its interval comes from how much
the single blocks of the video disagree (White, "Maximum likelihood estimation of misspecified models",
Econometrica 1982; neighbours count as related after Newey and West, Econometrica 1987). A video cut
from parts with different offsets does not drift: where a step explains the scores better than a slope, the
parts are fitted apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import map_coordinates, spline_filter1d
from scipy.special import stdtrit  # scipy.stats takes half a second to import

from synctool.scoring.rows import blocks
from synctool.types import FRAME_MS, VIDEO_FPS

LEAST_S = 8.0
"""Seconds of confident video without which nothing is said about drift."""
_LONG_S = 24.0
_SHORT_BLOCK_S, _BLOCK_S = 1.0, 2.0
_MOST_BLOCKS = 400
_LEAST_OWN = 0.5
_SYSTEMATIC_MS = 2.0
_LAG = 3
"""So many neighbours of a block are related to it."""
_LEAST_ROWS = 7
_MOST_DRIFT_ROWS = 40
_FINE = 4
_LEAST_STEP_ROWS = 0.5
_LEAST_SIDE_BLOCKS = 3
_STEP_GAIN = 3.0
"""Log-likelihood by which a step must be better than a slope."""
_ROUNDS = 40
_FRAMES_PER_MIN = 60 * VIDEO_FPS
_ORDER = 5
_MARGIN = 4
"""Weights mirrored beyond the ends, which splines of this order reach."""


@dataclass(frozen=True)
class Drift:
    """Slope of the offset; > 0: the audio gets ever further ahead.

    Attributes:
        estimate: The slope that suits the scores best, in ms per minute.
        low: Lower end of its 95 % interval.
        high: Upper end.
        gain: Log-likelihood that the slope brings over constant offsets of the rivals.
    """

    estimate: float
    low: float
    high: float
    gain: float = 0.0

    @property
    def ms_per_min(self) -> float:
        """The slope, 0 where its interval does not exclude 0."""
        return 0.0 if self.low <= 0 <= self.high else self.estimate

    @property
    def rows_per_frame(self) -> float:
        """By how many offset bins the best one moves from frame to frame."""
        return self.estimate / FRAME_MS / _FRAMES_PER_MIN


@dataclass(frozen=True)
class _Blocks:
    """Scores of a video in blocks of some seconds.

    Attributes:
        curves: Sums of the scores, ``[K, R]``.
        minutes: Middle of each block, ``[K]``.
        part: Number of the part that each belongs to, ``[K]``.
    """

    curves: np.ndarray
    minutes: np.ndarray
    part: np.ndarray


def fit_drift(
    volume: np.ndarray,
    parts: Sequence[tuple[int, int]],
    rivals: Sequence[tuple[int, int]] | None = None,
) -> Drift | None:
    """Measure the common slope of the parts of a video, each of which may have an offset of its own.

    Args:
        volume: Scores ``[2K+1, T]``, NaN where there is none.
        parts: First frame of each part, and the frame after its last.
        rivals: Segments of constant offset that the slope is compared with; None for the parts.

    Returns:
        The drift, or None where the parts are too short or nothing stands out.
    """
    found = _blocks(volume, parts)
    if found is None:
        return None
    spline = _Spline(found.curves)
    line = _fitted(found, spline)
    while line is not None and (stepped := _stepped(found, spline, line)) is not None:
        found, line = stepped, _fitted(stepped, spline)
    if line is None or (drift := _with_interval(found, spline, line)) is None:
        return None
    return replace(drift, gain=_gain(found, spline, line, parts if rivals is None else rivals))


def straightened(volume: np.ndarray, rows_per_frame: float) -> np.ndarray:
    """A volume without its drift: every frame's scores are moved by whole bins, none in the middle.

    Args:
        volume: Scores ``[2K+1, T]``.
        rows_per_frame: The drift.

    Returns:
        Scores ``[2K+1, T]``, NaN where a bin comes from outside the searched range.
    """
    rows, frames = volume.shape
    out = np.full_like(volume, np.nan)
    for part in blocks(frames):
        at = np.arange(part.start, part.stop)
        moved = np.rint((at - (frames - 1) / 2) * rows_per_frame).astype(int)
        source = np.arange(rows)[:, None] + moved
        inside = (source >= 0) & (source < rows)
        out[:, part] = np.where(inside, volume[np.clip(source, 0, rows - 1), at], np.nan)
    return out


def _blocks(volume: np.ndarray, parts: Sequence[tuple[int, int]]) -> _Blocks | None:
    """The blocks of all parts; None where there are too few."""
    seconds = sum(stop - start for start, stop in parts) / VIDEO_FPS
    if seconds < LEAST_S or len(volume) < _LEAST_ROWS:
        return None
    size_s = max(_BLOCK_S if seconds >= _LONG_S else _SHORT_BLOCK_S, seconds / _MOST_BLOCKS)
    size = round(size_s * VIDEO_FPS)
    curves, minutes, numbers = [], [], []
    for number, (start, stop) in enumerate(parts):
        for first in range(start, stop, size):
            scores = volume[:, first : min(first + size, stop)]
            seen = np.isfinite(scores).all(
                axis=0
            )  # or bins would be compared over different frames
            if 2 * seen.sum() < size:
                continue
            curves.append(scores[:, seen].sum(axis=1, dtype=np.float64))
            minutes.append((first + np.flatnonzero(seen).mean()) / _FRAMES_PER_MIN)
            numbers.append(number)
    if len(curves) * size < LEAST_S * VIDEO_FPS:
        return None
    return _Blocks(np.array(curves), np.array(minutes), np.array(numbers))


@dataclass(frozen=True)
class _Line:
    """The best lines: a slope in bins per minute, each part's bin at time 0, and what they score."""

    slope: float
    starts: np.ndarray
    score: float

    def rows(self, found: _Blocks) -> np.ndarray:
        return self.starts[found.part] + self.slope * found.minutes


def _fitted(found: _Blocks, spline: _Spline) -> _Line | None:
    """Climb to the best lines from the best of a grid; None where the top is no top."""
    line = _coarse(found)
    design = _design(found)
    for _ in range(_ROUNDS):
        _, gradient, bend = spline.along(line.rows(found))
        weight = np.maximum(-bend, 0.1 * np.abs(bend).mean())
        try:
            step = np.linalg.solve((design.T * weight) @ design, design.T @ gradient)
        except np.linalg.LinAlgError:
            return None
        moved = np.abs(design @ step).max()
        step *= min(1.0, 0.5 / max(moved, 1e-12))
        line = _Line(line.slope + float(step[-1]), line.starts + step[:-1], 0.0)
        if moved < 1e-4:
            break
    values, _, bend = spline.along(line.rows(found))
    top = (design.T * -bend) @ design
    if not np.linalg.eigvalsh(top)[0] > 0:
        return None
    return _Line(line.slope, line.starts, float(values.sum()))


def _coarse(found: _Blocks) -> _Line:
    """The best of a grid of slopes; each part's bin is the best for the slope."""
    count, rows = found.curves.shape
    numbers = np.unique(found.part)
    middles = np.array([found.minutes[found.part == n].mean() for n in numbers])
    order = np.searchsorted(numbers, found.part)
    since = found.minutes - middles[order]
    longest = max(float(np.ptp(since)), 1e-9)
    # Half a bin between the ends of the longest part.
    most = min(rows, _MOST_DRIFT_ROWS)
    best: tuple[float, float, np.ndarray] | None = None
    for slope in np.arange(-2 * most, 2 * most + 1) / (2 * longest):
        source = np.arange(rows) + np.rint(slope * since).astype(int)[:, None]
        inside = (source >= 0) & (source < rows)
        moved = np.take_along_axis(found.curves, np.clip(source, 0, rows - 1), 1) * inside
        sums = np.stack([moved[order == i].sum(axis=0) for i in range(len(numbers))])
        score = float(sums.max(axis=1).sum())
        if best is None or score > best[0]:
            best = (score, float(slope), sums.argmax(axis=1).astype(float))
    assert best is not None and count
    _, slope, bins = best
    starts = np.zeros(int(numbers[-1]) + 1)
    starts[numbers] = bins - slope * middles
    return _Line(slope, starts, 0.0)


def _design(found: _Blocks) -> np.ndarray:
    """What the rows of the blocks depend on: the start of each part, and the slope, ``[K, P + 1]``."""
    starts = found.part[:, None] == np.arange(found.part.max() + 1)
    return np.column_stack([starts, found.minutes])


class _Spline:
    """Curves between their bins: quintic, or the best offset would be drawn to whole bins.

    Args:
        curves: ``[K, R]``.
    """

    def __init__(self, curves: np.ndarray) -> None:
        count, rows = curves.shape
        weights = spline_filter1d(curves, order=_ORDER, axis=1, mode="mirror")
        # One curve after another, so that a place in them is one number.
        self._weights = np.pad(weights, ((0, 0), (_MARGIN, _MARGIN)), mode="reflect").ravel()
        self._firsts = np.arange(count) * (rows + 2 * _MARGIN) + _MARGIN
        self._last = rows - 1

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """All curves at some rows, ``[K, rows]``."""
        return self._sum(self._firsts[:, None] + rows, _ORDER)

    def along(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value, slope and second derivative of every curve at its own place, ``[K]`` each."""
        at = self._firsts + np.clip(rows, 0, self._last)
        # The derivative of a B-spline is a difference of two of the next lower order.
        slope = self._sum(at + 0.5, _ORDER - 1) - self._sum(at - 0.5, _ORDER - 1)
        low, here, high = (self._sum(at + away, _ORDER - 2) for away in (-1, 0, 1))
        return self._sum(at, _ORDER), slope, low - 2 * here + high

    def _sum(self, at: np.ndarray, order: int) -> np.ndarray:
        """The B-splines of an order with the curves' weights, at some places."""
        return map_coordinates(self._weights, at[None], order=order, prefilter=False)


def _likelihood_of_scores(gradient: np.ndarray, bend: np.ndarray) -> float:
    """What the scores are multiplied with to be log-likelihoods; 0 where that is not known."""
    information, noise = -float(bend.sum()), float((gradient**2).sum())
    return information / noise if information > 0 and noise > 0 else 0.0


def _gain(found: _Blocks, spline: _Spline, line: _Line, rivals: Sequence[tuple[int, int]]) -> float:
    """Log-likelihood of the lines less that of constant offsets, one for each rival."""
    values, gradient, bend = spline.along(line.rows(found))
    middles = np.array([sum(rival) / 2 / _FRAMES_PER_MIN for rival in rivals])
    halves = np.array([(stop - start) / 2 / _FRAMES_PER_MIN for start, stop in rivals])
    away = np.abs(found.minutes[:, None] - middles) - halves
    nearest = away.argmin(axis=1)
    curves = spline(_fine_rows(found))
    level = sum(float(curves[nearest == i].sum(axis=0).max()) for i in range(len(rivals)))
    return _likelihood_of_scores(gradient, bend) * (float(values.sum()) - level)


def _fine_rows(found: _Blocks) -> np.ndarray:
    return np.arange(0, found.curves.shape[1] - 1 + 1e-9, 1 / _FINE)


def _stepped(found: _Blocks, spline: _Spline, line: _Line) -> _Blocks | None:
    """The blocks with one part cut in two, where a step explains it better than the slope does."""
    values, gradient, bend = spline.along(line.rows(found))
    scale = _likelihood_of_scores(gradient, bend)
    for number in np.unique(found.part):
        here = np.flatnonzero(found.part == number)
        if len(here) < 2 * _LEAST_SIDE_BLOCKS:
            continue
        curves = spline(_fine_rows(found))[here]
        before = np.cumsum(curves, axis=0)[_LEAST_SIDE_BLOCKS - 1 : -_LEAST_SIDE_BLOCKS]
        after = curves.sum(axis=0) - before
        gains = before.max(axis=1) + after.max(axis=1)
        border = int(gains.argmax())
        apart = abs(int(before[border].argmax()) - int(after[border].argmax())) / _FINE
        better = scale * (float(gains[border]) - float(values[here].sum()))
        if apart >= _LEAST_STEP_ROWS and better > _STEP_GAIN:
            part = found.part.copy()
            part[here[border + _LEAST_SIDE_BLOCKS :]] = found.part.max() + 1
            return _Blocks(found.curves, found.minutes, part)
    return None


def _with_interval(found: _Blocks, spline: _Spline, line: _Line) -> Drift | None:
    """The drift with its interval from the disagreement of the blocks."""
    design = _design(found)
    _, gradient, bend = spline.along(line.rows(found))
    try:
        inverse = np.linalg.inv((design.T * -bend) @ design)
    except (
        np.linalg.LinAlgError
    ):  # a part whose scores are flat where the line runs has no place of its own
        return None
    # What a block itself adds to the lines hides a part of its disagreement (MacKinnon & White 1985: HC3).
    own = np.maximum(-bend, 0) * np.einsum("ki,ij,kj->k", design, inverse, design)
    pulls = design * (gradient / np.maximum(1 - own, _LEAST_OWN))[:, None]
    spread = pulls.T @ pulls
    for lag in range(1, _LAG + 1):
        related = (found.part[lag:] == found.part[:-lag])[:, None]
        both = (pulls[lag:] * related).T @ pulls[:-lag]
        spread += (1 - lag / (_LAG + 1)) * (both + both.T)
    freedom = len(gradient) - design.shape[1]
    if freedom < 2:
        return None
    variance = float((inverse @ spread @ inverse)[-1, -1])
    # Neighbours are related: there are fewer independent blocks than blocks.
    half = float(stdtrit(max(freedom / (1 + _LAG), 2), 0.975)) * np.sqrt(variance)
    # Fractions of a frame are not read exactly: some milliseconds over the whole length.
    half = float(np.hypot(half, _SYSTEMATIC_MS / FRAME_MS / max(np.ptp(found.minutes), 1e-3)))
    estimate = line.slope * FRAME_MS
    return Drift(estimate, estimate - half * FRAME_MS, estimate + half * FRAME_MS)
