"""Decoded audio of any channel layout to 16 kHz mono: one channel of it, or all mixed.

FFmpeg mixes layouts that it has a matrix for (mono, stereo, 5.1 ...). Of ambisonic audio the
omnidirectional channel W is taken (ACN order: the first), of all other layouts the plain mean.
"""

from __future__ import annotations

import re

import av
import numpy as np
from av.error import FFmpegError

from synctool.types import AUDIO_HZ

_MOST_PLANES = 8
"""PyAV reads beyond the memory of frames with so many planes: they are packed by FFmpeg first."""
_FULL_SCALE = {"u1": 1 << 7, "i2": 1 << 15, "i4": 1 << 31, "i8": 1 << 63}


class Downmix:
    """Brings frames of one rate, format and layout to 16 kHz mono.

    Args:
        channel: Which channel, counted from 0; None mixes them. One that the frames do not have mixes
            them too.
    """

    def __init__(self, channel: int | None = None) -> None:
        self._channel = channel
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_HZ)
        self._by_ffmpeg: bool | None = None

    def add(self, frame: av.AudioFrame | None) -> list[np.ndarray]:
        """Take the next frame, None at the end.

        Args:
            frame: The frame; its timestamp is removed.

        Returns:
            int16 ``[N]`` each.
        """
        if frame is None:
            ready = [] if self._by_ffmpeg is None else self._resampler.resample(None)
        else:
            frame.pts = None  # the filter must not rescale foreign time bases
            ready = self._mixed(frame)
        return [part.to_ndarray().reshape(-1) for part in ready if part.samples]

    def _mixed(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        count = frame.layout.nb_channels
        chosen = self._channel is not None and self._channel < count > 1
        if self._by_ffmpeg is None:
            self._by_ffmpeg = not chosen and not is_ambisonic(frame.layout.name)
            if self._by_ffmpeg:
                try:
                    return self._resampler.resample(frame)
                except (FFmpegError, ValueError):  # a layout without a matrix
                    self._by_ffmpeg = False
                    self._resampler = av.AudioResampler("s16", "mono", AUDIO_HZ)
        if self._by_ffmpeg:
            return self._resampler.resample(frame)
        samples = planes(frame)
        if chosen:
            mono = samples[self._channel]
        else:
            mono = samples[0] if is_ambisonic(frame.layout.name) else samples.mean(0)
        alone = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(mono[None], np.float32), format="fltp", layout="mono"
        )
        alone.sample_rate = frame.sample_rate
        return self._resampler.resample(alone)


def planes(frame: av.AudioFrame) -> np.ndarray:
    """The samples of a frame by channel: float32 ``[channels, N]`` in -1..1, whatever its format."""
    count = frame.layout.nb_channels
    if frame.format.is_planar and count >= _MOST_PLANES:
        packer = av.AudioResampler("flt", frame.layout, frame.sample_rate)
        packed = [part.to_ndarray().reshape(-1, count).T for part in packer.resample(frame)]
        return np.concatenate([*packed, np.zeros((count, 0), np.float32)], 1)
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, count).T
    kind = samples.dtype.str[1:]
    if kind in _FULL_SCALE:
        full = _FULL_SCALE[kind]
        values = samples.astype(np.float32)
        return (values - full if kind == "u1" else values) / np.float32(full)
    return samples.astype(np.float32)


def is_ambisonic(layout: str) -> bool:
    """Whether FFmpeg's name of a layout is that of ambisonic audio, with or without further channels."""
    return layout.startswith("ambisonic")


def channel_names(layout: str, count: int) -> list[str]:
    """What the channels are called: ``FL``, ``FC`` ..., ``W``, or ``1``, ``2`` ... where they have no names.

    Args:
        layout: FFmpeg's name of the layout.
        count: Number of channels.
    """
    if is_ambisonic(layout):
        names = ["W", *(f"ACN{i}" for i in range(1, count))]
        return names[:count]
    listed = re.search(r"\(([A-Z0-9+]+)\)", layout)
    if listed and len(names := listed[1].split("+")) == count:
        return names
    try:
        names = [channel.name for channel in av.AudioLayout(layout).channels]
    except (ValueError, AttributeError):
        names = []
    if layout == "2 channels":  # what players take it for
        return ["FL", "FR"]
    usable = len(names) == count and all(names) and len(set(names)) == count
    return names if usable and "NONE" not in names else [str(i + 1) for i in range(count)]
