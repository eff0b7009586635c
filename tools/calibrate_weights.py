"""Fit the calibration of weights anew, on the people that a split keeps out, and store it with them.

python tools/calibrate_weights.py WEIGHTS --processed processed/ --constants clips.json
    [--backgrounds FOLDER] [--out NEW.safetensors] [--export FOLDER] [--sets-only]

The confidence and the sets of offsets (docs/uncertainty.md) are made. The tensors stay as they are. Half of
the segments are degraded as poor recordings would be (``synctool.training.conditions``). ``--export`` puts
the same figures into an exported copy of these weights, whose graphs stay as they are too; ``--sets-only``
keeps the confidence that the weights have, and makes the sets of offsets for it. The default weights:

python tools/calibrate_weights.py src/synctool/weights/bundled/NAME.safetensors --processed processed/
    --constants clips.json --backgrounds ../shared/corpus/background --sets-only
    --export src/synctool/weights/bundled/NAME.onnx
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from synctool.data.augmentation.backgrounds import Backgrounds
from synctool.networks.load import load_model
from synctool.training.calibration import calibrate, calibrate_sets, facts, known_segments
from synctool.training.checkpoint import metadata, save_weights
from synctool.training.data import train_data
from synctool.types import DEFAULT_MAX_OFFSET
from synctool.weights.artefact import read_artefact, write_manifest
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
    parser.add_argument("--sets-only", action="store_true", help="keep the confidence")
    parser.add_argument("--export", type=Path, help="exported copy that gets the figures, too")
    parser.add_argument("--out", type=Path, help="weights with the figures")
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
    if given.sets_only:
        sets = calibrate_sets(model.calibration, examples)
        report = replace(report, calibration=replace(model.calibration, sets=sets))
    found = facts(report)
    if given.sets_only:
        del found["calibration"], found["calibration_error"]
    if given.out is not None:
        save_weights(given.out, loaded.state, metadata({**loaded.metadata, **found}))
    if given.export is not None:
        known = {name: found[name] for name in ("calibration", "offset_sets") if name in found}
        write_manifest(replace(read_artefact(given.export), **known), given.export)
    print(
        f"{report.examples} segments of {report.people} people, "
        f"expected calibration error {report.error:.3f} over folds by person"
    )
    if (sets := report.calibration.sets) is not None:
        print(f"sets of offsets: thresholds of {sets.people} people, {sets.density}")
    for row in report.table:
        print(f"  {row.low:.1f} to {row.high:.1f}: {row.count}, right {row.accuracy:.2f}")


if __name__ == "__main__":
    main()
