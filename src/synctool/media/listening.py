"""A short look into the audio of a video before it is read: which tracks and channels carry speech.

A few seconds at a few places are decoded, of all audio tracks in question at once. How much is read is
bounded, whatever the length and the rate of the video.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from synctool.media.announced import announced_length_s, announced_start_s
from synctool.media.downmix import Downmix, planes
from synctool.media.speech_likeness import speech_likeness
from synctool.types import AUDIO_HZ, SAMPLES_PER_FRAME

SILENT_DB = -60.0
"""Audio that never gets louder, relative to full scale, is silence."""
_PLACES = (0.0, 0.2, 0.4, 0.6, 0.8)
_PIECE_S = 4.0
_MOST_BYTES = 64 << 20
_MOST_PACKETS = 20_000
_MOST_S = 3.0
"""Limits of one place: bytes of all streams, their packets, and time."""
_SOFTER_DB = 25.0


@dataclass(frozen=True)
class Signal:
    """One channel, or a mix, over all places.

    Attributes:
        level_db: Of its loudest tenth, in blocks of 40 ms, relative to full scale; -inf for digital silence.
        peak_db: Of its loudest sample.
        likeness: See ``speech_likeness``: mean over the places where it is not silent, 0 without any.
    """

    level_db: float
    peak_db: float
    likeness: float

    @property
    def silent(self) -> bool:
        """Whether nothing was heard."""
        return self.peak_db < SILENT_DB


@dataclass(frozen=True)
class TrackAudio:
    """What was heard of one audio track.

    Attributes:
        mix: All channels mixed.
        channels: Each by itself.
    """

    mix: Signal
    channels: tuple[Signal, ...]

    @property
    def silent(self) -> bool:
        """Whether nothing was heard on any channel."""
        return all(channel.silent for channel in self.channels)

    @property
    def likeness(self) -> float:
        """That of the channel most like speech, or of the mix."""
        return max(self.mix.likeness, *(channel.likeness for channel in self.channels))


def listen(container: InputContainer, tracks: Sequence[int]) -> dict[int, TrackAudio]:
    """Listen to some audio tracks.

    Args:
        container: Opened for this alone: it is left somewhere in the middle.
        tracks: Numbers of the audio tracks, counted from 0; each must have a decoder.

    Returns:
        What was heard, by number. A track of which nothing could be decoded is left out.
    """
    streams = [container.streams.audio[number] for number in tracks]
    places = _places(container)
    pieces: dict[int, list[np.ndarray]] = {number: [] for number in tracks}
    for at_s in places:
        if at_s is not None and not _sought(container, at_s):
            break
        of_place = _decoded(container, streams, _PIECE_S if at_s is not None else 5 * _PIECE_S)
        for number, stream in zip(tracks, streams):
            if (piece := of_place[stream.index]) is not None:
                pieces[number].append(piece)
    return {number: _track_audio(found) for number, found in pieces.items() if found}


def _places(container: InputContainer) -> list[float | None]:
    """Seconds to look at; None alone for a file that cannot be searched: its beginning."""
    duration_s = announced_length_s(container)
    start_s = announced_start_s(container)
    if duration_s <= len(_PLACES) * _PIECE_S:
        return [None]
    return [start_s + share * duration_s for share in _PLACES]


def _sought(container: InputContainer, at_s: float) -> bool:
    try:
        container.seek(round(at_s * av.time_base))
    except FFmpegError:
        return False
    return True


def _decoded(
    container: InputContainer, streams: Sequence[av.AudioStream], length_s: float
) -> dict[int, np.ndarray | None]:
    """Audio from here on, by index of the stream: float32 ``[1 + channels, N]`` with the mix first."""
    mixers = {stream.index: _Channels() for stream in streams}
    missing = {stream.index for stream in streams}
    until = time.monotonic() + _MOST_S
    read = 0
    try:
        for count, packet in enumerate(container.demux()):
            read += packet.size
            if read > _MOST_BYTES or count > _MOST_PACKETS or time.monotonic() > until:
                break
            mixer = mixers.get(packet.stream.index)
            if mixer is None or packet.stream.index not in missing:
                continue
            mixer.add(packet)
            if mixer.seconds >= length_s:
                missing.discard(packet.stream.index)
                if not missing:
                    break
    except (FFmpegError, IndexError):  # what was heard until then will do
        pass
    return {index: mixer.samples() for index, mixer in mixers.items()}


class _Channels:
    """Decodes one stream, and keeps the mix and every channel at 16 kHz."""

    def __init__(self) -> None:
        self._mix = Downmix()
        self._apart: av.AudioResampler | None = None
        self._format: tuple[int, str, str] | None = None
        self._mixed: list[np.ndarray] = []
        self._parts: list[np.ndarray] = []
        self.seconds = 0.0

    def add(self, packet: av.Packet) -> None:
        try:
            frames = packet.decode()
        except FFmpegError:
            return
        for frame in frames:
            described = (frame.sample_rate, frame.layout.name, frame.format.name)
            if self._apart is None:
                self._format = described
                self._apart = av.AudioResampler("flt", frame.layout, AUDIO_HZ)
            if described != self._format:
                continue
            self.seconds += frame.samples / frame.sample_rate
            frame.pts = None
            self._parts += [planes(part) for part in self._apart.resample(frame)]
            self._mixed += self._mix.add(frame)

    def samples(self) -> np.ndarray | None:
        if not self._parts:
            return None
        apart = np.concatenate(self._parts, 1)
        mixed = np.concatenate([*self._mixed, np.zeros(0, np.int16)]).astype(np.float32) / 32768
        length = min(apart.shape[1], mixed.size)
        return np.concatenate([mixed[None, :length], apart[:, :length]]) if length else None


def _track_audio(pieces: Sequence[np.ndarray]) -> TrackAudio:
    count = min(len(piece) for piece in pieces)
    mix, *channels = (_signal([piece[i] for piece in pieces]) for i in range(count))
    return TrackAudio(mix, tuple(channels))


def _signal(pieces: Sequence[np.ndarray]) -> Signal:
    levels_db = [_level_db(piece) for piece in pieces]
    loudest = max(levels_db)
    likeness = [
        speech_likeness(piece)
        for piece, level_db in zip(pieces, levels_db)
        if level_db >= max(SILENT_DB, loudest - _SOFTER_DB)
    ]
    peak = max(float(np.abs(piece).max(initial=0.0)) for piece in pieces)
    return Signal(loudest, _db(peak**2), float(np.mean(likeness)) if likeness else 0.0)


def _level_db(samples: np.ndarray) -> float:
    """Level of the loudest tenth of its 40 ms blocks."""
    whole = samples[: samples.size // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME]
    if not whole.size:
        whole = samples
    power = (whole.reshape(-1, min(SAMPLES_PER_FRAME, whole.size)) ** 2).mean(1)
    return _db(float(np.percentile(power, 90)) if power.size else 0.0)


def _db(power: float) -> float:
    return 10 * float(np.log10(power)) if power > 0 else -np.inf
