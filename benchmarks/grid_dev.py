"""Accuracy on the GRID dev speakers (s4, s30), who are never trained on.

Whole clips: real films with the sound moved by a random -15..15 frames, through the whole of
``detect``, against the true offset (the move, corrected by GRID's own constant, which is the median
answer over the clips unmoved). Windows: the usual multi-way protocol, 31 candidate sounds, one frame
accepted, per clip, then over clips; with 95% intervals by bootstrap over clips. `isolated` windows see
nothing beyond themselves (the literature's protocol); `plain` and `head` ones are cut out of a clip
that was encoded whole, as `detect` does it.

    python benchmarks/grid_dev.py [--corpus FOLDER] [--json FILE]
"""

from __future__ import annotations

import csv
import json
import statistics
import tempfile
from pathlib import Path

import numpy as np

from films import arguments, shared
from synctool.data.films import FilmEntry
from synctool.data.samples import MOUTH_PX
from synctool.engine.clips import CropSettings, FilmClips
from synctool.engine.detect import Detector
from synctool.engine.footage import build_detector
from synctool.engine.models import LoadedModel, load_model
from synctool.evaluation.multiway import multiway
from synctool.media.film import Film
from synctool.media.remux import move_sound

LARGEST = 15
CONTEXTS = (5, 15)


def whole_clips(films: list[Path], model: LoadedModel) -> dict:
    """Answers for clips moved by a random number of frames."""
    rng = np.random.default_rng(11)
    # Two frames more than the moves, so that the constant cannot push an answer to the edge.
    measuring = Detector(model=model, max_offset=LARGEST + 3)
    still = [measuring.detect(f).offset_frames for f in films]
    constant = statistics.median(a for a in still if a is not None)
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for film in films:
            shift = int(rng.integers(-LARGEST, LARGEST + 1))
            moved = Path(work) / f"{film.stem}.mkv"
            move_sound(film, moved, by_ms=40 * shift)
            result = measuring.detect(moved)
            offset = result.offset_frames
            error = None if offset is None else offset - shift - constant
            rows.append(
                {"film": f"{film.parent.name}/{film.name}", "shift": shift, "offset": offset,
                 "error": error, "confidence": result.confidence, "reason": result.reason}
            )  # fmt: skip
            moved.unlink()
    errors = [abs(r["error"]) for r in rows if r["error"] is not None]
    return {
        "constant_frames": constant,
        "clips": len(rows),
        "answered": len(errors),
        "within_one_frame": sum(e <= 1.0 for e in errors),
        "median_error_ms": 40 * statistics.median(errors),
        "rows": rows,
    }


def windows(films: list[Path], model: LoadedModel, constant: float) -> dict[str, list[float]]:
    """Multi-way accuracy by context with its interval: ``[accuracy, low, high]``."""
    finder = build_detector("centerface")
    settings = CropSettings("mouth", MOUTH_PX, "gray", min_frames=20)
    samples = []
    for path in films:
        entry = FilmEntry(path.name, path.parent.name, "GRID", key=path.stem)
        with Film(path) as film:
            samples += FilmClips(film, entry, finder, settings)
    size = model.spec.video.size_px
    truth = constant + model.zero_frames
    per_clip: dict[str, list[float]] = {}
    for i, sample in enumerate(samples):
        pair = [sample, samples[(i + 1) % len(samples)]]
        figures = multiway(
            model.network,
            pair,
            size_px=size,
            true_offset=lambda _: truth,
            contexts=CONTEXTS,
            first=1,
            isolated=True,
        )
        for name, value in figures.items():
            per_clip.setdefault(name, []).append(value)
    rng = np.random.default_rng(0)
    out = {}
    for name, values in per_clip.items():
        means = [np.mean(rng.choice(values, len(values))) for _ in range(2000)]
        low, high = np.percentile(means, [2.5, 97.5])
        out[name] = [float(np.mean(values)), float(low), float(high)]
    return out


def main() -> None:
    """Run and print."""
    parser = arguments(__doc__)
    parser.add_argument("--corpus", type=Path, default=shared("corpus"))
    given = parser.parse_args()
    with (given.corpus / "manifest.csv").open(newline="") as file:
        films = [
            given.corpus / row["path"]
            for row in csv.DictReader(file)
            if row["source"] == "GRID" and row["split"] == "dev"
        ]
    model = load_model(given.backbone, weights=given.weights)
    clips = whole_clips(films, model)
    print(f"weights: {model.weights}\n")
    print(
        f"whole clips: {clips['within_one_frame']} of {clips['clips']} within a frame "
        f"({clips['answered']} answered), median error {clips['median_error_ms']:.0f} ms, "
        f"GRID's constant {clips['constant_frames']:+.2f} frames"
    )
    for row in clips["rows"]:
        if row["error"] is None or abs(row["error"]) > 1:
            print(f"  {row['film']} moved {row['shift']:+d}: {row['offset']} ({row['reason']})")
    table = windows(films, model, clips["constant_frames"])
    print("\nmulti-way, 31 candidates, one frame accepted:")
    for name, (mean, low, high) in table.items():
        print(f"  {name:12} {mean:.3f}  [{low:.3f}, {high:.3f}]")
    if given.json:
        given.json.write_text(json.dumps({"clips": clips, "windows": table}, indent=1))


if __name__ == "__main__":
    main()
