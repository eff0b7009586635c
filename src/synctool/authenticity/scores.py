"""From figures to probabilities: two logistic regressions, each fitted many times on other people.

The *dub score* is the probability that the audio is not that of these lips, the *re-animation score* that
the lips are not those of this face; both where either is as likely before. The regressions are fitted on
people whom the network was not trained on (``tools/calibrate_authenticity.py``), once with all and many
times with people drawn anew (the cluster bootstrap): how far these fits differ is the interval of a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from scipy.special import expit

from synctool.authenticity.evidence import FEATURES, Evidence
from synctool.plain_data import from_plain
from synctool.untrusted.documents import parse_json

SCHEMA = "synctool.authenticity-scores/1"
LEVEL = 0.9
"""Share of the fits that lie inside an interval."""


@dataclass(frozen=True)
class Regression:
    """One logistic regression.

    Attributes:
        features: Names of the figures it looks at.
        mean: Of each figure; what is not known counts as this.
        std: Of each figure.
        weights: Intercept and weights of the standardised figures, of all people first, then of each draw.
    """

    features: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]

    def probabilities(self, evidence: Sequence[Evidence]) -> np.ndarray:
        """Of every fit for every figure set: float64 ``[fits, N]``."""
        columns = [FEATURES.index(name) for name in self.features]
        values = matrix(evidence)[:, columns]
        scaled = np.nan_to_num((values - np.array(self.mean)) / np.array(self.std))
        weights = np.array(self.weights)
        return expit(weights[:, :1] + weights[:, 1:] @ np.clip(scaled, -6, 6).T)


@dataclass(frozen=True)
class Scores:
    """The two regressions, and which model's score volumes they were fitted on.

    Attributes:
        backbone: Full name of the model.
        people: How many people they were fitted on.
        dub: Whether the audio is not that of these lips.
        reanimation: Whether the lips are not those of this face.
    """

    backbone: str
    people: int
    dub: Regression
    reanimation: Regression


def matrix(evidence: Sequence[Evidence]) -> np.ndarray:
    """The figures as numbers: float64 ``[N, len(FEATURES)]``, NaN for what is not known."""
    rows = [[getattr(one, name) for name in FEATURES] for one in evidence]
    return np.array(rows, float).reshape(-1, len(FEATURES))


def interval(values: np.ndarray) -> tuple[float, float]:
    """Lower and upper end of the middle ``LEVEL`` of values ``[N]``."""
    low, high = np.percentile(values, [50 - 50 * LEVEL, 50 + 50 * LEVEL])
    return float(low), float(high)


@lru_cache(maxsize=1)
def bundled_scores() -> Scores:
    """The regressions that come with this package."""
    text = (resources.files("synctool.authenticity") / "scores.json").read_text("utf-8")
    return from_plain(Scores, parse_json(text), schema=SCHEMA)
