"""Clips in memory as embeddings, for any network: pictures and sound as its contract says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from synctool.data.augment import fit_crops
from synctool.features.frontends import FRONT_ENDS
from synctool.features.inputs import overlapping
from synctool.features.pictures import as_batch, prepared
from synctool.plugins.specs import BackboneSpec
from synctool.types import SAMPLES_PER_FRAME


def encoded_crops(
    network: nn.Module, crops: np.ndarray, *, stored_crop: str, spec: BackboneSpec
) -> Tensor:
    """Embeddings ``[1, D, T]`` of stored crops.

    Args:
        network: A ``SyncModel`` in evaluation mode.
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]`` in RGB.
        stored_crop: ``mouth`` or ``face``.
        spec: What the network takes, and how far it looks.
    """
    video = as_batch(fit_crops(crops, stored_crop, spec.video))
    return in_pieces(lambda x: (network.encode_video(x),), video, spec)[0]


def encoded_sound(network: nn.Module, sound: np.ndarray, *, spec: BackboneSpec) -> Tensor:
    """Embeddings ``[1, D, T_audio]`` of a sound with nothing round it.

    Args:
        network: A ``SyncModel`` in evaluation mode.
        sound: int16 ``[N]``; what is left over from whole frames is left out.
        spec: What the network takes.
    """
    front = FRONT_ENDS[spec.audio.kind]
    whole = sound[: sound.size // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME]
    features = front.compute(np.pad(front.at_level(whole), (front.before, front.after)))
    return network.encode_audio(torch.from_numpy(features)[None])


def in_pieces(
    encode: Callable[[Tensor], tuple[Tensor | None, ...]], video: Tensor, spec: BackboneSpec
) -> tuple[Tensor | None, ...]:
    """Encode large pictures piece by piece, each with as much context as the network looks at.

    Args:
        encode: float ``[1, C, n, S, S]`` to tensors whose last axis has n rows, or None.
        video: uint8 ``[1, 1 | 3, T, S, S]``: grey, or RGB.
        spec: What the network takes, and how far it looks.

    Returns:
        What ``encode`` gives of the whole.
    """
    found: list[tuple[Tensor | None, ...]] = []
    for given, wanted in overlapping(video.shape[2], side_px=video.shape[3], spec=spec):
        rows = encode(prepared(video[:, :, given], spec.video))
        found.append(tuple(r if r is None else r[..., wanted] for r in rows))
    return tuple(None if part[0] is None else torch.cat(part, -1) for part in zip(*found))
