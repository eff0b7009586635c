"""How a window of N frames is scored against the audio frames at -15 .. +15 frames: three readings.

``alone``
    The protocol of the literature (Chung, Chung & Kang 2019; Kadandale et al. 2022): every window of five
    frames is scored by itself, both sides seeing five frames (0.2 s) and nothing more; a longer context is
    the mean of the scores of the neighbouring windows in it (7 frames: 3 windows, 15 frames: 11). With
    local embeddings that is their similarity; other networks get windows cut out of five frames each, and
    their similarity without the head.
``cut``
    Windows cut out: the whole network with its head sees N frames of frame, N frames of each of the 31
    audio frames, and nothing beyond.
``video``
    The clip is encoded whole, as ``detect`` does it, and the head's scores are averaged over N frames:
    the network has seen more than the window.

A network that scores in a way of its own scores every window with every audio by itself in the first two.

The 25 ms windows of the log-mel bands reach 7.5 ms beyond a cut, as those of SyncNet's MFCCs do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.features.frontends import FRONT_ENDS
from synctool.features.video_input import prepared
from synctool.plugins.specs import BackboneSpec
from synctool.training.losses.base import pooled
from synctool.training.losses.loss_inputs import encode_both
from synctool.training.multiway import MAX_OFFSET, STACK, ClipReader

READINGS = ("alone", "cut", "film")
_BATCH_FRAMES = 640
_BATCH_PIXELS = _BATCH_FRAMES * 72 * 72


class WindowReader(ClipReader):
    """Scores of the windows of one clip, in all readings; see ``ClipReader``."""

    @torch.inference_mode()
    def readings(
        self, contexts: Sequence[int], *, shift_samples: int = 0
    ) -> dict[tuple[str, int], Tensor]:
        """Scores of all windows.

        Args:
            contexts: Lengths N of windows, 5 frames or more; those longer than the clip are left out.
            shift_samples: The audio is moved ahead by this.

        Returns:
            For every reading and N: ``[31, T - N + 1]``.
        """
        scores: dict[tuple[str, int], Tensor] = {}
        contexts = [n for n in contexts if STACK <= n <= self.frames]
        if not contexts:
            return scores
        audio = self._audio(MAX_OFFSET, shift_samples)
        heard = AudioWindows(self._model, lambda: audio, self._spec)
        seen = VideoWindows(self._model, self._video, self._spec)
        _, video_file = self.film(shift_samples=shift_samples)
        alone = self.local(shift_samples=shift_samples)
        if alone is None:
            compared = _cosines if self._head is not None else self._scored
            raw = _same_lag(heard.cut(STACK), seen.cut(STACK), compared)
            alone = raw.mean(-1).T[None]
        for n in contexts:
            scores["alone", n] = pooled(alone, n - STACK + 1)[0]
            scores["cut", n] = self._cut(heard.cut(n), seen.cut(n))
            scores["film", n] = pooled(video_file, n)[0]
        return scores

    def _cut(self, heard: Tensor, seen: Tensor) -> Tensor:
        """The network's scores of windows of frames with windows of audio, averaged over frames.

        Args:
            heard: ``[W + 30, D, N]``; window 15 belongs to frame window 0.
            seen: ``[W, D, N]``.

        Returns:
            ``[31, W]``.
        """
        if self._head is None:
            return _same_lag(heard, seen, self._scored).mean(-1).T
        edges = (0, 0, self._head.margin, self._head.margin)
        raw, *others = (
            F.pad(_same_lag(a, v, _cosines), edges)
            for a, v in ((heard, seen), *self._head.further(heard, seen))
        )
        rows = slice(self._head.margin, raw.shape[1] - self._head.margin)
        inside = torch.zeros_like(raw, dtype=torch.bool)
        inside[:, rows] = True
        return self._head.refine(raw, inside, others).mean(-1).T

    def _scored(self, heard: Tensor, seen: Tensor) -> Tensor:
        """Scores of windows as they lie: twice ``[W, D, N]`` to ``[W, N]``."""
        return self._model.score(heard, seen, max_offset=0)[:, 0]


def _cosines(heard: Tensor, seen: Tensor) -> Tensor:
    return (seen * heard).sum(1)


def _same_lag(heard: Tensor, seen: Tensor, compared: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Similarities of windows of frames with windows of audio, frame by frame.

    Args:
        heard: ``[W + 2K, D, N]``; window K belongs to frame window 0.
        seen: ``[W, D, N]``.
        compared: Twice ``[W, D, N]`` to ``[W, N]``.

    Returns:
        ``[W, 2K + 1, N]``; row K + n: the audio is n frames ahead.
    """
    count, largest = len(seen), len(heard) - len(seen)
    rows = [
        compared(heard[largest - row : largest - row + count], seen) for row in range(largest + 1)
    ]
    return torch.stack(rows, 1)


