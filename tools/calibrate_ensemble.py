"""Fit the weights and the calibration of an ensemble of bundled models, and store them with the package.

python tools/calibrate_ensemble.py fcn-cls graph-cls --processed processed/ --constants clips.json
    [--backgrounds FOLDER]

After every change of one of the models' weights: an ensemble is found by their checksums.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from synctool.data.augmentation.backgrounds import Backgrounds
from synctool.files import write_text
from synctool.measure.ensemble import KEPT, KeptEnsemble
from synctool.networks.load import load_model
from synctool.training.calibration import calibrate, known_volumes
from synctool.training.data import train_data
from synctool.training.ensemble_weights import fit_weights, weighted_examples
from synctool.types import DEFAULT_MAX_OFFSET
from synctool.untrusted.documents import read_json

_CACHE_MB = 2048


def main() -> None:
    """Calibrate one ensemble."""
    parser = argparse.ArgumentParser(description="Fit the calibration of an ensemble.")
    parser.add_argument("models", nargs="+", help="backbones, the one that gives its name first")
    parser.add_argument("--processed", type=Path, required=True, help="what preprocess made")
    parser.add_argument("--constants", type=Path, help="systematic offsets: the truth of each clip")
    parser.add_argument("--backgrounds", type=Path, help="recorded rooms, noises and music")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=KEPT)
    given = parser.parse_args()
    models = [load_model(name, device="cpu") for name in given.models]
    data = train_data(
        given.processed,
        split=None,
        constants=given.constants,
        source=None,
        pairs=None,
        max_offset=DEFAULT_MAX_OFFSET,
        cache_mb=_CACHE_MB,
    )
    segments = list(
        known_volumes(
            models,
            data.val,
            true_offset=data.constant,
            person=data.person,
            tolerance=data.tolerance,
            backgrounds=None if given.backgrounds is None else Backgrounds(given.backgrounds),
            seed=given.seed,
            still=True,
        )
    )
    weights = fit_weights(segments)
    report = calibrate(weighted_examples(segments, weights))
    sets = report.calibration.sets
    made = KeptEnsemble(
        tuple(model.weights for model in models),
        tuple(round(weight, 6) for weight in weights),
        replace(report.calibration, sets=None).to_dict(),
        None if sets is None else sets.to_dict(),
    )
    old = read_json(given.out) if given.out.is_file() else []
    others = [row for row in old if tuple(row["members"]) != made.members]
    write_text(given.out, json.dumps([*others, asdict(made)], indent=1) + "\n")
    shares = ", ".join(f"{m.spec.full_name} {w:.2f}" for m, w in zip(models, weights))
    print(f"{given.out}: {shares}; expected calibration error {report.error:.3f}")


if __name__ == "__main__":
    main()
