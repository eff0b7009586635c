"""From the statistics of a peak to the probability that the offset is right within ±1 frame.

Two questions are kept apart. Does the audio belong to this face at all, or is it another's (dubbed, a
voice-over, a person out of view)? And if it does, is the offset right within a frame? Each is a logistic
regression on statistics of the peak, fitted on videos of people who took no part in training (Platt,
"Probabilistic outputs for support vector machines", 1999), with a temperature for later correction (Guo
et al., "On calibration of modern neural networks", ICML 2017). The confidence is the product.

A third is asked as well: does the peak stand out more than that of a face that does not move at all? There
all offsets score nearly alike, however long it is, and none is an answer.

How often audio belongs elsewhere is no property of the network, but of the videos. It is stated as a prior,
``FOREIGN_PRIOR``, instead of being whatever share the videos of the fit happened to have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit, logit

from synctool.errors import MissingError, WeightsError
from synctool.files import write_text
from synctool.scoring.offset import OffsetEstimate
from synctool.scoring.offset_sets import SetCalibration
from synctool.types import OffsetSet
from synctool.untrusted.documents import read_json, typed
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import MIB

_AGAIN = "Fetch or make it again."
_LARGEST, _COLDEST = 1e6, 1e-3
EDGE_CONFIDENCE = 0.3
"""Most that a peak at the edge of the searched range can have: the true one may lie beyond."""
MOST_FRAMES = 1500
"""A minute of evidence; more frames change nothing, as nothing longer is calibrated."""
FOREIGN_PRIOR = 0.05
"""Prior probability that the audio is not this face's: one video in twenty."""
STILL_PRIOR = 0.25
"""Prior probability that a face does not move while it is measured: listeners, photographs, frozen video."""
FALSE_MATCHES = 0.03
"""Share of segments with another's audio, of any length, that pass for matches: there lies the least
log-odds of belonging. One probability for all lengths would let many short ones pass and no long one."""
LEVEL_FROM_FRAMES = 75
"""From 3 s on the least log-odds stay as they are: a longer video needs no weaker match."""
_FEATURES = ("log1p_t_stat", "margin", "log_frames", "height")
_FRAMES = _FEATURES.index("log_frames")
_LATER = {"height", "belonging"}
_LEAST_HEIGHT = 1e-3
"""Parts that older calibrations lack: they do not count there."""


@dataclass(frozen=True)
class Belonging:
    """Coefficients of the log-odds that the audio belongs to the face, where either is as likely before.

    Attributes:
        intercept: Log-odds where all features are 0.
        log1p_t_stat: Weight of ``log(1 + max(t_stat, 0))``.
        margin: Weight of the margin.
        log_frames: Weight of the logarithm of the number of frames.
        height: Weight of the height of the peak.
        level: Weight of the mean score of the peak row.
        least: Least log-odds of a match: of another's audio, all but ``FALSE_MATCHES`` stay below.
        least_log_frames: What is added to that for each unit of the logarithm of the number of frames.
    """

    intercept: float
    log1p_t_stat: float
    margin: float
    log_frames: float
    height: float
    least: float = 0.0
    least_log_frames: float = 0.0
    level: float = 0.0

    def log_odds(self, features: np.ndarray) -> np.ndarray:
        """Log-odds ``[...]`` of features ``[..., 5]``, before any prior."""
        weights = [self.log1p_t_stat, self.margin, self.log_frames, self.height, self.level]
        return self.intercept + features @ np.array(weights)

    def least_log_odds(self, frames: np.ndarray | float) -> np.ndarray:
        """The least that counts as a match, for so many frames."""
        return self.least + self.least_log_frames * np.log(np.clip(frames, 1.0, LEVEL_FROM_FRAMES))


@dataclass(frozen=True)
class Distinctness:
    """Coefficients of the log-odds that a peak is not one of a still face, where either is as likely before.

    Attributes:
        intercept: Log-odds where the height is 1 and there is one frame.
        log_height: Weight of the logarithm of the height of the peak, in units of the model's scores.
        log_frames: Weight of the logarithm of the number of frames.
    """

    intercept: float
    log_height: float
    log_frames: float

    def log_odds(self, features: np.ndarray) -> np.ndarray:
        """Log-odds ``[...]`` of features ``[..., 5]``, before any prior."""
        height, frames = np.moveaxis(_of_heights(features), -1, 0)
        return self.intercept + self.log_height * height + self.log_frames * frames


