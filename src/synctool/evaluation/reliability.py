"""Whether a confidence means what it says: of the answers given with 0.7, seven in ten must be right."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from synctool.evaluation.bootstrap import UNDEFINED, Interval, Units, interval_of_sums
from synctool.evaluation.model_names import model_names
from synctool.scoring.confidence import ReliabilityBin, reliability_table
from synctool.types import Trial

BINS = 10
ACCEPTED_FRAMES = 1.0
_ROUNDING = 1e-9


def reliability(trials: Iterable[Trial]) -> dict[str, tuple[ReliabilityBin, ...]]:
    """Confidence against the share of best matches within a frame of the truth, by model.

    Args:
        trials: Those with a best match and a known truth count, unless the video was degraded.

    Returns:
        Bins of equal width that are not empty, by name of the model; none where nothing is known.
    """
    found: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    for trial in trials:
        here = found.setdefault((trial.backbone, trial.weights), [])
        error = trial.error_frames if trial.error is None else None
        if error is not None and trial.confidence >= 0 and not trial.condition.perturbation:
            here.append((trial.confidence, abs(error) <= ACCEPTED_FRAMES + _ROUNDING))
    names = model_names(found)
    return {
        names[model]: reliability_table([c for c, _ in here], [r for _, r in here], BINS)
        for model, here in found.items()
    }


def calibration_error(confidence: np.ndarray, right: np.ndarray, units: Units) -> Interval:
    """Expected calibration error with its interval.

    Args:
        confidence: float ``[N]``, 0..1.
        right: bool ``[N]``.
        units: What is drawn together.
    """
    if not len(confidence):
        return UNDEFINED
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.zeros((len(confidence), BINS + 1))
    gaps[np.arange(len(confidence)), number] = right - confidence
    gaps[:, BINS] = 1

    def statistic(sums: np.ndarray) -> np.ndarray:
        return np.abs(sums[:, :BINS]).sum(axis=1) / sums[:, BINS]

    return interval_of_sums(statistic, gaps, units, share=True)
