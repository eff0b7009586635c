"""What a file says about the frames and the audio that its network takes."""

from __future__ import annotations

import math

from synctool.plugins.specs import AudioInput, VideoInput
from synctool.untrusted.documents import typed
from synctool.untrusted.origin import MalformedError

_SIZES_PX = (8, 1024)
_CHANNELS = (1, 3)


def video_input(facts: object) -> VideoInput:
    """Video input from a JSON object; what a newer version added is passed over.

    Raises:
        MalformedError: Something is missing, of another type, or makes no sense.
    """
    video: VideoInput = typed(facts, VideoInput)
    if not _SIZES_PX[0] <= video.size_px <= _SIZES_PX[1]:
        raise MalformedError(f"its frames have {video.size_px} px")
    if len(video.mean) not in _CHANNELS or len(video.std) not in _CHANNELS:
        raise MalformedError("the mean and std of its frames are not of one or three channels")
    numbers = (*video.value_range, *video.mean, *video.std)
    if not all(map(math.isfinite, numbers)) or not all(video.std):
        raise MalformedError("the mean, std or value_range of its frames cannot be used")
    return video


def audio_input(facts: object) -> AudioInput:
    """Audio input from a JSON object.

    Raises:
        MalformedError: It is none that is known.
    """
    return typed(facts, AudioInput)
