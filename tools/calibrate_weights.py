"""Fit the calibration of weights anew, on the people that a split keeps out, and store it with them.

python tools/calibrate_weights.py WEIGHTS --processed processed/ --constants clips.json
    [--backgrounds FOLDER] --out NEW.safetensors

The tensors stay as they are. Half of the segments are degraded as poor recordings would be
(``synctool.training.conditions``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from synctool.data.augmentation.backgrounds import Backgrounds
from synctool.networks.load import load_model
from synctool.training.calibration import calibrate, known_segments
from synctool.training.checkpoint import metadata, save_weights
from synctool.training.data import train_data
from synctool.types import DEFAULT_MAX_OFFSET
from synctool.weights.files import load_weights

_CACHE_MB = 2048


def main() -> None:
    """Calibrate one file."""
    parser = argparse.ArgumentParser(description="Fit the calibration of weights anew.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--backbone", default="fcn-cls")
    parser.add_argument("--processed", type=Path, required=True, help="what preprocess made")
    parser.add_argument("--constants", type=Path, help="systematic offsets: the truth of each clip")
    parser.add_argument("--backgrounds", type=Path, help="recorded rooms, noises and music")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    loaded = load_weights(given.weights)
    model = load_model(given.backbone, weights=str(given.weights), device="cpu", runtime="torch")
    data = train_data(
        given.processed,
        split=None,
        constants=given.constants,
        source=None,
        pairs=None,
        max_offset=DEFAULT_MAX_OFFSET,
        cache_mb=_CACHE_MB,
    )
    zero = model.zero_frames
    examples = known_segments(
        model.network,
        data.val,
        spec=model.spec,
        true_offset=lambda sample: data.constant(sample) + zero,
        person=data.person,
        tolerance=data.tolerance,
        backgrounds=None if given.backgrounds is None else Backgrounds(given.backgrounds),
        seed=given.seed,
    )
    report = calibrate(examples)
    facts = {"calibration": report.calibration.to_dict(), "calibration_error": report.error}
    save_weights(given.out, loaded.state, metadata({**loaded.metadata, **facts}))
    print(
        f"{given.out}: {report.examples} segments of {report.people} people, "
        f"expected calibration error {report.error:.3f} over folds by person"
    )
    for row in report.table:
        print(f"  {row.low:.1f} to {row.high:.1f}: {row.count}, right {row.accuracy:.2f}")


if __name__ == "__main__":
    main()
