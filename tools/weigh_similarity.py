"""Let a head correct less of what the cosine similarities say.

python tools/weigh_similarity.py WEIGHTS --correction 0.76 --gain 1.07 --out NEW.safetensors

The scores of a ``VolumeHead`` are ``s * similarity + correction(s * similarity)``. The correction is
trained on single frames, and is surer of poor recordings than it should be once the frames of a segment
are summed: with a part of it, more of the segments' best matches are right (docs/training.md). Such
weights need no other code: the last layer shrinks; ``s`` grows by the gain, which keeps the peaks as
high as they were, and the first layer falls by it. Calibrate them anew (``tools/calibrate_weights.py``).
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from synctool.training.checkpoint import metadata, save_weights
from synctool.weights.files import load_weights

SCALE, FIRST, LAST = "head.log_scale", "head.layers.0.weight", "head.layers.2."


def main() -> None:
    """Write one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--correction", type=float, required=True, help="share that is kept, 0..1")
    parser.add_argument("--gain", type=float, default=1.0, help="of the similarities")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    loaded = load_weights(given.weights)
    # In single precision: the quotient of weights in half precision is none.
    state = {name: x.float() if x.is_floating_point() else x for name, x in loaded.state.items()}
    first = state[FIRST].clone()
    first[:, 0] /= given.gain  # channel 0: the scaled similarities; 1: where there is audio
    state |= {FIRST: first, SCALE: state[SCALE] + math.log(given.gain)}
    state |= {n: x * given.correction for n, x in state.items() if n.startswith(LAST)}
    save_weights(given.out, state, metadata(loaded.metadata))
    print(f"{given.out}: similarities times {math.exp(float(state[SCALE])):.1f}")


if __name__ == "__main__":
    main()
