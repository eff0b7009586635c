"""Writes what the page measures: two made-up clips, and what PyTorch makes of them.

python make_inputs.py [--model FOLDER] [--weights FILE] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from made_up_talk import audio, images

from synctool.errors import SyncToolError
from synctool.features.frontends import FRONT_ENDS
from synctool.features.inputs import as_input
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.scoring.offset import estimate_offset
from synctool.types import SAMPLES_PER_FRAME
from synctool.weights.artefact import read_artefact

HERE = Path(__file__).resolve().parent
CLIPS = ((0, 3.0), (1, -5.0))
"""Seeds, and how many frames the audio is ahead."""
FRAMES = 75
MAX_OFFSET = 15


def main() -> None:
    """Parse, compute, write."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", type=Path, default=HERE / "model", help="the exported model")
    options.add_argument("--weights", type=Path, help="what it was exported from, if not its own")
    options.add_argument("--out", type=Path, default=HERE / "inputs")
    given = options.parse_args()
    try:
        artefact = read_artefact(given.model)
        model = load_model(artefact.backbone, weights=given.weights, device="cpu", runtime="torch")
    except SyncToolError as error:
        raise SystemExit(f"{error}") from None
    if model.weights != artefact.weights:
        raise SystemExit(
            f"{given.model} was exported from {artefact.weights}, and this is {model.weights}: "
            "give --weights FILE"
        )
    write_inputs(given.out, model)
    print(f"{given.out}: {len(CLIPS)} clips")


def write_inputs(
    folder: Path,
    model: LoadedModel,
    *,
    clips: tuple[tuple[int, float], ...] = CLIPS,
    frames: int = FRAMES,
) -> None:
    """Write clips and what a model makes of them.

    Args:
        folder: Where to; made if it is not there.
        model: The network in PyTorch.
        clips: Seeds, and how many frames the audio is ahead.
        frames: Length of each clip.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = []
    for number, (seed, ahead_frames) in enumerate(clips):
        crops = images(frames, model.spec.video.size_px, seed)
        if model.spec.video.colour != "gray":
            crops = np.repeat(crops[..., None], 3, axis=-1)
        samples = audio(frames, seed, ahead_frames=ahead_frames)
        arrays, answer = answered(model, crops, samples)
        files = {}
        for name, values in {"images": crops, "samples": samples, **arrays}.items():
            files[name] = f"{number}-{name}.npy"
            np.save(folder / files[name], np.ascontiguousarray(values))
        where = "ahead" if ahead_frames > 0 else "behind"
        told.append(
            {
                "name": f"Made with the audio {abs(ahead_frames):g} frames {where}",
                "images": files.pop("images"),
                "samples": files.pop("samples"),
                "expected": {**files, **answer},
            }
        )
    facts = {"weights": model.weights, "max_offset": MAX_OFFSET, "clips": told}
    (folder / "inputs.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def answered(
    model: LoadedModel, crops: np.ndarray, samples: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What a model makes of a clip whose audio begins with its first frame.

    Args:
        model: The network.
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``.
        samples: int16 ``[N]`` at 16 kHz.

    Returns:
        ``audio`` (the features), ``video_features [D, T]``, ``audio_features [D, T_audio]`` and
        ``scores [2K+1, T]``, NaN outside the audio; and offset and confidence.
    """
    audio = audio_input(model, samples)
    video_features = model.runtime.encode_video(as_input(crops, model.spec.video))
    audio_features = model.runtime.encode_audio(audio)
    scores = model.runtime.score(audio_features, video_features, max_offset=MAX_OFFSET)[0]
    scores = np.where(np.isfinite(scores), scores, np.float32(np.nan))
    found = estimate_offset(scores)
    arrays = {
        "audio": audio[0],
        "video_features": video_features[0],
        "audio_features": audio_features[0],
        "scores": scores,
    }
    return arrays, {
        "offset_frames": found.offset_frames,
        "confidence": model.calibration.confidence(found),
    }


def audio_input(model: LoadedModel, samples: np.ndarray) -> np.ndarray:
    """Audio as the network takes it, ``[1, 1, bands, 4T]`` or ``[1, 640 T]``; the last frame is filled
    up with silence, and a constant error of the network is taken out by moving the audio."""
    front = FRONT_ENDS[model.spec.audio.kind]
    moved = round(model.zero_frames * SAMPLES_PER_FRAME)
    samples = np.pad(front.at_level(samples), (max(moved, 0), 0))[max(-moved, 0) :]
    frames = -(-len(samples) // SAMPLES_PER_FRAME)
    filling = frames * SAMPLES_PER_FRAME - len(samples)
    return front.compute(np.pad(samples, (front.before, filling + front.after)))[None]


if __name__ == "__main__":
    main()
