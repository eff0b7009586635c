"""Put the weights of a run into the package: half precision, with what ``detect`` needs in the header.

python tools/bundle_weights.py runs/x/last.safetensors fcn-cls.v2 [--zero 0.0]
python tools/bundle_weights.py runs/y/last.safetensors graph-cls.v1 --backbone graph-cls \\
    --into plugins/graph/src/synctool_plugin_graph/bundled

The default model is exported as well, as ``WeightsSpec.exported`` names it, and checked on real videos:

synctool export --int8 static --clips processed/ --out src/synctool/weights/bundled/fcn-cls.v7.onnx
"""

from __future__ import annotations

import argparse
from pathlib import Path

from synctool.training.checkpoint import metadata, save_weights
from synctool.weights.files import load_weights

BUNDLED = Path(__file__).resolve().parent.parent / "src" / "synctool" / "weights" / "bundled"


def main() -> None:
    """Convert one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("name")
    parser.add_argument("--zero", type=float, help="constant error of the network, in frames")
    parser.add_argument(
        "--into", type=Path, default=BUNDLED, help="folder (default: the package's)"
    )
    parser.add_argument("--backbone", help="name of the complete model, where a pair was trained")
    given = parser.parse_args()
    loaded = load_weights(given.weights)
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in loaded.state.items()
        if not name.endswith("num_batches_tracked")
    }
    facts = dict(loaded.metadata)
    if given.zero is not None:
        facts["zero_frames"] = str(given.zero)
    if given.backbone is not None:
        facts["backbone"] = given.backbone
    given.into.mkdir(parents=True, exist_ok=True)
    target = given.into / f"{given.name}.safetensors"
    save_weights(target, state, metadata(facts))
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
