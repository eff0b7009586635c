"""Speech units: what is said in every frame, as the number of a cluster that nobody had to label.

As HuBERT (Hsu et al. 2021) finds its targets: k-means on MFCCs with their first and second differences, and
later on what a trained encoder makes of the audio; one unit for each 25 Hz frame, as in AV-HuBERT (Shi et al.
2022).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synctool.data.pool import PooledSample, SamplePool
from synctool.data.processed import Processed
from synctool.data.unit_targets import write_units
from synctool.errors import MissingError, UsageError
from synctool.extras import require
from synctool.features.frontends import FRONT_ENDS, FrontEnd
from synctool.measure.encode_clip import encode_audio
from synctool.networks.load import load_model
from synctool.networks.names import spec_of
from synctool.plugins.specs import BackboneSpec
from synctool.prepare.kmeans import kmeans, nearest_centres
from synctool.prepare.pairs import SPLIT_FILE, read_split
from synctool.settings.units import MFCC, UnitsSettings
from synctool.types import SAMPLES_PER_FRAME

_LEAST_FRAMES_PER_UNIT = 10
_CACHE_MB = 64
Features = Callable[[PooledSample], np.ndarray]
"""A clip to features of its frames, float ``[T, D]``."""
Tell = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class UnitsFound:
    """What was found.

    Attributes:
        units: K.
        used: Units that some frame has.
        perplexity: How many units the frames would be spread over if evenly, 1 to K.
        clips: Clips.
        frames: Their frames.
        fitted_frames: Frames that the centres were found from.
        changes_per_s: How often a second the unit changes; speech has 10 to 15 phones a second.
        features: What was clustered.
    """

    units: int
    used: int
    perplexity: float
    clips: int
    frames: int
    fitted_frames: int
    changes_per_s: float
    features: str


def speech_units(
    processed: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: UnitsSettings | None = None,
    *,
    on_progress: Tell | None = None,
    **changes: Any,
) -> UnitsFound:
    """Find the speech units of a processed folder, for ``train --units``.

    The centres are found from the clips that the split trains on, where there is a split, else from all.

    Args:
        processed: What ``preprocess`` made.
        out: The file to write, safetensors: for every clip int16 ``[T]``, and the centres.
        settings: How; None for the defaults.
        on_progress: Progress callback.
        changes: Settings by name that differ from ``settings``: see ``UnitsSettings``.

    Raises:
        MissingError: Nothing is processed there, or the features need something that is not here.
        UsageError: There are too few frames for so many units, or the features are no audio encoder's.
        OutputError: The file cannot be written.
    """
    settings = UnitsSettings.of(settings, changes)
    tell = on_progress or (lambda what, done, total: None)
    features = _features(settings)
    folder = Processed(processed)
    pool = SamplePool(folder, cache_mb=_CACHE_MB)
    rng = np.random.default_rng(settings.seed)
    rows = _drawn(_fitting(folder, pool), features, settings, rng, tell)
    mean, spread = rows.mean(0), rows.std(0) + 1e-6
    tell("finding units", 0, 1)
    centres = kmeans((rows - mean) / spread, settings.units, rounds=settings.iterations, rng=rng)
    labels: dict[str, np.ndarray] = {}
    for number, sample in enumerate(pool, 1):
        found, _ = nearest_centres((features(sample) - mean) / spread, centres)
        labels[sample.info.key] = found.astype(np.int16)
        tell("naming frames", number, len(pool))
    found = _told(labels, settings, fitted=len(rows))
    write_units(
        Path(out),
        labels,
        count=settings.units,
        facts={"features": settings.features, "seed": str(settings.seed)},
        centres={"centres": centres, "mean": mean, "spread": spread},
    )
    return found


def mfcc_with_changes(samples: np.ndarray) -> np.ndarray:
    """13 MFCCs with their first and second differences, means over the frames.

    Args:
        samples: int16 ``[640 T + 240]``.

    Returns:
        float32 ``[T, 39]``.
    """
    from python_speech_features import delta

    front = FRONT_ENDS["mfcc13"]
    steps = front.compute(samples)[0].T
    first = delta(steps, 2)
    both = np.concatenate([steps, first, delta(first, 2)], 1)
    return both.reshape(-1, front.steps, both.shape[1]).mean(1).astype(np.float32)


def _features(settings: UnitsSettings) -> Features:
    if settings.features == MFCC:
        front = FRONT_ENDS["mfcc13"]
        return lambda sample: mfcc_with_changes(_audio(sample, front))
    spec = spec_of(settings.features)
    if spec.role == "audio":
        return _of_encoder(spec, settings.weights)
    if spec.role == "video":
        raise UsageError(
            f"{spec.full_name} is a video encoder, and units are found in audio",
            remedy="Give an audio encoder, a complete model, or mfcc.",
        )
    model = load_model(settings.features, weights=settings.weights)

    def of_model(sample: PooledSample) -> np.ndarray:
        info = sample.info
        heard = encode_audio(model, sample.audio, at=-info.sound_lead)
        # The clip's own frames of it; beyond the end of the audio the last one stands.
        at = np.arange(info.num_frames) - heard.first_frame
        return heard.rows.T[at.clip(0, heard.rows.shape[1] - 1)].astype(np.float32)

    return of_model


def _of_encoder(spec: BackboneSpec, weights: Path | None) -> Features:
    """Embeddings of an audio encoder alone, with its published weights."""
    require("train", spec.full_name, "torch")
    import torch

    from synctool.networks.build import construct, put_published

    if weights is not None:
        raise UsageError(
            f"{spec.full_name} is an encoder, and takes its published weights",
            remedy="Leave --weights out, or give a complete model for --features.",
        )
    spec, network = construct(spec, {})
    put_published(spec, network)
    network.eval()
    assert spec.audio is not None
    front = FRONT_ENDS[spec.audio.kind]

    def of_encoder(sample: PooledSample) -> np.ndarray:
        audio = front.compute(front.at_level(_audio(sample, front)))
        with torch.inference_mode():
            return network(torch.from_numpy(audio)[None])[0].T.float().numpy()

    return of_encoder


def _audio(sample: PooledSample, front: FrontEnd) -> np.ndarray:
    """The audio of a clip's frames with the margins of a front end, silence where there is none."""
    frames = sample.info.num_frames * SAMPLES_PER_FRAME
    begin = sample.info.sound_lead - front.before
    length = front.before + frames + front.after
    padded = np.pad(sample.audio[max(begin, 0) :], (max(-begin, 0), length))
    return padded[:length]


