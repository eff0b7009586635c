"""Whether the clips of a collection have offsets of their own: two networks read the same held-out clips.

    python benchmarks/clip_offsets.py PROCESSED runs/grid/last.safetensors runs/all/last.safetensors

If a person's clips differed only by the errors of the network, two networks that were trained on different
videos would err differently, and their readings of whole clips would not go together.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from held_out import held_out
from literature.multiway import MAX_OFFSET, clip_volume
from rich.console import Console
from tables import Table

from synctool.errors import SyncToolError
from synctool.networks.load import load_model
from synctool.plugins.specs import BackboneSpec
from synctool.scoring.offset import parabola_vertex

PLAUSIBLE_FRAMES = 4.0
"""Readings further than this from the collection's median are matches by chance."""
SURER_HALF = 0.5


def reading(network, sample, filler: np.ndarray, *, spec: BackboneSpec) -> tuple[float, float]:
    """Offset of a whole clip in frames, and how far its score stands out."""
    _, logits = clip_volume(network, sample, filler, spec=spec)
    curve = logits[0].float().log_softmax(0).sum(1).numpy()
    row = int(curve[1:-1].argmax()) + 1
    offset = row - MAX_OFFSET + float(parabola_vertex(*curve[row - 1 : row + 2]))
    return offset, float(curve[row] - np.median(curve))


def main() -> int:
    """Read and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("processed", type=Path)
    parser.add_argument("weights", type=Path, nargs=2)
    parser.add_argument("--split", type=Path)
    parser.add_argument("--backbone", default="fcn-cls")
    given = parser.parse_args()
    try:
        people = held_out(given.processed, given.split)
        models = [
            load_model(given.backbone, weights=w, device="cpu", runtime="torch")
            for w in given.weights
        ]
    except SyncToolError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    table = Table(
        "Whole clips read by two networks; frames",
        [
            "",
            "clips",
            "compared",
            "spread of the first",
            "of the second",
            "of their difference",
            "r",
        ],
    )
    for source in sorted({s.info.source for s in people.samples}):
        clips = [s for s in people.samples if s.info.source == source]
        read = np.array(
            [
                [
                    reading(m.network, c, clips[i - 1].audio, spec=m.spec)
                    for i, c in enumerate(clips)
                ]
                for m in models
            ]
        )
        offsets, sure = read[..., 0], read[..., 1]
        near = np.abs(offsets - np.median(offsets, 1, keepdims=True)) < PLAUSIBLE_FRAMES
        kept = near.all(0) & (sure >= np.quantile(sure, SURER_HALF, axis=1, keepdims=True)).any(0)
        a, b = offsets[:, kept]
        row = [len(clips), kept.sum(), a.std(), b.std(), (a - b).std(), np.corrcoef(a, b)[0, 1]]
        table.rows.append([source, *(f"{x:.2f}" if isinstance(x, float) else str(x) for x in row)])
    table.show(Console(width=120))
    return 0


if __name__ == "__main__":
    sys.exit(main())
