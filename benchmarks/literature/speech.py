"""Which frames of a waveform are speech, by the voice-activity network of Silero.

Only benchmarks need it, so it is no dependency of the package: ``pip install silero-vad``, whose wheel
carries the network (MIT licence) and works offline.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from synctool.errors import MissingError
from synctool.types import SAMPLES_PER_FRAME

THRESHOLD = 0.5
"""Probability from which a frame counts as speech: Silero's own default."""
_CHUNK = 512


def speech_frames(audio: np.ndarray, *, lead: int, frames: int) -> np.ndarray:
    """Tell speech from everything else, frame by frame.

    Args:
        audio: int16 ``[N]``, 16 kHz.
        lead: Sample at which frame 0 begins; may lie outside the audio.
        frames: T.

    Returns:
        bool ``[T]``: whether the frame's middle is in speech; False outside the audio.

    Raises:
        MissingError: The package ``silero-vad`` is not installed.
    """
    if not audio.size:
        return np.zeros(frames, bool)
    chances = _detector().audio_forward(audio.astype(np.float32) / 32768)
    middles = lead + SAMPLES_PER_FRAME * np.arange(frames) + SAMPLES_PER_FRAME // 2
    heard = np.interp(middles, _CHUNK * np.arange(len(chances)) + _CHUNK // 2, chances)
    return (heard >= THRESHOLD) & (middles >= 0) & (middles < audio.size)


@lru_cache(maxsize=1)
def _detector() -> Any:
    import torch

    threads = torch.get_num_threads()
    try:
        from silero_vad import load_silero_vad

        return load_silero_vad(sequence=True)
    except (ImportError, TypeError) as error:  # TypeError: a version without the sequence network
        raise MissingError(
            "silero-vad, which tells speech from silence, is not installed",
            remedy="Install it: pip install 'silero-vad>=6.2.3'",
        ) from error
    finally:
        torch.set_num_threads(threads)  # importing the package sets them to 1