class _Windows(ABC):
    """Embeddings of a clip, and of windows cut out of it as if there were nothing else.

    A local stage sees five frames, so a row of it two or more frames from both ends of a window is the
    same in any window. Encoding all windows of five frames gives every row of every longer window: its
    first two rows are those of its first window of five, its last two those of its last one, and each
    row between is the middle one of the window of five round it. Only the stage after runs per window.

    Args:
        model: A ``SyncModel``.
        clip: Makes the clip.
        spec: What the network takes.
    """

    side: str
    batch_frames = _BATCH_FRAMES
    """Frames of all windows that are encoded at once."""

    def __init__(self, model: nn.Module, clip: Callable[[], Tensor], spec: BackboneSpec) -> None:
        self._model, self._clip, self._spec = model, clip, spec
        self._encoder = getattr(model, f"{self.side}_encoder", None)

    def cut(self, frames: int) -> Tensor:
        """Embeddings of all windows of N frames: ``[T - N + 1, D, N]``."""
        if self._fives is None:
            return self._in_parts(lambda x: self._encode(x)[1], self._inputs(frames), frames)
        edge = STACK // 2
        count = len(self._fives) - (frames - STACK)
        middle = self._fives[:, :, edge].unfold(0, frames - 2 * edge, 1)
        first, last = self._fives[:count, :, :edge], self._fives[-count:, :, -edge:]
        rows = torch.cat([first, middle, last], -1)
        after = _in_parts(self._encoder.context, rows, _BATCH_FRAMES // frames)
        return F.normalize(after.float(), dim=1)

    @cached_property
    def _fives(self) -> Tensor | None:
        """The local stage's rows of all windows of five frames, ``[T - 4, D', 5]``."""
        windows = self._inputs(STACK)
        if self._encode(self._ready(windows[:1]))[0] is None:
            return None
        return self._in_parts(self._encoder.local, windows, STACK)

    def _encode(self, x: Tensor) -> tuple[Tensor | None, Tensor]:
        return encode_both(self._model, self.side, x)

    def _in_parts(
        self, network: Callable[[Tensor], Tensor], windows: Tensor, frames: int
    ) -> Tensor:
        count = self.batch_frames // frames
        return _in_parts(lambda part: network(self._ready(part)), windows, count)

    @abstractmethod
    def _inputs(self, frames: int) -> Tensor:
        """All windows of N frames, ``[W, ...]``."""

    def _ready(self, windows: Tensor) -> Tensor:
        """Windows as the encoder takes them."""
        return windows


class VideoWindows(_Windows):
    """Windows of frames; the clip is uint8 ``[1, 1 | 3, T, S, S]``."""

    side = "video"

    def __init__(self, model: nn.Module, clip: Callable[[], Tensor], spec: BackboneSpec) -> None:
        super().__init__(model, clip, spec)
        self.batch_frames = _BATCH_PIXELS // (spec.video.size_px**2 * spec.video.channels)

    def _inputs(self, frames: int) -> Tensor:
        return self._clip()[0].unfold(1, frames, 1).permute(1, 0, 4, 2, 3)

    def _ready(self, windows: Tensor) -> Tensor:
        return prepared(windows, self._spec.video)


class AudioWindows(_Windows):
    """Windows of audio; the clip is ``[1, bands, 4 n]`` or ``[640 n]``."""

    side = "audio"

    def _inputs(self, frames: int) -> Tensor:
        steps = FRONT_ENDS[self._spec.audio.kind].steps
        return self._clip().unfold(-1, steps * frames, steps).movedim(-2, 0)


def _in_parts(network: Callable[[Tensor], Tensor], windows: Tensor, count: int) -> Tensor:
    """Apply a network to a few windows at a time: long clips must fit in memory."""
    parts = windows.split(max(1, count))
    return torch.cat([network(part.contiguous()) for part in parts])
