"""Whether the network minds how strongly stored crops are compressed.

The clips of the held-out GRID speakers, processed by ``synctool preprocess``, are compressed again at several
JPEG qualities; shown are bytes a frame and multi-way accuracy (31 candidates, within a frame of GRID's zero).

    python benchmarks/crop_quality.py PROCESSED [--qualities 95 90 85 75] [--json FILE]
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2

from synctool.data.processed import Processed
from synctool.data.samples import Sample
from synctool.networks.load import load_model
from synctool.training.multiway import multiway
from videos import arguments

HELD_OUT = ("s4", "s30")
SHOWN = ("plain_5", "head_5", "head_15")


def compressed(sample: Sample, quality: int) -> tuple[Sample, int]:
    """The sample after compression, and its bytes."""
    strip = sample.crops.reshape(-1, sample.crops.shape[-1])
    data = cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    crops = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).reshape(sample.crops.shape)
    return replace(sample, crops=crops), len(data)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("processed", type=Path)
    parser.add_argument("--qualities", type=int, nargs="+", default=[95, 90, 85, 75])
    given = parser.parse_args()
    folder = Processed(given.processed)
    wanted = {info.key for _, info in folder.infos() if info.speaker in HELD_OUT}
    samples = list(folder.samples(wanted))
    frames = sum(s.info.num_frames for s in samples)
    model = load_model(given.backbone, weights=given.weights, runtime="torch")
    rows = []
    for quality in given.qualities:
        made = [compressed(s, quality) for s in samples]
        figures = multiway(
            model.network,
            [s for s, _ in made],
            spec=model.spec,
            true_offset=lambda _: 0.0,
        )
        row = {"quality": quality, "bytes_per_frame": sum(n for _, n in made) / frames}
        rows.append(row | {name: figures[name] for name in SHOWN})
        print(
            "  ".join(f"{k} {v:.3f}" if k in SHOWN else f"{k} {v:.0f}" for k, v in rows[-1].items())
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