@dataclass(frozen=True)
class Certainty:
    """How sure an estimate is.

    Attributes:
        confidence: Probability in 0..1 that the offset is right within ±1 frame.
        belongs: Probability in 0..1 that the audio belongs to the face at all.
        least_belongs: Least such probability that an answer needs.
    """

    confidence: float
    belongs: float = 1.0
    least_belongs: float = 0.0

    @property
    def is_match(self) -> bool:
        """Whether the audio counts as the face's own."""
        return self.belongs >= self.least_belongs

    def lowered(self, confidence: float, belongs: float) -> Certainty:
        """Not surer than these."""
        return Certainty(
            min(self.confidence, confidence), min(self.belongs, belongs), self.least_belongs
        )


@dataclass(frozen=True)
class Calibration:
    """Coefficients of the logistic regressions.

    Attributes:
        intercept: Log-odds that the offset is right, where all features are 0.
        log1p_t_stat: Weight of ``log(1 + max(t_stat, 0))``.
        margin: Weight of the margin, in units of the model's scores.
        log_frames: Weight of the logarithm of the number of frames (at most a minute).
        height: Weight of the height of the mean curve's peak above the mean of all offset bins, in units
            of the model's scores.
        temperature: All log-odds are divided by it; > 1 is more cautious.
        belonging: The same for the question whether the audio belongs to the face; None where that was not
            fitted apart, and the other coefficients answer both questions at once.
        distinct: The same for the question whether the peak is one of a still face; None where nobody asked.
        sets: What makes sets of offsets that hold the true one as often as promised; kept beside the
            coefficients, not among them. None where it was not calibrated.
    """

    intercept: float
    log1p_t_stat: float
    margin: float = 0.0
    log_frames: float = 0.0
    height: float = 0.0
    temperature: float = 1.0
    belonging: Belonging | None = None
    distinct: Distinctness | None = None
    sets: SetCalibration | None = None

    def confidence(self, estimate: OffsetEstimate) -> float:
        """Probability in 0..1 that the offset of ``estimate`` is right within ±1 frame."""
        return float(
            self.probability(
                estimate.t_stat,
                estimate.margin,
                estimate.frames,
                estimate.at_edge,
                estimate.height,
                estimate.level,
            )
        )

    def probability(
        self,
        t_stat: ArrayLike,
        margin: ArrayLike,
        frames: ArrayLike,
        at_edge: ArrayLike,
        height: ArrayLike = 0.0,
        level: ArrayLike = 0.0,
    ) -> np.ndarray:
        """The same for arrays of figures of one shape; NaN stays NaN."""
        features = _features(t_stat, margin, frames, height, level)
        probability = expit(self._log_odds(features)) * self._belongs(features)
        if self.distinct is not None:
            probability = probability * self._at_prior(
                self.distinct.log_odds(features), STILL_PRIOR
            )
        return np.where(at_edge, np.minimum(probability, EDGE_CONFIDENCE), probability)

    def certainty(self, estimate: OffsetEstimate) -> Certainty:
        """How sure ``estimate`` is; of a calibration that never asked, all audio belongs to the face."""
        confidence = self.confidence(estimate)
        if self.belonging is None:
            return Certainty(confidence)
        e = estimate
        features = _features(e.t_stat, e.margin, e.frames, e.height, e.level)
        least = self._at_prior(self.belonging.least_log_odds(estimate.frames))
        return Certainty(confidence, float(self._belongs(features)), float(least))

    def offset_set(self, estimate: OffsetEstimate) -> OffsetSet | None:
        """Where the true offset of an estimate that is an answer may lie; None where nobody calibrated it."""
        return None if self.sets is None else self.sets.offset_set(estimate)

    def covering(self, coverage: float) -> Calibration:
        """The same with sets of another coverage, 0.5 to 0.99."""
        return self if self.sets is None else replace(self, sets=self.sets.at(coverage))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, without ``sets``, which older versions refuse."""
        data = asdict(self)
        del data["sets"]
        return {k: v for k, v in data.items() if v is not None}

    @classmethod
    def from_dict(cls, data: object) -> Calibration:
        """Read what :meth:`to_dict` made.

        Raises:
            WeightsError: A figure is missing, unknown, or not a usable number.
        """
        if not isinstance(data, Mapping):
            raise WeightsError("the calibration is no table of numbers", remedy=_AGAIN)
        known = {"intercept", "temperature", "belonging", "distinct", *_FEATURES}
        wrong = sorted({"intercept", *_FEATURES} - _LATER - set(data)) or sorted(set(data) - known)
        if wrong:
            raise WeightsError(
                f"the calibration lacks or has in excess: {', '.join(wrong)}",
                remedy=_AGAIN,
            )
        origin = Origin("the calibration", _AGAIN, "holds no numbers", WeightsError)
        with origin.checked():
            made: Calibration = typed(dict(data), cls)
        parts = [made.belonging, made.distinct]
        numbers = [n for n in asdict(made).values() if isinstance(n, float)]
        numbers += [n for part in parts if part is not None for n in asdict(part).values()]
        if not all(abs(n) <= _LARGEST for n in numbers) or made.temperature < _COLDEST:
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
        return (self.intercept + features[..., :4] @ weights) / self.temperature

    def _belongs(self, features: np.ndarray) -> np.ndarray:
        if self.belonging is None:
            return np.ones(features.shape[:-1])
        return self._at_prior(self.belonging.log_odds(features))

    def _at_prior(self, log_odds: np.ndarray, prior: float = FOREIGN_PRIOR) -> np.ndarray:
        return expit(log_odds / self.temperature - logit(prior))


UNCALIBRATED = Calibration(intercept=-3.5, log1p_t_stat=3.2, log_frames=0.1)
"""For a model that nobody has calibrated: more cautious than a fit to peaks in plain noise, because
real scores err in less random ways. For two seconds of video, t = 0 gives 0.04, t = 2 gives 0.6 and
t = 5 gives 0.93. It ignores the margin, whose unit differs by model."""


def fit_calibration(
    estimates: Sequence[OffsetEstimate],
    correct: Sequence[bool],
    *,
    foreign: Sequence[bool] | None = None,
    still: Sequence[OffsetEstimate] = (),
    l2: float = 1.0,
) -> Calibration:
    """Fit the logistic regressions on estimates whose truth is known.

    Peaks at the edge take no part: their confidence is capped whatever the coefficients are. The
    weights of t, margin and height are kept from being negative, and Platt's softened targets keep the
    answer finite when all estimates are right.

    Args:
        estimates: Estimates of segments of many lengths, from videos that took no part in training.
        correct: Whether each is right within ±1 frame.
        foreign: Whether the audio of each is another's. Where some are and some are not, the two questions
            are fitted apart; how many of each there are does not count.
        still: Estimates of faces that do not move, with any audio.
        l2: Strength of the regularisation of the weights (of standardised features).

    Raises:
        ValueError: The sequences differ in length, or none is left.
    """
    features, targets = _learnable(estimates, correct)
    distinct = _distinctness(features[targets == 1], still, l2=l2)
    others = _learnable(estimates, foreign)[1] if foreign is not None else np.zeros(len(targets))
    if len(np.unique(others)) < 2:
        right = _regression(features[:, :4], targets, l2=l2)
        return Calibration(*right, belonging=None, distinct=distinct)
    right = _regression(features[others == 0, :4], targets[others == 0], l2=l2)
    shares = np.where(others == 0, (others == 0).mean(), (others == 1).mean())
    *slopes, level = _regression(features, 1 - others, weights=0.5 / shares, l2=l2)
    belonging = Belonging(*slopes, level=level)
    least = _quantile_line(features[others == 1][:, 2], belonging.log_odds(features[others == 1]))
    return Calibration(
        *right,
        belonging=replace(belonging, least=least[0], least_log_frames=least[1]),
        distinct=distinct,
    )


def _distinctness(
    right: np.ndarray, still: Sequence[OffsetEstimate], *, l2: float
) -> Distinctness | None:
    """From the features of right answers ``[N, 5]`` and still faces; None where either is missing."""
    if not len(right) or all(e.at_edge for e in still):
        return None
    unmoved, _ = _learnable(still, [False] * len(still))
    features = _of_heights(np.concatenate([right, unmoved]))
    targets = np.repeat([1.0, 0.0], [len(right), len(unmoved)])
    weights = 0.5 / np.where(targets == 1, targets.mean(), (1 - targets).mean())
    return Distinctness(*_regression(features, targets, l2=l2, weights=weights, frames=1))


def _quantile_line(log_frames: np.ndarray, log_odds: np.ndarray) -> tuple[float, float]:
    """Line over the log of the frames below which all but ``FALSE_MATCHES`` of the values lie.

    Quantile regression (Koenker & Bassett, "Regression quantiles", Econometrica 1978) as a linear
    programme: what exceeds the line costs ``1 - FALSE_MATCHES``, what stays below it ``FALSE_MATCHES``.
    """
    from scipy.optimize import linprog

    count = len(log_odds)
    costs = np.r_[np.zeros(2), np.full(count, 1 - FALSE_MATCHES), np.full(count, FALSE_MATCHES)]
    equal = np.hstack([np.ones((count, 1)), log_frames[:, None], np.eye(count), -np.eye(count)])
    bounds = [(None, None)] * 2 + [(0, None)] * (2 * count)
    found = linprog(costs, A_eq=equal, b_eq=log_odds, bounds=bounds, method="highs")
    return float(found.x[0]), float(found.x[1])


def _regression(
    features: np.ndarray,
    targets: np.ndarray,
    *,
    l2: float,
    weights: np.ndarray | float = 1.0,
    frames: int = _FRAMES,
) -> list[float]:
    """Intercept and the weights of the features ``[N, F]`` for targets of 0 and 1 ``[N]``.

    The feature number ``frames`` is the one that may count for more or less: of all others, more is never
    worse.
    """
    mean, std = features.mean(axis=0), features.std(axis=0)
    std[std < 1e-9] = 1.0
    scaled = (features - mean) / std
    right, wrong = targets.sum(), (1 - targets).sum()
    soft = np.where(targets > 0, (right + 1) / (right + 2), 1 / (wrong + 2))

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        log_odds = parameters[0] + scaled @ parameters[1:]
        each = soft * log_expit(log_odds) + (1 - soft) * log_expit(-log_odds)
        error = weights * (expit(log_odds) - soft)
        slope = np.concatenate([[error.sum()], scaled.T @ error + l2 * parameters[1:]])
        return -(weights * each).sum() + 0.5 * l2 * (parameters[1:] ** 2).sum(), slope

    count = features.shape[1]
    bounds = [(None, None), *((None, None) if i == frames else (0, None) for i in range(count))]
    from scipy.optimize import minimize  # slow to import, and measuring fits nothing

    found = minimize(loss, np.zeros(1 + count), jac=True, method="L-BFGS-B", bounds=bounds)
    slopes = found.x[1:] / std
    return [float(found.x[0] - slopes @ mean), *map(float, slopes)]


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
    t_stat: ArrayLike, margin: ArrayLike, frames: ArrayLike, height: ArrayLike, level: ArrayLike
) -> np.ndarray:
    """Features ``[..., 5]`` in the order of the coefficients."""
    columns = (
        np.log1p(np.maximum(t_stat, 0.0)),
        np.asarray(margin, dtype=float),
        np.log(np.clip(frames, 1.0, MOST_FRAMES)),
        np.asarray(height, dtype=float),
        np.asarray(level, dtype=float),
    )
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def _of_heights(features: np.ndarray) -> np.ndarray:
    """Logarithms of the height and of the frames ``[..., 2]``, of features ``[..., 5]``."""
    height = np.log(np.maximum(features[..., _FEATURES.index("height")], _LEAST_HEIGHT))
    return np.stack([height, features[..., _FRAMES]], axis=-1)


def _learnable(
    estimates: Sequence[OffsetEstimate], correct: Sequence[bool]
) -> tuple[np.ndarray, np.ndarray]:
    """Features ``[N, 5]`` and targets ``[N]`` of the estimates that are not at the edge."""
    if len(estimates) != len(correct):
        raise ValueError(f"{len(estimates)} estimates, but {len(correct)} truths")
    pairs = [(e, bool(c)) for e, c in zip(estimates, correct, strict=True) if not e.at_edge]
    if not pairs:
        raise ValueError("no estimate to learn from")
    figures = np.array(
        [(e.t_stat, e.margin, e.frames, e.height, e.level) for e, _ in pairs], dtype=float
    )
    return _features(*figures.T), np.array([c for _, c in pairs], dtype=float)
