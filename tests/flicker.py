"""A network that needs no training, and videos that it can read: light and audio flicker together.

Brightness and loudness follow one random pattern of 40 ms steps. The network compares the two over a
few frames, so its answers are right by construction and whatever is wrong is the engine's fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from fake_plugins import FakePlugin
from synctool.models.correlation import correlate
from synctool.plugins import loader as plugins
from synctool.plugins.specs import AudioInput, BackboneSpec, VideoInput
from synctool.types import SAMPLES_PER_FRAME
from videos import Audio, PlacedFace, Video, face_image, frame_times_s, make_video

NAME = "flicker"
REACH = 8
_LEVEL_FRAMES = 13
_PATTERN_FRAMES = 5
assert REACH == _LEVEL_FRAMES // 2 + _PATTERN_FRAMES // 2

SPEC = BackboneSpec(
    name=NAME,
    tag="test",
    default=True,
    role="joint",
    factory="flicker:Flicker",
    summary="compares brightness with loudness",
    video=VideoInput(crop="face", size_px=16, colour="gray"),
    audio=AudioInput(kind="waveform16k"),
    embedding_size=_PATTERN_FRAMES,
    receptive_field_frames=2 * REACH + 1,
    audio_receptive_field_frames=2 * REACH + 1,
    options={"max_offset": 15},
)


class Flicker(nn.Module):
    """A ``SyncModel`` of one weight."""

    def __init__(self, *, max_offset: int = 15) -> None:
        super().__init__()
        self.max_offset = max_offset
        self.scale = nn.Parameter(torch.tensor(10.0))

    def encode_video(self, video: Tensor) -> Tensor:
        """``[B, 1, T, 16, 16] -> [B, 5, T]``."""
        return _pattern(20 * video.mean((1, 3, 4)))

    def encode_audio(self, audio: Tensor) -> Tensor:
        """``[B, 640 T] -> [B, 5, T]``."""
        power = audio.unflatten(-1, (-1, SAMPLES_PER_FRAME)).square().mean(-1)
        return _pattern((power + 1e-5).log())

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


def _pattern(level: Tensor) -> Tensor:
    """``[B, T] -> [B, 5, T]``: a frame and its neighbours against their surroundings, length 1."""
    around = F.avg_pool1d(
        level[:, None], _LEVEL_FRAMES, 1, _LEVEL_FRAMES // 2, count_include_pad=False
    )
    change = torch.tanh(level[:, None] - around)
    steps = F.pad(change, (_PATTERN_FRAMES // 2,) * 2).unfold(-1, _PATTERN_FRAMES, 1)[:, 0]
    return F.normalize(steps.transpose(1, 2) + 1e-4, dim=1)


@contextmanager
def installed() -> Iterator[None]:
    """The built-in plugins and this network's."""
    made = plugins.Plugins(only=())
    made.load(entry_points(group="synctool"))
    made.register(FakePlugin(synctool_backbones=[SPEC]), name=NAME)
    with plugins.use(made):
        yield


def save_weights(path: Path, **metadata: str) -> Path:
    """A weight file of this network."""
    save_file({"scale": torch.tensor(10.0)}, path, metadata or None)
    return path


# --------------------------------------------------------------------------- videos

_BRIGHT, _DARK = 140, 110
_RATE = 16_000


def pattern(seed: int = 0) -> Callable[[float], int]:
    """A random pattern: 0 or 1 by time in seconds, in steps of 40 ms; any time, also before 0."""
    bits = np.random.default_rng(seed).integers(0, 2, 2000)
    return lambda time_s: int(bits[int(np.floor(time_s * 25 + 1e-6)) + 500])


def flicker_audio(
    at: Callable[[float], int], seconds: float, *, start_s: float = 0.0
) -> np.ndarray:
    """Noise that is loud where the pattern is 1: float32 ``[N]`` at 16 kHz, from ``start_s`` on."""
    count = round(seconds * _RATE)
    noise = np.random.default_rng(1).standard_normal(count)
    loud = [at(i / _RATE + start_s) for i in range(0, count, 40)]
    return (noise * np.repeat(np.where(loud, 0.2, 0.02), 40)[:count]).astype(np.float32)


def flicker_video(
    path: Path,
    *,
    seconds: float = 4.0,
    ahead_frames: float | Callable[[float], float] = 0.0,
    fps: Fraction | float = 25,
    times_s: list[float] | None = None,
    faces: Callable[[float], list[PlacedFace]] | None = None,
    size: tuple[int, int] = (64, 64),
    audio_start_s: float = 0.0,
    audio_s: float | None = None,
    seed: int = 0,
    container: str | None = None,
    keyframes_s: float | None = None,
) -> Path:
    """A video whose light and audio flicker together.

    Args:
        path: Its name.
        seconds: Length of the video.
        ahead_frames: How far the audio is ahead; may change with the time of the audio.
        fps: Frames per second.
        times_s: Their times, where they are not even.
        faces: Real faces by time; None fills the frame with one grey.
        size: Width and height.
        audio_start_s: When the audio track starts.
        audio_s: Length of the audio track, to the end unless given.
        seed: Of the pattern.
        container: Where the name does not tell.
        keyframes_s: Time between keyframes, 10 s unless given.
    """
    at = pattern(seed)
    times = frame_times_s(fps, seconds) if times_s is None else times_s
    images = []
    for time_s, next_s in zip(times, [*times[1:], seconds]):
        # What a frame shows is what happens in the middle of its time on screen.
        level = _BRIGHT if at((time_s + next_s) / 2) else _DARK
        if faces is None:
            images.append(np.full((size[1], size[0]), level, np.uint8))
        else:
            image = face_image(size, *faces(time_s), background=90).astype(np.float32)
            images.append((image * level / _BRIGHT).astype(np.uint8))
    every = {} if keyframes_s is None else {"g": str(round(keyframes_s * fps))}
    lasts_s = seconds - audio_start_s if audio_s is None else audio_s
    ahead = ahead_frames if callable(ahead_frames) else lambda _: ahead_frames
    samples = flicker_audio(lambda t: at(t + ahead(t) / 25), lasts_s, start_s=audio_start_s)
    return make_video(
        path,
        seconds=seconds,
        video=Video(
            fps=fps,
            size=size,
            times_s=times_s,
            images=images,
            options={"preset": "ultrafast", "crf": "18", **every},
        ),
        audio=[
            Audio(codec="aac", rate=_RATE, layout="mono", samples=samples, start_s=audio_start_s)
        ],
        container=container,
    )
