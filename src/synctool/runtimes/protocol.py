"""What the engine asks of whatever runs a network. Shapes: B batch, C channels, D embedding, T 25 Hz
frames. Nothing here imports PyTorch, and nothing that implements it hands out anything but numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Graph(Protocol):
    """One exported graph, loaded."""

    def __call__(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Run it.

        Args:
            inputs: float32 arrays in the order of the graph's inputs.

        Returns:
            float32 arrays in the order of its outputs.
        """
        ...


class Runtime(Protocol):
    """Two encoders and a score volume, in numpy.

    Attributes:
        name: ``torch``, or the name of an export format.
        device: ``cpu``, ``cuda`` or ``mps``.
        reach: Frames beyond a frame that the scores may look at.
    """

    name: str
    device: str
    reach: int

    @property
    def threads(self) -> int:
        """Threads that it computes with when asked from this thread.

        Graphs keep those that they were loaded with, whatever is set.
        """
        ...

    @threads.setter
    def threads(self, count: int) -> None: ...

    def encode_video(self, video: np.ndarray) -> np.ndarray:
        """float32 ``[B, C, T, H, W] -> [B, D, T]``, row t centred on frame t."""
        ...

    def encode_audio(self, audio: np.ndarray) -> np.ndarray:
        """Audio features of T frames, float32, ``-> [B, D, T]``, row t centred on frame t."""
        ...

    def score(
        self,
        audio_features: np.ndarray,
        video_features: np.ndarray,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> np.ndarray:
        """Score volume ``[B, 2K+1, T]``, higher is better, ``-inf`` outside the audio.

        Args:
            audio_features: float32 ``[B, D, T_audio]``.
            video_features: float32 ``[B, D, T]``.
            max_offset: K.
            audio_lead: Index in ``audio_features`` of the audio that belongs to video frame 0.
        """
        ...
