"""Fit the scores of ``synctool verify``, on people whom the default network was not trained on.

    python tools/calibrate_authenticity.py [--corpus DIR] [--cache FILE] [--out FILE]

Every clip is taken as it is and in all the ways of ``benchmarks/authentic_kinds.py``; the weights of a
regression do not depend on how many there are of each. ``benchmarks/authenticity.py`` says how good the
scores are on people left out of such a fit.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from authentic_kinds import DUBBED, REANIMATED, SILENT, Example, examples  # noqa: E402

from synctool.authenticity.evidence import FEATURES  # noqa: E402
from synctool.authenticity.scores import SCHEMA, Regression, Scores, matrix  # noqa: E402
from synctool.files import write_text  # noqa: E402
from videos import shared  # noqa: E402

OUT = ROOT / "src" / "synctool" / "authenticity" / "scores.json"
MATCH = ("own_audio", "clearness", "height", "level", "steady", "jitter")
"""What the dub score looks at."""
LIPS = ("lively", "unusual", "still", "together", "again")
"""What the re-animation score looks at: the mouth alone, so that lips that match the audio are seen, too."""
DRAWS = 60
_STRENGTH = 0.3


def fitted(found: Sequence[Example], *, backbone: str, draws: int = DRAWS, seed: int = 0) -> Scores:
    """Both regressions on examples."""
    matching = [e for e in found if e.label != REANIMATED]
    lips = [e for e in found if e.kind != SILENT]  # whose lips are a pause, to and fro
    return Scores(
        backbone,
        len({e.person for e in found}),
        _regression(matching, DUBBED, MATCH, draws, seed),
        _regression(lips, REANIMATED, LIPS, draws, seed),
    )


def _regression(
    found: Sequence[Example], label: str, features: Sequence[str], draws: int, seed: int
) -> Regression:
    values = matrix([e.evidence for e in found])[:, [FEATURES.index(name) for name in features]]
    mean, std = np.nanmean(values, 0), np.nanstd(values, 0)
    scaled = np.clip(np.nan_to_num((values - mean) / std), -6, 6)
    targets = np.array([e.label == label for e in found])
    kinds = np.array([e.kind for e in found])
    _, people = np.unique([e.person for e in found], return_inverse=True)
    rng = np.random.default_rng(seed)
    weights = [_weights(scaled, targets, kinds, np.ones(len(found)))]
    while len(weights) <= draws:
        drawn = np.bincount(
            rng.integers(0, people.max() + 1, people.max() + 1), minlength=people.max() + 1
        )
        weights.append(_weights(scaled, targets, kinds, drawn[people].astype(float)))
    return Regression(
        tuple(features), _rounded(mean), _rounded(std), tuple(_rounded(w) for w in weights)
    )


def _weights(
    scaled: np.ndarray, targets: np.ndarray, kinds: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Intercept and slopes; both answers count alike, and within an answer all kinds."""
    from sklearn.linear_model import LogisticRegression

    each = times.copy()
    for answer in (True, False):
        own = np.unique(kinds[targets == answer])
        for kind in own:
            here = (kinds == kind) & (targets == answer)
            each[here] *= 0.5 * len(times) / len(own) / max(each[here].sum(), 1e-9)
    model = LogisticRegression(C=_STRENGTH, max_iter=1000).fit(scaled, targets, sample_weight=each)
    return np.r_[model.intercept_, model.coef_[0]]


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(v), 4) for v in values)


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=shared("corpus"))
    parser.add_argument("--cache", type=Path, help="keep the examples here, or read them")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    found, backbone = examples(given.corpus, cache=given.cache)
    scores = fitted(found, backbone=backbone)
    data = {"schema": SCHEMA, **asdict(scores)}
    write_text(given.out, json.dumps(data, separators=(",", ":")) + "\n")
    print(f"{given.out}: {len(found)} examples of {scores.people} people")
    for name in ("dub", "reanimation"):
        regression = getattr(scores, name)
        print(name, dict(zip(("intercept", *regression.features), regression.weights[0])))


if __name__ == "__main__":
    main()
