"""Multi-way accuracy: which of 31 sounds belongs to a picture, within a frame.

Every window of a clip is scored against the sounds at -15 .. +15 frames; where the clip has no sound
that far, another clip's stands in, so that there are always 31 candidates and chance is 3 in 31.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from synctool.data.augment import centre_crop
from synctool.data.samples import Sample
from synctool.data.windows import stretch
from synctool.features.logmel import MARGIN, logmel
from synctool.models.correlation import correlate
from synctool.training.losses import pooled
from synctool.types import SAMPLES_PER_FRAME

MAX_OFFSET = 15
CONTEXTS = (1, 5, 15)
ISOLATED = 5


@torch.inference_mode()
def clip_volume(
    model: nn.Module, sample: Sample, filler: np.ndarray, *, size_px: int, shift_samples: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Score volumes of a whole clip.

    Args:
        model: An ``OffsetClassifier`` in evaluation mode.
        sample: The clip.
        filler: int16, sound for candidates beyond the clip.
        size_px: Side of the network's crops.
        shift_samples: The sound is moved ahead by this.

    Returns:
        Plain similarities and the head's logits, both ``[1, 31, T]``.
    """
    margin = model.head.margin
    pad = MAX_OFFSET + margin
    frames = sample.info.num_frames
    begin = sample.info.sound_lead - pad * SAMPLES_PER_FRAME + shift_samples - MARGIN
    length = (frames + 2 * pad) * SAMPLES_PER_FRAME + 2 * MARGIN
    sound = stretch(sample.sound, begin, length, filler, np.random.default_rng(0))
    crops = centre_crop(sample.crops, size_px).astype(np.float32) / 255
    seen = model.encode_video(torch.from_numpy(crops)[None, None])
    heard = model.encode_audio(torch.from_numpy(logmel(sound))[None, None])
    raw, inside = correlate(heard, seen, max_offset=pad, audio_lead=pad)
    return raw[:, margin:-margin], model.head.refine(raw, inside.expand_as(raw))


@torch.inference_mode()
def isolated_volume(
    model: nn.Module, sample: Sample, filler: np.ndarray, *, size_px: int
) -> torch.Tensor:
    """Similarities of windows of five frames that see nothing beyond themselves.

    This is the literature's protocol (Chung, Chung & Kang 2019; Kadandale et al. 2022): both encoders
    get exactly five frames (0.2 s), where ``clip_volume`` lets them see the whole clip.

    Args:
        model: An ``OffsetClassifier`` in evaluation mode.
        sample: The clip, of T frames.
        filler: int16, sound for candidates beyond the clip.
        size_px: Side of the network's crops.

    Returns:
        ``[1, 31, T - 4]``.
    """
    begin = sample.info.sound_lead - MAX_OFFSET * SAMPLES_PER_FRAME - MARGIN
    length = (sample.info.num_frames + 2 * MAX_OFFSET) * SAMPLES_PER_FRAME + 2 * MARGIN
    sound = stretch(sample.sound, begin, length, filler, np.random.default_rng(0))
    crops = torch.from_numpy(centre_crop(sample.crops, size_px).astype(np.float32) / 255)
    pictures = crops.unfold(0, ISOLATED, 1).permute(0, 3, 1, 2)[:, None]
    sounds = torch.from_numpy(logmel(sound)).unfold(1, 4 * ISOLATED, 4).permute(1, 0, 2)[:, None]
    seen = model.encode_video(pictures.contiguous()).flatten(1).T[None]
    heard = model.encode_audio(sounds.contiguous()).flatten(1).T[None]
    volume, _ = correlate(heard, seen, max_offset=MAX_OFFSET, audio_lead=MAX_OFFSET)
    return volume / ISOLATED


def multiway(
    model: nn.Module,
    samples: Sequence[Sample],
    *,
    size_px: int,
    true_offset: Callable[[Sample], float],
    contexts: Sequence[int] = CONTEXTS,
    first: int | None = None,
    isolated: bool = False,
) -> dict[str, float]:
    """Share of windows whose best candidate lies within a frame of the truth, per clip, then over clips.

    Args:
        model: An ``OffsetClassifier`` in evaluation mode.
        samples: Clips of people that the network has not seen.
        size_px: Side of the network's crops.
        true_offset: The clip's own offset in frames.
        contexts: Lengths of windows in frames.
        first: Only so many of the samples are measured; the rest lends sounds.
        isolated: Also measure windows of five frames that see nothing beyond themselves; longer
            contexts average the scores of neighbouring ones.

    Returns:
        ``plain_N`` and ``head_N`` for every context N, and ``plain_clip`` and ``head_clip`` for
        whole clips, with embeddings that see the whole clip; ``isolated_N`` from 5 frames on. Each
        0..1.
    """
    hits: dict[str, list[float]] = {}
    for i, sample in enumerate(samples[:first]):
        filler = samples[(i + 1) % len(samples)].sound
        truth = true_offset(sample)
        plain, head = clip_volume(model, sample, filler, size_px=size_px)
        for context in (*contexts, 0):
            length = context or plain.shape[-1]
            name = context or "clip"
            if length <= plain.shape[-1]:
                hits.setdefault(f"plain_{name}", []).append(_right(plain, length, truth))
                hits.setdefault(f"head_{name}", []).append(_right(head, length, truth))
        if isolated and plain.shape[-1] >= ISOLATED:
            alone = isolated_volume(model, sample, filler, size_px=size_px)
            for context in contexts:
                length = context - ISOLATED + 1
                if 1 <= length <= alone.shape[-1]:
                    hits.setdefault(f"isolated_{context}", []).append(_right(alone, length, truth))
    return {name: float(np.mean(values)) for name, values in hits.items()}


def _right(volume: torch.Tensor, frames: int, truth: float) -> float:
    """Share of windows whose best row lies within a frame of the truth."""
    best = pooled(volume, frames)[0].argmax(0).float() - MAX_OFFSET
    return float(((best - truth).abs() <= 1.0 + 1e-6).float().mean())
