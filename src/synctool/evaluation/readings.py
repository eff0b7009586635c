"""How a window of N frames is scored against the sounds at -15 .. +15 frames: three readings.

``alone``
    The protocol of the literature (Chung, Chung & Kang 2019; Kadandale et al. 2022): every window of five
    frames is scored by itself, both sides seeing five frames (0.2 s) and nothing more; a longer context is
    the mean of the scores of the neighbouring windows in it (7 frames: 3 windows, 15 frames: 11). With
    local embeddings that is their similarity; other networks get windows cut out of five frames each, and
    their similarity without the head.
``cut``
    Windows cut out: the whole network with its head sees N frames of picture, N frames of each of the 31
    sounds, and nothing beyond.
``film``
    The clip is encoded whole, as ``detect`` does it, and the head's scores are averaged over N frames:
    the network has seen more than the window.

The 25 ms windows of the log-mel bands reach 7.5 ms beyond a cut, as those of SyncNet's MFCCs do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.data.augment import centre_crop
from synctool.data.samples import Sample
from synctool.data.windows import stretch
from synctool.features.logmel import MARGIN, logmel
from synctool.models.correlation import correlate
from synctool.training.losses import pooled
from synctool.types import SAMPLES_PER_FRAME

MAX_OFFSET = 15
STACK = 5
"""Frames of the shortest window."""
READINGS = ("alone", "cut", "film")
_BATCH_FRAMES = 640


class ClipReader:
    """Scores of one clip; its pictures are encoded once, however its sound is moved.

    Args:
        model: An ``OffsetClassifier`` in evaluation mode, on the CPU.
        sample: The clip, of T frames.
        filler: int16, sound for candidates beyond the clip.
        size_px: Side of the network's crops.
    """

    def __init__(
        self, model: nn.Module, sample: Sample, filler: np.ndarray, *, size_px: int
    ) -> None:
        self._model = model
        self._sample = sample
        self._filler = filler
        self._size_px = size_px
        self._seen = _Windows(model.encode_video_both, model.video_encoder, self._pictures, 1)
        self.frames = sample.info.num_frames

    @torch.inference_mode()
    def film(self, *, shift_samples: int = 0) -> tuple[Tensor, Tensor]:
        """Plain similarities and the head's logits of the whole clip, both ``[1, 31, T]``.

        Args:
            shift_samples: The sound is moved ahead by this.
        """
        margin = self._model.head.margin
        pad = MAX_OFFSET + margin
        heard = self._model.encode_audio(self._sound(pad, shift_samples)[None])
        raw, inside = correlate(heard, self._seen.whole[1], max_offset=pad, audio_lead=pad)
        return raw[:, margin:-margin], self._model.head.refine(raw, inside.expand_as(raw))

    @torch.inference_mode()
    def local(self, *, shift_samples: int = 0) -> Tensor | None:
        """Similarities of local embeddings, ``[1, 31, T - 4]``: of windows of five frames that see
        nothing beyond themselves.

        Args:
            shift_samples: The sound is moved ahead by this.

        Returns:
            None for a network without local embeddings, or a clip of less than five frames.
        """
        seen = self._seen.whole[0]
        if seen is None or self.frames < STACK:
            return None
        heard = self._model.encode_audio_both(self._sound(MAX_OFFSET, shift_samples)[None])[0]
        inner = slice(STACK // 2, -(STACK // 2))  # the rows that see no padding
        return correlate(
            heard[..., inner], seen[..., inner], max_offset=MAX_OFFSET, audio_lead=MAX_OFFSET
        )[0]

    @torch.inference_mode()
    def readings(
        self, contexts: Sequence[int], *, shift_samples: int = 0
    ) -> dict[tuple[str, int], Tensor]:
        """Scores of all windows.

        Args:
            contexts: Lengths N of windows, 5 frames or more; those longer than the clip are left out.
            shift_samples: The sound is moved ahead by this.

        Returns:
            For every reading and N: ``[31, T - N + 1]``.
        """
        scores: dict[tuple[str, int], Tensor] = {}
        contexts = [n for n in contexts if STACK <= n <= self.frames]
        if not contexts:
            return scores
        sound = self._sound(MAX_OFFSET, shift_samples)
        heard = _Windows(self._model.encode_audio_both, self._model.audio_encoder, lambda: sound, 4)
        _, film = self.film(shift_samples=shift_samples)
        alone = self.local(shift_samples=shift_samples)
        if alone is None:
            raw = _same_lag(heard.cut(STACK), self._seen.cut(STACK))
            alone = raw.mean(-1).T[None]
        for n in contexts:
            scores["alone", n] = pooled(alone, n - STACK + 1)[0]
            scores["cut", n] = self._headed(_same_lag(heard.cut(n), self._seen.cut(n)))
            scores["film", n] = pooled(film, n)[0]
        return scores

    def _headed(self, raw: Tensor) -> Tensor:
        """The head's scores of windows, averaged over their frames: ``[W, 31, N] -> [31, W]``."""
        margin = self._model.head.margin
        inside = F.pad(torch.ones_like(raw, dtype=torch.bool), (0, 0, margin, margin))
        refined = self._model.head.refine(F.pad(raw, (0, 0, margin, margin)), inside)
        return refined.mean(-1).T

    def _pictures(self) -> Tensor:
        """The clip's pictures, ``[1, T, S, S]``."""
        crops = centre_crop(self._sample.crops, self._size_px).astype(np.float32) / 255
        return torch.from_numpy(crops)[None]

    def _sound(self, pad: int, shift_samples: int) -> Tensor:
        """The clip's sound with ``pad`` more frames on either side: ``[1, 64, 4 (T + 2 pad)]``."""
        begin = self._sample.info.sound_lead - pad * SAMPLES_PER_FRAME + shift_samples - MARGIN
        length = (self.frames + 2 * pad) * SAMPLES_PER_FRAME + 2 * MARGIN
        rng = np.random.default_rng(0)
        sound = stretch(self._sample.sound, begin, length, self._filler, rng)
        return torch.from_numpy(logmel(sound))[None]


