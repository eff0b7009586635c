"""Sets of offsets that hold the true one as often as promised: split conformal prediction on the score curve.

The mean scores of a segment become a probability for every offset on a grid of an eighth of a frame. A set
is the smallest region of the highest density whose mass reaches a threshold, so that it is narrow where one
offset stands out, wide where many fit, and in two pieces where two do. The threshold is the quantile of the
mass that the true offset needed on people who took no part in training (adaptive prediction sets: Romano,
Sesia & Candès, "Classification with valid and adaptive coverage", NeurIPS 2020; highest densities: Izbicki,
Shimizu & Stern, "CD-split and HPD-split", JMLR 2022). Segments of one person are not exchangeable, people
are: each counts for one, and the new one for one (hierarchical conformal prediction: Lee, Barber & Willett,
"Distribution-free inference with hierarchical data", 2023). So the promise holds for a new person drawn
like those of the calibration, however wrong the probabilities are: see docs/uncertainty.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from scipy.ndimage import convolve1d

from synctool.errors import WeightsError
from synctool.scoring.offset import OffsetEstimate
from synctool.types import DEFAULT_SET_COVERAGE, FRAME_MS, OffsetSet
from synctool.untrusted.documents import typed
from synctool.untrusted.origin import Origin

GRID_PER_FRAME = 8
"""Steps of the grid in a frame: 5 ms each."""
_AGAIN = "Calibrate the weights again: tools/calibrate_weights.py."
_LEAST_BLUR_FRAMES, _MOST_BLUR_FRAMES = 0.05, 4.0
_MOST_EXPONENT = 1.5
_LEAST_FLOOR = 1e-3
"""Few people leave more open than the likelihood of theirs says."""
_BLUR_REACH = 6.0
_LEAST_DENSITY = 1e-12
_LEAST_LEAD = 1e-3
_MOST_LOG_DENSITY = 700.0


@dataclass(frozen=True)
class Density:
    """How a score curve becomes a probability of every offset.

    Attributes:
        sharpness: Log-likelihood for a unit of the mean score, of one frame of a noise of one unit.
        growth: Exponent of the number of frames by which this grows.
        noise: Exponent of the standard error of the peak's lead over its rival by which it shrinks.
        blur_frames: Scale of the Laplace distribution round every offset, for what the scores do not know:
            the error of the truth's own reading is in it.
        floor: Probability that the score curve says nothing, 0..1.
    """

    sharpness: float
    growth: float
    noise: float
    blur_frames: float
    floor: float

    def probabilities(self, estimate: OffsetEstimate) -> np.ndarray:
        """Probability of every offset on the grid, ``[8 * 2K + 1]``, that sums to 1; 0 beyond the bins
        searched."""
        return self.of_curves(_Curves.of([estimate]))[0]

    def of_curves(self, curves: _Curves) -> np.ndarray:
        """The same for several, ``[N, G]``."""
        c = curves
        factor = self.sharpness * c.frames**self.growth * c.error**-self.noise
        density = np.exp(np.maximum(factor[:, None] * c.fine, -_MOST_LOG_DENSITY)) * c.inside
        scale = self.blur_frames * GRID_PER_FRAME
        reach = max(1, round(_BLUR_REACH * scale))
        kernel = np.exp(-np.abs(np.arange(-reach, reach + 1)) / scale)
        density = convolve1d(density, kernel, axis=1, mode="constant") * c.inside
        share = density / density.sum(axis=1, keepdims=True)
        level = c.inside / c.inside.sum(axis=1, keepdims=True)
        return (1 - self.floor) * share + self.floor * level


@dataclass(frozen=True)
class _Curves:
    """Score curves of one range on the grid.

    Attributes:
        fine: Scores below the peak ``[N, G]``, 0 or less.
        inside: Whether an offset lies in the bins searched, ``[N, G]``.
        frames: Valid frames ``[N]``.
        error: Standard error of the peak's lead over its rival, in units of the scores ``[N]``.
    """

    fine: np.ndarray
    inside: np.ndarray
    frames: np.ndarray
    error: np.ndarray

    @classmethod
    def of(cls, estimates: Sequence[OffsetEstimate]) -> _Curves:
        rows = len(estimates[0].curve)
        fine = np.zeros((len(estimates), (rows - 1) * GRID_PER_FRAME + 1))
        inside = np.zeros(fine.shape, bool)
        for n, estimate in enumerate(estimates):
            curve = estimate.curve.astype(float)
            searched = np.flatnonzero(np.isfinite(curve))
            first, last = int(searched[0]), int(searched[-1])
            part = slice(first * GRID_PER_FRAME, last * GRID_PER_FRAME + 1)
            values = np.interp(np.arange(first, last + 1), searched, curve[searched])
            own = _finer(len(values)) @ values
            fine[n, part], inside[n, part] = own - own.max(), True
        return cls(
            fine,
            inside,
            np.array([max(e.frames, 1) for e in estimates], float),
            np.array([max(e.margin, _LEAST_LEAD) / max(e.t_stat, _LEAST_LEAD) for e in estimates]),
        )


@dataclass(frozen=True)
class SetCalibration:
    """What turns score curves into sets of offsets.

    Attributes:
        density: From curve to probabilities.
        levels: Coverages for which there is a threshold, rising.
        thresholds: Mass of highest density that each needs, 0..1.
        people: How many the thresholds are from.
        coverage: The level that sets have; one between two takes the higher threshold.
    """

    density: Density
    levels: tuple[float, ...]
    thresholds: tuple[float, ...]
    people: int
    coverage: float = DEFAULT_SET_COVERAGE

    def offset_set(self, estimate: OffsetEstimate) -> OffsetSet:
        """The set of an estimate, in ms."""
        inside = masses(self.density.probabilities(estimate)) <= self.threshold
        inside[_cell(estimate.offset_frames, len(inside))] = True
        return OffsetSet(self.coverage, _spans_ms(inside))

    @property
    def threshold(self) -> float:
        """Mass that sets of this coverage have."""
        index = int(np.searchsorted(self.levels, self.coverage - 1e-9))
        return self.thresholds[index] if index < len(self.thresholds) else 1.0

    def at(self, coverage: float) -> SetCalibration:
        """The same for sets of another coverage, 0.5 to 0.99."""
        return replace(self, coverage=coverage)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the coverage is no fact of the weights."""
        data = asdict(self)
        del data["coverage"]
        return data

    @classmethod
    def from_dict(cls, data: object) -> SetCalibration:
        """Read what :meth:`to_dict` made.

        Raises:
            WeightsError: A figure is missing or not a usable number.
        """
        origin = Origin("the calibration of offset sets", _AGAIN, "holds no numbers", WeightsError)
        with origin.checked():
            made: SetCalibration = typed(dict(data) if isinstance(data, Mapping) else data, cls)
        d = made.density
        usable = (
            0 < d.sharpness < 1e6
            and 0 <= d.growth <= _MOST_EXPONENT
            and 0 <= d.noise <= _MOST_EXPONENT
            and 0 < d.blur_frames <= _MOST_BLUR_FRAMES
            and 0 <= d.floor <= 1
            and len(made.levels) == len(made.thresholds) > 0
            and list(made.levels) == sorted(made.levels)
            and all(0 <= x <= 1 for x in (*made.levels, *made.thresholds))
        )
        if not usable:
            raise WeightsError(
                "the calibration of offset sets holds numbers that cannot be used", remedy=_AGAIN
            )
        return made


