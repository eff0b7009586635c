"""Videos whose answer is known by construction, and networks that read them without error or not at all.

Every frame has a number of its own. Its frame is a pattern of dark and bright squares that stands for
the number, its audio a chord that stands for it; ``CodeReader`` looks both up, so that it finds every
offset. ``CodeGuesser`` reads both as well, but takes every number for a random one. Whoever does not know
the code finds nothing but noise: no two frames have the same number, patterns are equally bright and chords
equally loud, so that nothing but the code tells which belong together. (With brightness and loudness that
rise together, a network of random weights is right or wrong throughout, by the sign of a weight.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from synctool.models.correlation import correlate
from synctool.plugins import loader as plugins
from synctool.plugins.hookspecs import hookimpl
from synctool.plugins.specs import AudioInput, BackboneSpec, VideoInput
from synctool.types import AUDIO_HZ, SAMPLES_PER_FRAME
from videos import write_video

READER, GUESSER = "code-reader", "code-guesser"
CODES = 4096
"""So many numbers there are: as many frames can be made without using one twice."""
IMAGE_PX = 144
_SQUARES = 6
_MIDDLE, _CONTRAST = 120, 14
"""Changes of every second square by twice the contrast are too small to be taken for a cut."""
_TONES, _CHORD = 120, 10
_LOWEST, _STEP = 12, 2
"""Tones in steps of 25 Hz, the resolution of a frame; every second one is used, so that a chord which
begins or ends within a frame does not leak into the tones beside it."""
_AMPLITUDE = 1500
_SEEN, _HEARD = 0.8, 0.45
"""Likeness, -1 to 1, below which a pattern or a chord is not taken for a number. Half a frame of a chord
has about 0.7."""
_SCALE = 10.0

_GUESSES = 64

SPECS = tuple(
    BackboneSpec(
        name=name,
        tag="made",
        default=True,
        role="joint",
        factory=f"{__name__}:{factory}",
        summary=summary,
        video=VideoInput(crop="face", size_px=72, colour="gray"),
        audio=AudioInput(kind="waveform16k"),
        embedding_size=size,
        options={"max_offset": 15},
    )
    for name, factory, summary, size in (
        (READER, "CodeReader", "reads made-up videos whose frames are numbered", CODES),
        (GUESSER, "CodeGuesser", "reads the same videos wrongly", _GUESSES),
    )
)


class CodeReader(nn.Module):
    """A ``SyncModel`` whose embedding is the number of the frame, as one of ``CODES``."""

    def __init__(self, *, max_offset: int = 15) -> None:
        super().__init__()
        self.max_offset = max_offset
        self.scale = nn.Parameter(torch.tensor(_SCALE))
        patterns, chords = torch.from_numpy(_patterns()), torch.from_numpy(_chords())
        self.register_buffer("patterns", _unit(patterns.flatten(1).float()), persistent=False)
        self.register_buffer("chords", _unit(chords.float()), persistent=False)

    def encode_video(self, video: Tensor) -> Tensor:
        """``[B, 1, T, S, S] -> [B, CODES, T]``."""
        side = video.shape[-1] // _SQUARES
        squares = video[:, 0].unflatten(-1, (_SQUARES, side)).unflatten(-3, (_SQUARES, side))
        return _looked_up(squares.mean((-3, -1)).flatten(2), self.patterns, _SEEN)

    def encode_audio(self, audio: Tensor) -> Tensor:
        """``[B, 640 T] -> [B, CODES, T]``."""
        spectrum = torch.fft.rfft(audio.unflatten(-1, (-1, SAMPLES_PER_FRAME))).abs()
        tones = spectrum[..., _LOWEST : _LOWEST + _STEP * _TONES : _STEP]
        return _looked_up(tones, self.chords, _HEARD)

    def score(
        self,
        audio_features: Tensor,
        video_features: Tensor,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> Tensor:
        """See ``SyncModel.score``."""
        volume, inside = correlate(
            audio_features, video_features, max_offset=max_offset, audio_lead=audio_lead
        )
        return (volume * self.scale).masked_fill(~inside, float("-inf"))


class CodeGuesser(CodeReader):
    """A ``SyncModel`` that takes each number of a frame for one random direction, and that of a waveform
    for another: no candidate is better than another, and none is like its neighbour."""

    def __init__(self, *, max_offset: int = 15) -> None:
        super().__init__(max_offset=max_offset)
        self.seen = nn.Parameter(torch.zeros(_GUESSES, CODES))
        self.heard = nn.Parameter(torch.zeros(_GUESSES, CODES))

    def encode_video(self, video: Tensor) -> Tensor:
        """``[B, 1, T, S, S] -> [B, 64, T]``."""
        return nn.functional.normalize(self.seen @ super().encode_video(video), dim=1)

    def encode_audio(self, audio: Tensor) -> Tensor:
        """``[B, 640 T] -> [B, 64, T]``."""
        return nn.functional.normalize(self.heard @ super().encode_audio(audio), dim=1)


@contextmanager
def installed() -> Iterator[None]:
    """The networks that are installed, and these two."""
    made = plugins.Plugins(only=())
    made.load(entry_points(group="synctool"))
    made.register(_Plugin(), name=READER)
    with plugins.use(made):
        yield


def save_reader(path: Path) -> Path:
    """Weights of ``CodeReader``."""
    save_file({"scale": torch.tensor(_SCALE)}, path, {"backbone": READER})
    return path


def save_guesser(path: Path, *, seed: int) -> Path:
    """Weights of ``CodeGuesser``: all of them random."""
    chance = torch.Generator().manual_seed(seed)
    tables = {
        name: torch.randn(_GUESSES, CODES, generator=chance).contiguous()
        for name in ("seen", "heard")
    }
    save_file({"scale": torch.tensor(_SCALE), **tables}, path, {"backbone": GUESSER})
    return path


def coded_video(path: Path, *, first: int, frames: int, ahead_frames: int = 0) -> Path:
    """Write a video.

    Args:
        path: Ends in ``.mkv``.
        first: Number of its first frame; videos whose numbers do not overlap have nothing in common.
        frames: T.
        ahead_frames: How far the audio is ahead; beyond the video's ends it is another video's.

    Raises:
        ValueError: There are not so many numbers.
    """
    if not 0 <= first <= CODES - frames:
        raise ValueError(f"numbers end at {CODES}")
    side = IMAGE_PX // _SQUARES
    numbers = np.arange(first, first + frames)
    images = [
        (_MIDDLE + _CONTRAST * _patterns()[n]).astype(np.uint8).repeat(side, 0).repeat(side, 1)
        for n in numbers
    ]
    audio = np.concatenate([_played(n) for n in (numbers + ahead_frames) % CODES])
    write_video(path, images, audio)
    return path


class _Plugin:
    @hookimpl
    def synctool_backbones(self) -> list[BackboneSpec]:
        return list(SPECS)


@cache
def _patterns() -> np.ndarray:
    """int8 ``[CODES, 6, 6]`` of -1 and 1, as many of the one as of the other."""
    rng = np.random.default_rng(1)
    half = np.repeat(np.array([-1, 1], np.int8), _SQUARES**2 // 2)
    made = [rng.permutation(half) for _ in range(CODES)]
    return np.stack(made).reshape(CODES, _SQUARES, _SQUARES)


@cache
def _chords() -> np.ndarray:
    """Boolean ``[CODES, tones]``: those that audio."""
    rng = np.random.default_rng(2)
    chords = np.zeros((CODES, _TONES), bool)
    for chord in chords:
        chord[rng.choice(_TONES, _CHORD, replace=False)] = True
    return chords


def _played(number: int) -> np.ndarray:
    """A frame of a chord: int16 ``[640]``."""
    phases = np.random.default_rng((3, number)).uniform(0, 2 * np.pi, _CHORD)
    tones = _LOWEST + _STEP * np.flatnonzero(_chords()[number])
    angles = 2 * np.pi * np.outer(tones, np.arange(SAMPLES_PER_FRAME)) / SAMPLES_PER_FRAME
    return (_AMPLITUDE * np.sin(angles + phases[:, None]).sum(0)).astype(np.int16)


def _looked_up(features: Tensor, table: Tensor, least: float) -> Tensor:
    """How much of each number is in ``[B, T, F]``: ``[B, CODES, T]`` of length 1, or 0 for nothing."""
    likeness = _unit(features) @ table.T
    return nn.functional.normalize((likeness - least).clamp(min=0), dim=-1).transpose(1, 2)


def _unit(features: Tensor) -> Tensor:
    return nn.functional.normalize(features - features.mean(-1, keepdim=True), dim=-1)


assert AUDIO_HZ / SAMPLES_PER_FRAME * (_LOWEST + _STEP * _TONES) < AUDIO_HZ / 2
