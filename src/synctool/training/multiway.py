"""Which of 31 candidates of audio belongs to the frames of a window, within a frame: how a network is
validated after every epoch.

Every window of a clip is scored against the audio at -15 .. +15 frames. The clip's own offset is taken out
of its audio to the sample first, so that offset 0 is the truth and three of the 31 candidates count as
right: chance is 3 in 31. Where the clip has no audio that far, another clip's stands in, so that there are
always 31 candidates. Plain similarities and the local stage are read as well, which measuring never sees:
so clips go through the network itself here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from synctool.data.augment import fit_crops
from synctool.data.pool import PooledSample
from synctool.data.samples import Sample
from synctool.data.windows import audio_segment
from synctool.features.frontends import FRONT_ENDS
from synctool.features.inputs import overlapping
from synctool.features.video_input import as_batch, prepared
from synctool.models.correlation import correlate
from synctool.plugins.specs import ModelSpec
from synctool.training.losses.base import pooled
from synctool.training.losses.loss_inputs import encode_both, head_margin, volume_head
from synctool.types import SAMPLES_PER_FRAME

MAX_OFFSET = 15
STACK = 5
"""Frames of the shortest window that a local stage sees whole."""
CONTEXTS = (1, 5, 15)
ACCEPTED_ROWS = 1
"""Candidates next to the true one that count as right."""

AnySample = Sample | PooledSample


@torch.inference_mode()
def multiway(
    model: nn.Module,
    samples: Sequence[AnySample],
    *,
    spec: ModelSpec,
    true_offset: Callable[[AnySample], float],
    contexts: Sequence[int] = CONTEXTS,
) -> dict[str, float]:
    """Share of windows whose best candidate is right, cheap enough for every epoch of a training.

    Args:
        model: A ``SyncModel`` in evaluation mode.
        samples: Clips of people that the network has not seen.
        spec: What the network takes, and how far it looks.
        true_offset: The clip's own offset in frames.
        contexts: Lengths of windows in frames.

    Returns:
        ``plain_N`` and ``head_N`` for every context N, and ``plain_clip`` and ``head_clip`` for
        whole clips, with embeddings that see the whole clip; with local embeddings also
        ``alone_N`` from 5 frames on. Per clip, then over clips; each 0..1.
    """
    shares: dict[str, list[float]] = {}
    for i, sample in enumerate(samples):
        reader = ClipReader(model, sample, samples[(i + 1) % len(samples)].audio, spec=spec)
        shift = -round(true_offset(sample) * SAMPLES_PER_FRAME)
        plain, head = reader.film(shift_samples=shift)
        volumes = {"plain": (plain, 1), "head": (head, 1)}
        alone = reader.local(shift_samples=shift)
        if alone is not None:
            volumes["alone"] = (alone, STACK)
        for name, (volume, video) in volumes.items():
            lengths = {str(n): n - video + 1 for n in contexts} | {"clip": volume.shape[-1]}
            for label, length in lengths.items():
                if 1 <= length <= volume.shape[-1]:
                    right = best_within(pooled(volume, length)[0])
                    shares.setdefault(f"{name}_{label}", []).append(float(right.mean()))
    return {name: float(np.mean(values)) for name, values in shares.items()}


class ClipReader:
    """Scores of one clip; its crops are encoded once, however its audio is shifted.

    Args:
        model: A ``SyncModel`` in evaluation mode, on the CPU.
        sample: The clip, of T frames.
        filler: int16, audio for candidates beyond the clip.
        spec: What the network takes, and how far it looks.
    """

    def __init__(
        self, model: nn.Module, sample: AnySample, filler: np.ndarray, *, spec: ModelSpec
    ) -> None:
        self._model: Any = model
        self._head = volume_head(model)
        self._sample = sample
        self._filler = filler
        self._spec = spec
        self.frames = sample.info.num_frames

    @cached_property
    def whole(self) -> tuple[Tensor | None, Tensor]:
        """Local embeddings of the crops, if any, and those with context: both ``[1, D, T]``."""
        local, video = in_pieces(
            lambda x: encode_both(self._model, "video", x), self._video(), self._spec
        )
        return local, cast(Tensor, video)

    @torch.inference_mode()
    def film(self, *, shift_samples: int = 0) -> tuple[Tensor, Tensor]:
        """Plain similarities and the head's logits of the whole clip, both ``[1, 31, T]``; the scores
        twice where the network scores in a way of its own.

        Args:
            shift_samples: The audio is moved ahead by this.
        """
        margin = head_margin(self._model)
        pad = MAX_OFFSET + margin
        audio = self._model.encode_audio(self._audio(pad, shift_samples)[None])
        video = self.whole[1]
        scores = self._model.score(audio, video, max_offset=MAX_OFFSET, audio_lead=pad)
        if self._head is None:
            return scores, scores
        return correlate(audio, video, max_offset=MAX_OFFSET, audio_lead=pad)[0], scores

    @torch.inference_mode()
    def local(self, *, shift_samples: int = 0) -> Tensor | None:
        """Similarities of local embeddings, ``[1, 31, T - 4]``: of windows of five frames that see
        nothing beyond themselves.

        Args:
            shift_samples: The audio is moved ahead by this.

        Returns:
            None for a network without local embeddings, or a clip of less than five frames.
        """
        video = self.whole[0]
        if video is None or self.frames < STACK:
            return None
        audio = encode_both(self._model, "audio", self._audio(MAX_OFFSET, shift_samples)[None])[0]
        if audio is None:
            return None
        inner = slice(STACK // 2, -(STACK // 2))  # the rows that see no padding
        return correlate(
            audio[..., inner], video[..., inner], max_offset=MAX_OFFSET, audio_lead=MAX_OFFSET
        )[0]

    def _video(self) -> Tensor:
        """The clip's frames, uint8 ``[1, 1, T, S, S]`` grey or ``[1, 3, T, S, S]`` in RGB."""
        sample = self._sample
        return as_batch(fit_crops(sample.crops, sample.info.crop, self._spec.video))

    def _audio(self, pad: int, shift_samples: int) -> Tensor:
        """Features of the clip's audio with ``pad`` more frames on either side: ``[1, bands, 4 n]``, or
        ``[640 n]``, of n = T + 2 pad frames."""
        front = FRONT_ENDS[self._spec.audio.kind]
        begin = self._sample.info.sound_lead - pad * SAMPLES_PER_FRAME + shift_samples
        length = front.before + (self.frames + 2 * pad) * SAMPLES_PER_FRAME + front.after
        rng = np.random.default_rng(0)
        waveform = audio_segment(
            self._sample.audio, begin - front.before, length, self._filler, rng
        )
        return torch.from_numpy(front.compute(front.at_level(waveform)))


def best_within(scores: Tensor, accepted: int = ACCEPTED_ROWS) -> np.ndarray:
    """Whether the best row of each window is the middle one, or next to it.

    Args:
        scores: ``[2K+1, W]``, higher is better, ``-inf`` for candidates that take no part.
        accepted: How many rows from the middle one still count.

    Returns:
        bool ``[W]``.
    """
    middle = scores.shape[0] // 2
    return ((scores.argmax(0) - middle).abs() <= accepted).numpy()


def in_pieces(
    encode: Callable[[Tensor], tuple[Tensor | None, ...]], video: Tensor, spec: ModelSpec
) -> tuple[Tensor | None, ...]:
    """Encode large frames part by part, each with as much context as the network looks at.

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
