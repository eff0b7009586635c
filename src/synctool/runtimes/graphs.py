"""An exported model as a ``Runtime``: its graphs, and the windows that they leave to the caller."""

from __future__ import annotations

import numpy as np

from synctool.runtimes.protocol import Graph

NOTHING = -1e29
"""Scores below are ``-inf``: graphs give -1e30 there, as infinities do not survive in every format."""


class GraphRuntime:
    """Three graphs as a ``Runtime``.

    Args:
        name: Name of the format.
        video: ``[B, C, T, H, W] -> [B, D, T]``.
        audio: Sound features ``-> [B, D, T]``.
        head: Sounds ``[B, D, W]``, where there is sound ``[B, W]``, and pictures ``[B, D, T]``, to
            scores ``[B, W - T + 1 - 2 margin, T]``.
        margin: Rows that the head needs beyond the asked range, on either side.
        reach: Frames beyond a frame that the head may look at.
        threads: Threads that the graphs compute with.
    """

    device = "cpu"

    def __init__(
        self,
        *,
        name: str,
        video: Graph,
        audio: Graph,
        head: Graph,
        margin: int,
        reach: int,
        threads: int = 1,
    ) -> None:
        self.name = name
        self.reach = reach
        self._video, self._audio, self._head = video, audio, head
        self._margin = margin
        self.threads = threads

    def encode_video(self, video: np.ndarray) -> np.ndarray:
        """See ``Runtime``."""
        return self._video(video)[0]

    def encode_audio(self, audio: np.ndarray) -> np.ndarray:
        """See ``Runtime``."""
        return self._audio(audio)[0]

    def score(
        self, heard: np.ndarray, seen: np.ndarray, *, max_offset: int, audio_lead: int = 0
    ) -> np.ndarray:
        """See ``Runtime``."""
        sounds, inside = sound_window(
            heard, seen.shape[-1], rows=max_offset + self._margin, audio_lead=audio_lead
        )
        scores = self._head(sounds, inside, seen)[0]
        return np.where(scores > NOTHING, scores, np.float32(-np.inf))


def sound_window(
    heard: np.ndarray, frames: int, *, rows: int, audio_lead: int
) -> tuple[np.ndarray, np.ndarray]:
    """The sounds that pictures are compared with, as a head's graph takes them.

    Args:
        heard: float32 ``[B, D, T_audio]``.
        frames: T, the number of pictures.
        rows: R, the largest offset that the graph looks at.
        audio_lead: Index in ``heard`` of the sound that belongs to picture 0.

    Returns:
        Sounds ``[B, D, T + 2R]``, zero where there are none, and float32 ``[B, T + 2R]``, 1 where
        there are.
    """
    batch, size, length = heard.shape
    first = audio_lead - rows
    sounds = np.zeros((batch, size, frames + 2 * rows), np.float32)
    inside = np.zeros((batch, frames + 2 * rows), np.float32)
    low, high = max(first, 0), min(first + frames + 2 * rows, length)
    if low < high:
        here = slice(low - first, high - first)
        sounds[..., here] = heard[..., low:high]
        inside[:, here] = 1.0
    return sounds, inside