def _fitting(folder: Processed, pool: SamplePool) -> list[PooledSample]:
    """The clips that centres are found from."""
    try:
        assigned = read_split(Path(folder.storage.address) / SPLIT_FILE)
    except MissingError:
        return list(pool)
    train = [x for x in pool if (a := assigned.get(x.info.key)) and a.split == "train"]
    return train or list(pool)


def _drawn(
    samples: list[PooledSample],
    features: Features,
    settings: UnitsSettings,
    rng: np.random.Generator,
    tell: Tell,
) -> np.ndarray:
    """Features of whole clips in an order by chance, until there are enough frames."""
    there = sum(sample.info.num_frames for sample in samples)
    wanted = min(settings.frames, there)
    if wanted < _LEAST_FRAMES_PER_UNIT * settings.units:
        raise UsageError(
            f"{wanted} frames are too few to find {settings.units} units in",
            remedy=f"Give --units {max(2, wanted // _LEAST_FRAMES_PER_UNIT)} or fewer, or more clips.",
        )
    rows: list[np.ndarray] = []
    count = 0
    for index in rng.permutation(len(samples)):
        if count >= wanted:
            break
        rows.append(features(samples[int(index)]))
        count += len(rows[-1])
        tell("reading clips", min(count, wanted), wanted)
    return np.concatenate(rows)[:wanted]


def _told(labels: dict[str, np.ndarray], settings: UnitsSettings, *, fitted: int) -> UnitsFound:
    every = np.concatenate(list(labels.values()))
    shares = np.bincount(every, minlength=settings.units) / every.size
    known = shares[shares > 0]
    changes = sum(int((np.diff(x) != 0).sum()) for x in labels.values())
    steps = sum(len(x) - 1 for x in labels.values())
    return UnitsFound(
        units=settings.units,
        used=len(known),
        perplexity=float(np.exp(-(known * np.log(known)).sum())),
        clips=len(labels),
        frames=int(every.size),
        fitted_frames=fitted,
        changes_per_s=25 * changes / max(steps, 1),
        features=settings.features,
    )