class _Windows:
    """Embeddings of a clip, and of windows cut out of it as if there were nothing else.

    A local stage sees five frames, so a row of it two or more frames from both ends of a window is the
    same in any window. Encoding all windows of five frames gives every row of every longer window: its
    first two rows are those of its first window of five, its last two those of its last one, and each
    row between is the middle one of the window of five round it. Only the stage after runs per window.

    Args:
        encode: ``encode_video_both`` or ``encode_audio_both``.
        encoder: The encoder itself.
        clip: Makes ``[1, T, S, S]`` or ``[1, 64, 4T]``.
        steps: Entries per frame along the axis of time: 1 for pictures, 4 for sound.
    """

    def __init__(
        self,
        encode: Callable[[Tensor], tuple[Tensor | None, Tensor]],
        encoder: nn.Module,
        clip: Callable[[], Tensor],
        steps: int,
    ) -> None:
        self._encode, self._encoder = encode, encoder
        self._clip, self._steps = clip, steps

    @cached_property
    def whole(self) -> tuple[Tensor | None, Tensor]:
        """Local embeddings, if any, and those with context: both ``[1, D, T]``, unit length."""
        return self._encode(self._clip()[None])

    def cut(self, frames: int) -> Tensor:
        """Embeddings of all windows of N frames, unit length: ``[T - N + 1, D, N]``."""
        if self._fives is None:
            return _in_parts(lambda x: self._encode(x)[1], self._inputs(frames), frames)
        edge = STACK // 2
        count = len(self._fives) - (frames - STACK)
        middle = self._fives[:, :, edge].unfold(0, frames - 2 * edge, 1)
        first, last = self._fives[:count, :, :edge], self._fives[-count:, :, -edge:]
        rows = torch.cat([first, middle, last], -1)
        return F.normalize(_in_parts(self._encoder.context, rows, frames).float(), dim=1)

    @cached_property
    def _fives(self) -> Tensor | None:
        """The local stage's rows of all windows of five frames, ``[T - 4, D', 5]``."""
        windows = self._inputs(STACK)
        if self._encode(windows[:1])[0] is None:
            return None
        return _in_parts(self._encoder.local, windows, STACK)

    def _inputs(self, frames: int) -> Tensor:
        """All windows of N frames as the encoder takes them: ``[W, 1, N, S, S]`` or ``[W, 1, 64, 4N]``."""
        clip = self._clip()
        if self._steps == 1:
            return clip.unfold(1, frames, 1)[0].permute(0, 3, 1, 2)[:, None]
        return clip.unfold(2, self._steps * frames, self._steps)[0].permute(1, 0, 2)[:, None]


def _in_parts(network: Callable[[Tensor], Tensor], windows: Tensor, frames: int) -> Tensor:
    """Apply a network to a few windows of N frames at a time: long clips must fit in memory."""
    size = max(1, _BATCH_FRAMES // frames)
    return torch.cat([network(part.contiguous()) for part in windows.split(size)])


def _same_lag(heard: Tensor, seen: Tensor) -> Tensor:
    """Similarities of windows of pictures with windows of sound, frame by frame.

    Args:
        heard: ``[W + 2K, D, N]``; window K belongs to picture window 0.
        seen: ``[W, D, N]``.

    Returns:
        ``[W, 2K + 1, N]``; row K + n: the sound is n frames ahead.
    """
    count, largest = len(seen), len(heard) - len(seen)
    rows = [(seen * heard[largest - r : largest - r + count]).sum(1) for r in range(largest + 1)]
    return torch.stack(rows, 1)
