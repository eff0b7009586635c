"""From the statistics of a peak to the probability that the offset is right within ±1 frame.

A logistic regression on four figures, fitted on held-out films (Platt, "Probabilistic outputs for
support vector machines", 1999), with a temperature for later correction (Guo et al., "On
calibration of modern neural networks", ICML 2017).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import expit, log_expit

from synctool.errors import MissingError, WeightsError
from synctool.files import write_text
from synctool.scoring.offset import OffsetEstimate
from synctool.untrusted.documents import read_json, typed
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import MIB

_AGAIN = "Fetch or make it again."
_LARGEST, _COLDEST = 1e6, 1e-3
EDGE_CONFIDENCE = 0.3
"""Most that a peak at the edge of the searched range can have: the true one may lie beyond."""
MOST_FRAMES = 1500
"""A minute of evidence; more frames change nothing, as nothing longer is calibrated."""
_FEATURES = ("log1p_t_stat", "margin", "log_frames", "height")
_LATER = {"height"}
"""Figures that older calibrations lack: they do not count there."""


@dataclass(frozen=True)
class Calibration:
    """Coefficients of the logistic regression.

    Attributes:
        intercept: Log-odds where all features are 0.
        log1p_t_stat: Weight of ``log(1 + max(t_stat, 0))``.
        margin: Weight of the margin, in units of the model's scores.
        log_frames: Weight of the logarithm of the number of frames (at most a minute).
        height: Weight of the height of the mean curve's peak above the mean of all offset bins, in units
            of the model's scores.
        temperature: All log-odds are divided by it; > 1 is more cautious.
    """

    intercept: float
    log1p_t_stat: float
    margin: float = 0.0
    log_frames: float = 0.0
    height: float = 0.0
    temperature: float = 1.0

    def confidence(self, estimate: OffsetEstimate) -> float:
        """Probability in 0..1 that the offset of ``estimate`` is right within ±1 frame."""
        return float(
            self.probability(
                estimate.t_stat,
                estimate.margin,
                estimate.frames,
                estimate.at_edge,
                estimate.height,
            )
        )

    def probability(
        self,
        t_stat: np.ndarray,
        margin: np.ndarray,
        frames: np.ndarray,
        at_edge: np.ndarray,
        height: np.ndarray | float = 0.0,
    ) -> np.ndarray:
        """The same for arrays of figures of one shape; NaN stays NaN."""
        features = _features(t_stat, margin, frames, height)
        probability = expit(self._log_odds(features))
        return np.where(at_edge, np.minimum(probability, EDGE_CONFIDENCE), probability)

    def to_dict(self) -> dict[str, float]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: object) -> Calibration:
        """Read what :meth:`to_dict` made.

        Raises:
            WeightsError: A figure is missing, unknown, or not a usable number.
        """
        if not isinstance(data, Mapping):
            raise WeightsError("the calibration is no table of numbers", remedy=_AGAIN)
        known = {"intercept", "temperature", *_FEATURES}
        wrong = sorted({"intercept", *_FEATURES} - _LATER - set(data)) or sorted(set(data) - known)
        if wrong:
            raise WeightsError(
                f"the calibration lacks or has in excess: {', '.join(wrong)}",
                remedy=_AGAIN,
            )
        origin = Origin("the calibration", _AGAIN, "holds no numbers", WeightsError)
        with origin.checked():
            made: Calibration = typed(dict(data), cls)
        if (
            not all(abs(n) <= _LARGEST for n in asdict(made).values())
            or made.temperature < _COLDEST
        ):
            raise WeightsError("the calibration holds numbers that cannot be used", remedy=_AGAIN)
        return made

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read a JSON file.

        Raises:
            MissingError: There is no such file.
            WeightsError: The file is not a calibration.
        """
        try:
            data = read_json(Path(path), most=MIB)
        except FileNotFoundError as error:
            raise MissingError(f"there is no calibration {path}") from error
        except (OSError, MalformedError) as error:
            raise WeightsError(
                f"the calibration {path} cannot be read: {error}", remedy=_AGAIN
            ) from error
        if not isinstance(data, dict):
            raise WeightsError(f"the calibration {path} is not a JSON object", remedy=_AGAIN)
        return cls.from_dict(data)

    def save(self, path: str | Path) -> None:
        """Write a JSON file, atomically."""
        write_text(path, json.dumps(self.to_dict(), indent=2) + "\n")

    def _log_odds(self, features: np.ndarray) -> np.ndarray:
        weights = np.array([self.log1p_t_stat, self.margin, self.log_frames, self.height])
        return (self.intercept + features @ weights) / self.temperature


UNCALIBRATED = Calibration(intercept=-3.5, log1p_t_stat=3.2, log_frames=0.1)
"""For a model that nobody has calibrated: more cautious than a fit to peaks in plain noise, because
real scores err in less random ways. For two seconds of film, t = 0 gives 0.04, t = 2 gives 0.6 and
t = 5 gives 0.93. It ignores the margin, whose unit differs by model."""