def masses(probabilities: np.ndarray) -> np.ndarray:
    """For every offset, the mass of all that are at least as likely: ``[G]``, 0..1. The conformity score."""
    order = np.argsort(-probabilities, kind="stable")
    out = np.empty_like(probabilities)
    out[order] = np.cumsum(probabilities[order])
    return np.where(probabilities > 0, np.minimum(out, 1.0), np.inf)


def mass_of(density: Density, estimate: OffsetEstimate, truth_frames: float) -> float:
    """Mass that a set needs to hold the truth; infinite where the truth lies outside the bins searched."""
    probabilities = density.probabilities(estimate)
    reach = (len(probabilities) - 1) / 2 / GRID_PER_FRAME
    if not abs(truth_frames) <= reach:
        return np.inf
    return float(masses(probabilities)[_cell(truth_frames, len(probabilities))])


def fit_density(estimates: Sequence[OffsetEstimate], truths_frames: Sequence[float]) -> Density:
    """The density of the greatest likelihood on estimates whose truth is known.

    Raises:
        ValueError: There is none whose truth lies in the bins searched.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    known = [
        (e, t)
        for e, t in zip(estimates, truths_frames, strict=True)
        if abs(t) <= (len(e.curve) - 1) / 2
    ]
    if not known:
        raise ValueError("no estimate to learn from")
    curves = _Curves.of([e for e, _ in known])
    cells = [_cell(t, curves.fine.shape[1]) for _, t in known]

    def density(parameters: np.ndarray) -> Density:
        sharpness, growth, noise, blur, floor = parameters
        return Density(
            sharpness=float(np.exp(np.clip(sharpness, -10, 10))),
            growth=float(np.clip(growth, 0, _MOST_EXPONENT)),
            noise=float(np.clip(noise, 0, _MOST_EXPONENT)),
            blur_frames=float(np.clip(np.exp(blur), _LEAST_BLUR_FRAMES, _MOST_BLUR_FRAMES)),
            floor=max(float(expit(floor)), _LEAST_FLOOR),
        )

    def loss(parameters: np.ndarray) -> float:
        found = density(parameters).of_curves(curves)[np.arange(len(cells)), cells]
        return -float(np.log(np.maximum(found, _LEAST_DENSITY)).mean())

    found = minimize(
        loss,
        np.array([0.0, 0.3, 0.5, np.log(0.3), -3.0]),
        method="Nelder-Mead",
        options={"xatol": 0.02, "fatol": 2e-4, "maxiter": 400},
    )
    return density(found.x)


def mean_log_likelihood(
    density: Density, estimates: Sequence[OffsetEstimate], truths_frames: Sequence[float]
) -> float:
    """Mean of the logarithm of what a density says of the true offsets on the grid."""
    curves = _Curves.of(estimates)
    cells = [_cell(t, curves.fine.shape[1]) for t in truths_frames]
    found = density.of_curves(curves)[np.arange(len(cells)), cells]
    return float(np.log(np.maximum(found, _LEAST_DENSITY)).mean())


def fit_sets(
    density: Density,
    estimates: Sequence[OffsetEstimate],
    truths_frames: Sequence[float],
    people: Sequence[str],
) -> SetCalibration:
    """Thresholds for every coverage from 50 to 99 %.

    Args:
        density: Fitted on whatever; it decides how large sets are, not how often they hold the truth.
        estimates: Of segments of people who took no part in training, as ``detect`` would answer them.
        truths_frames: The true offsets.
        people: Who is seen in each.

    Raises:
        ValueError: There are no estimates.
    """
    scores = np.array([mass_of(density, e, t) for e, t in zip(estimates, truths_frames)])
    levels = tuple(round(0.01 * p, 2) for p in range(50, 100))
    thresholds = hierarchical_quantiles(scores, people, levels)
    return SetCalibration(density, levels, thresholds, len(set(people)))


def hierarchical_quantiles(
    scores: np.ndarray, people: Sequence[str], levels: Sequence[float]
) -> tuple[float, ...]:
    """Thresholds that a new segment of a new person stays below, at every level.

    Each of J people weighs ``1 / (J + 1)``, shared among their segments, and the new person likewise, at
    infinity (Lee, Barber & Willett 2023). A level that J people cannot promise gives 1: everything.

    Raises:
        ValueError: There are no scores.
    """
    if not len(scores):
        raise ValueError("no segments to calibrate on")
    names, index, counts = np.unique(np.asarray(people), return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum((1.0 / ((len(names) + 1) * counts[index]))[order])
    rows = np.searchsorted(reached, np.asarray(levels) - 1e-12)
    ranked = np.append(np.minimum(scores[order], 1.0), 1.0)
    return tuple(float(ranked[row]) for row in rows)


def moved(found: OffsetSet | None, frames: float) -> OffsetSet | None:
    """The same set for offsets that are larger by so many frames."""
    if found is None or not frames:
        return found
    by = frames * FRAME_MS
    return replace(found, spans_ms=tuple((low + by, high + by) for low, high in found.spans_ms))


def _cell(offset_frames: float, cells: int) -> int:
    """Place of an offset on the grid."""
    return min(max(round(offset_frames * GRID_PER_FRAME) + cells // 2, 0), cells - 1)


def _spans_ms(inside: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Runs of true cells, each with half a step on either side."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    step = FRAME_MS / GRID_PER_FRAME
    places = (edges - 0.5 - len(inside) // 2) * step
    return tuple((float(a), float(b)) for a, b in zip(places[::2], places[1::2]))


@cache
def _finer(rows: int) -> np.ndarray:
    """Interpolation of a curve by a natural cubic spline, ``[8 * (rows - 1) + 1, rows]``.

    Without ``scipy.interpolate``, whose import takes longer than a minute of video.
    """
    values, bends = np.eye(rows), np.zeros((rows, rows))  # bends: second derivatives of each value
    if rows > 2:
        inner = np.diff(values, 2, axis=0)
        system = 4 * np.eye(rows - 2) + np.eye(rows - 2, k=1) + np.eye(rows - 2, k=-1)
        bends[1:-1] = np.linalg.solve(system, 6 * inner)
    places = np.arange((rows - 1) * GRID_PER_FRAME + 1) / GRID_PER_FRAME
    left = np.minimum(places.astype(int), max(rows - 2, 0))
    right = np.minimum(left + 1, rows - 1)
    b = (places - left)[:, None]
    a = 1 - b
    curved = (a**3 - a) * bends[left] + (b**3 - b) * bends[right]
    return a * values[left] + b * values[right] + curved / 6
