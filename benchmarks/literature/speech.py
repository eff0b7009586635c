"""Which frames of a video's audio are speech, where its first frame does not begin with the first sample."""

from __future__ import annotations

import numpy as np

from synctool.features.voice_activity import SPEECH, VoiceActivity
from synctool.types import SAMPLES_PER_FRAME


def speech_frames(audio: np.ndarray, *, lead: int, frames: int) -> np.ndarray:
    """Tell speech from everything else, frame by frame.

    Args:
        audio: int16 ``[N]``, 16 kHz.
        lead: Sample at which frame 0 begins; may lie outside the audio.
        frames: T.

    Returns:
        bool ``[T]``: whether the frame's middle is in speech; False outside the audio.
    """
    voice = VoiceActivity()
    voice.add(audio)
    voice.finish()
    middles = lead + SAMPLES_PER_FRAME * np.arange(frames) + SAMPLES_PER_FRAME // 2
    return voice.at(middles) >= SPEECH