def fit_calibration(
    estimates: Sequence[OffsetEstimate], correct: Sequence[bool], *, l2: float = 1.0
) -> Calibration:
    """Fit the logistic regression on estimates whose truth is known.

    Peaks at the edge take no part: their confidence is capped whatever the coefficients are. The
    weights of t, margin and height are kept from being negative, and Platt's softened targets keep the
    answer finite when all estimates are right.

    Args:
        estimates: Estimates of stretches of many lengths, from films that took no part in training.
        correct: Whether each is right within ±1 frame.
        l2: Strength of the regularisation of the weights (of standardised features).

    Raises:
        ValueError: The two sequences differ in length, or none is left.
    """
    features, targets = _learnable(estimates, correct)
    mean, std = features.mean(axis=0), features.std(axis=0)
    std[std < 1e-9] = 1.0
    scaled = (features - mean) / std
    right, wrong = targets.sum(), (1 - targets).sum()
    soft = np.where(targets > 0, (right + 1) / (right + 2), 1 / (wrong + 2))

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        log_odds = parameters[0] + scaled @ parameters[1:]
        value = -(soft * log_expit(log_odds) + (1 - soft) * log_expit(-log_odds)).sum()
        error = expit(log_odds) - soft
        slope = np.concatenate([[error.sum()], scaled.T @ error + l2 * parameters[1:]])
        return value + 0.5 * l2 * (parameters[1:] ** 2).sum(), slope

    bounds = [(None, None), (0, None), (0, None), (None, None), (0, None)]
    from scipy.optimize import minimize  # slow to import, and measuring fits nothing

    found = minimize(loss, np.zeros(5), jac=True, method="L-BFGS-B", bounds=bounds)
    weights = found.x[1:] / std
    return Calibration(float(found.x[0] - weights @ mean), *map(float, weights))


def fit_temperature(
    calibration: Calibration, estimates: Sequence[OffsetEstimate], correct: Sequence[bool]
) -> Calibration:
    """Correct a calibration for other material with its temperature alone.

    Raises:
        ValueError: The two sequences differ in length, or none is left.
    """
    features, targets = _learnable(estimates, correct)
    log_odds = replace(calibration, temperature=1.0)._log_odds(features)

    def loss(log_temperature: float) -> float:
        scaled = log_odds / math.exp(log_temperature)
        return -(targets * log_expit(scaled) + (1 - targets) * log_expit(-scaled)).sum()

    from scipy.optimize import minimize_scalar

    found = minimize_scalar(loss, bounds=(math.log(0.1), math.log(20.0)), method="bounded")
    return replace(calibration, temperature=math.exp(found.x))


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions of about one confidence: how many, how confident, how often right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability_table(
    confidences: Sequence[float], correct: Sequence[bool], bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Compare confidence with accuracy in bins of equal width; empty bins are left out.

    Raises:
        ValueError: The two sequences differ in length.
    """
    values, right = np.asarray(confidences, dtype=float), np.asarray(correct, dtype=float)
    if values.shape != right.shape:
        raise ValueError(f"{len(values)} confidences, but {len(right)} truths")
    index = np.minimum((values * bins).astype(int), bins - 1)
    return tuple(
        ReliabilityBin(
            i / bins,
            (i + 1) / bins,
            int(here.sum()),
            values[here].mean().item(),
            right[here].mean().item(),
        )
        for i in range(bins)
        if (here := index == i).any()
    )


def expected_calibration_error(
    confidences: Sequence[float], correct: Sequence[bool], bins: int = 10
) -> float:
    """Mean distance between confidence and accuracy over the bins, weighted by their counts.

    Raises:
        ValueError: The two sequences differ in length, or are empty.
    """
    table = reliability_table(confidences, correct, bins)
    if not table:
        raise ValueError("no predictions to compare")
    total = sum(row.count for row in table)
    return sum(row.count * abs(row.accuracy - row.confidence) for row in table) / total


def _features(
    t_stat: np.ndarray, margin: np.ndarray, frames: np.ndarray, height: np.ndarray | float
) -> np.ndarray:
    """Features ``[..., 4]`` in the order of the coefficients."""
    columns = (
        np.log1p(np.maximum(t_stat, 0.0)),
        np.asarray(margin, dtype=float),
        np.log(np.clip(frames, 1.0, MOST_FRAMES)),
        np.asarray(height, dtype=float),
    )
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def _learnable(
    estimates: Sequence[OffsetEstimate], correct: Sequence[bool]
) -> tuple[np.ndarray, np.ndarray]:
    """Features ``[N, 4]`` and targets ``[N]`` of the estimates that are not at the edge."""
    if len(estimates) != len(correct):
        raise ValueError(f"{len(estimates)} estimates, but {len(correct)} truths")
    pairs = [(e, bool(c)) for e, c in zip(estimates, correct, strict=True) if not e.at_edge]
    if not pairs:
        raise ValueError("no estimate to learn from")
    figures = np.array([(e.t_stat, e.margin, e.frames, e.height) for e, _ in pairs], dtype=float)
    return _features(*figures.T), np.array([c for _, c in pairs], dtype=float)
