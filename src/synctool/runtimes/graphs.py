"""An exported model as a ``Runtime``: its graphs, and the windows that they leave to the caller."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synctool.errors import SyncToolError, WeightsError
from synctool.runtimes.protocol import Graph

NOTHING = -1e29
"""Scores below are ``-inf``: graphs give -1e30 there, as infinities do not survive in every format."""


class SafeGraph:
    """A ``Graph`` that fails with words, whatever runs it.

    Args:
        graph: What reads and runs the file.
        path: The file, for the words.
    """

    def __init__(self, graph: Graph, path: Path) -> None:
        self._graph, self._path = graph, path

    def __call__(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """See ``Graph``.

        Raises:
            WeightsError: It does not take these inputs, or gives something else than arrays.
        """
        try:
            found = list(self._graph(*inputs))
        except (SyncToolError, MemoryError):
            raise
        except Exception as error:  # each format has errors of its own
            given = ", ".join(" x ".join(map(str, x.shape)) for x in inputs)
            raise _wrong(f"{self._path} cannot run on inputs of {given}: {_said(error)}") from error
        if not found or not all(isinstance(x, np.ndarray) for x in found):
            raise _wrong(f"{self._path} gives no arrays")
        return found


def _wrong(cause: str) -> WeightsError:
    return WeightsError(
        cause, remedy="It is not the graph that its manifest describes: export the model again."
    )


def _said(error: Exception) -> str:
    """The last line: the first ones of PyTorch and others are places in their own sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else 'no reason'}"[:300]


class GraphRuntime:
    """Three graphs as a ``Runtime``.

    Args:
        name: Name of the format.
        video: ``[B, C, T, H, W] -> [B, D, T]``.
        audio: Audio features ``-> [B, D, T]``.
        head: Audio ``[B, D, W]``, where there is audio ``[B, W]``, and video ``[B, D, T]``, to
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
        return self._shaped("video", self._video(video)[0], (len(video), None, video.shape[2]))

    def encode_audio(self, audio: np.ndarray) -> np.ndarray:
        """See ``Runtime``."""
        return self._shaped("audio", self._audio(audio)[0], (len(audio), None, None))

    def score(
        self,
        audio_features: np.ndarray,
        video_features: np.ndarray,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> np.ndarray:
        """See ``Runtime``."""
        audio, inside = audio_window(
            audio_features,
            video_features.shape[-1],
            rows=max_offset + self._margin,
            audio_lead=audio_lead,
        )
        wanted = (len(video_features), 2 * max_offset + 1, video_features.shape[-1])
        scores = self._shaped("head", self._head(audio, inside, video_features)[0], wanted)
        return np.where(scores > NOTHING, scores, np.float32(-np.inf))

    def _shaped(self, name: str, given: np.ndarray, wanted: tuple[int | None, ...]) -> np.ndarray:
        if given.ndim == len(wanted) and all(w in (None, n) for w, n in zip(wanted, given.shape)):
            return given
        sizes = " x ".join("any" if n is None else str(n) for n in wanted)
        raise _wrong(
            f"the {name} graph in {self.name} gives {' x '.join(map(str, given.shape)) or 'a number'} "
            f"in place of {sizes}"
        )


def audio_window(
    audio_features: np.ndarray, frames: int, *, rows: int, audio_lead: int
) -> tuple[np.ndarray, np.ndarray]:
    """The audio frames that video frames are compared with, as a head's graph takes them.

    Args:
        audio_features: float32 ``[B, D, T_audio]``.
        frames: T, the number of frames.
        rows: R, the largest offset that the graph looks at.
        audio_lead: Index in ``audio_features`` of the audio that belongs to frame 0.

    Returns:
        Audio ``[B, D, T + 2R]``, zero where there are none, and float32 ``[B, T + 2R]``, 1 where
        there are.
    """
    batch, size, length = audio_features.shape
    first = audio_lead - rows
    audio = np.zeros((batch, size, frames + 2 * rows), np.float32)
    inside = np.zeros((batch, frames + 2 * rows), np.float32)
    low, high = max(first, 0), min(first + frames + 2 * rows, length)
    if low < high:
        here = slice(low - first, high - first)
        audio[..., here] = audio_features[..., low:high]
        inside[:, here] = 1.0
    return audio, inside
