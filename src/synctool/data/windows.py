"""Training windows drawn on the fly: mouth crops, and log-mel sound moved by a known amount."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synctool.data.augment import (
    Strength,
    augment_mouth,
    augment_sound,
    centre_crop,
    mask_bands,
)
from synctool.data.samples import Sample
from synctool.errors import UsageError
from synctool.features.logmel import MARGIN, logmel
from synctool.types import SAMPLES_PER_FRAME

_SHARES = ((1.0, 0.70), (0.67, 0.15), (0.34, 0.10), (0.21, 0.05))
"""Lengths of batches relative to the longest, and how often: short films must work too."""
_FADE = 80


@dataclass(frozen=True)
class WindowSettings:
    """How windows are drawn.

    Attributes:
        frames: Longest window.
        batch: Windows per batch.
        max_offset: K; the sound is moved by up to this.
        margin: Further candidate frames that the head looks at.
        size_px: Side of the network's crops.
        strength: Strength of the augmentation, 0..1.
        ramp_steps: Steps until the augmentation has its full strength; clean windows first, or
            the networks do not find the link between mouth and sound for long.
    """

    frames: int
    batch: int
    max_offset: int
    margin: int
    size_px: int
    strength: float = 1.0
    ramp_steps: int = 0


@dataclass(frozen=True)
class WindowBatch:
    """One batch.

    Attributes:
        video: uint8 ``[B, 1, T, S, S]``.
        audio: float32 ``[B, 1, 64, 4 T_audio]``.
        offset_frames: float32 ``[B]``, the true offset.
        audio_lead: Sound frame that belongs to video frame 0.
    """

    video: Tensor
    audio: Tensor
    offset_frames: Tensor
    audio_lead: int


class WindowStream(torch.utils.data.IterableDataset):
    """An endless, reproducible stream of batches: batch i depends on the seed and i alone.

    Args:
        samples: What to draw from.
        settings: How.
        constants: Constant offset of each sample in frames (audio ahead positive), by which its
            labels are corrected; None for zeros.
        people: Person of each sample; a person is drawn by the square root of his clips.
        seed: Seed.
        offsets: Offsets of each sample in whole frames to choose from; None draws any.

    Raises:
        UsageError: No sample is as long as a window.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        settings: WindowSettings,
        *,
        constants: Sequence[float] | None,
        people: Sequence[str],
        seed: int,
        offsets: Sequence[Sequence[int]] | None = None,
    ) -> None:
        if all(s.info.num_frames < settings.frames for s in samples):
            raise UsageError(
                f"no clip to train on has the {settings.frames} frames of a window",
                remedy="Give a smaller --window-frames, or longer clips.",
            )
        self._samples = samples
        self._settings = settings
        self._constants = [0.0] * len(samples) if constants is None else list(constants)
        counts: dict[str, int] = {}
        for person in people:
            counts[person] = counts.get(person, 0) + 1
        # Every frame of film alike, but a person with many clips less than many persons.
        weights = np.array([s.info.num_frames * counts[p] ** -0.5 for s, p in zip(samples, people)])
        self._odds = np.cumsum(weights / weights.sum())
        self._mates: dict[str, list[int]] = {}
        for index, person in enumerate(people):
            self._mates.setdefault(person, []).append(index)
        self._people = people
        self._seed = seed
        self._offsets = offsets
        self._start = 0

    def start_at(self, step: int) -> None:
        """Begin with a later batch, to continue a run."""
        self._start = step

    def __iter__(self) -> Iterator[WindowBatch]:
        step = self._start
        while True:
            yield self.batch(step)
            step += 1

    def batch(self, step: int) -> WindowBatch:
        """The batch of a step."""
        s = self._settings
        rng = np.random.default_rng((self._seed, step))
        share = rng.choice([x for x, _ in _SHARES], p=[p for _, p in _SHARES])
        frames = max(5, round(s.frames * share))
        pad = s.max_offset + s.margin
        ramp = min(1.0, 0.1 + step / s.ramp_steps) if s.ramp_steps else 1.0
        strength = Strength(s.strength * ramp)
        drawn: list[tuple[np.ndarray, np.ndarray, float]] = []
        while len(drawn) < s.batch:
            index = self._draw(rng)
            if self._samples[index].info.num_frames >= frames:
                drawn.append(self._window(index, frames, pad, strength, rng))
        video = torch.from_numpy(np.stack([v for v, _, _ in drawn]))[:, None]
        audio = torch.from_numpy(np.stack([a for _, a, _ in drawn]))[:, None]
        lead = pad
        if rng.random() < 0.3:  # the sound begins or ends inside the searched range, as in films
            # Few shapes only: kernels are prepared anew for every shape.
            front, back = ((pad, 0), (0, pad), (pad // 2, pad // 2))[int(rng.integers(3))]
            audio = audio[..., 4 * front : audio.shape[-1] - 4 * back]
            lead -= front
        offsets = torch.tensor([o for _, _, o in drawn], dtype=torch.float32)
        return WindowBatch(video, audio.contiguous(), offsets, lead)

    def _draw(self, rng: np.random.Generator) -> int:
        return min(int(np.searchsorted(self._odds, rng.random())), len(self._samples) - 1)

    def _window(
        self, index: int, frames: int, pad: int, strength: Strength, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, float]:
        s, sample, constant = self._settings, self._samples[index], self._constants[index]
        first = int(rng.integers(0, sample.info.num_frames - frames + 1))
        if self._offsets is None:
            reach = int((s.max_offset - abs(constant)) * SAMPLES_PER_FRAME)
            moved = int(rng.integers(-reach, reach + 1))
        else:
            listed = self._offsets[index]
            moved = listed[int(rng.integers(len(listed)))] * SAMPLES_PER_FRAME
        begin = sample.info.sound_lead + (first - pad) * SAMPLES_PER_FRAME + moved - MARGIN
        length = (frames + 2 * pad) * SAMPLES_PER_FRAME + 2 * MARGIN
        # The same person's sound, or the voice would tell which candidates belong to the clip.
        mates = self._mates[self._people[index]]
        filler = self._samples[mates[int(rng.integers(len(mates)))]].sound
        sound = stretch(sample.sound, begin, length, filler, rng).astype(np.float32) / 32768
        if strength.amount > 0 and rng.random() < 0.85:
            others = [
                self._samples[self._draw(rng)].sound.astype(np.float32)
                for _ in range(int(rng.integers(1, 4)))
            ]
            sound = augment_sound(sound, others, rng, strength)
        mel = mask_bands(logmel(sound), rng, strength)
        crops = sample.crops[first : first + frames]
        if strength.amount > 0:
            crops = augment_mouth(crops, s.size_px, rng, strength)
        else:
            crops = centre_crop(crops, s.size_px)
        return crops, mel, moved / SAMPLES_PER_FRAME + constant


def stretch(
    sound: np.ndarray, begin: int, length: int, filler: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A stretch of sound that may reach beyond its clip; what lies outside is another clip's sound.

    Silence there would tell the network where the clip is.

    Args:
        sound: int16 ``[N]``.
        begin: First sample, may be negative.
        length: Samples wanted.
        filler: int16, sound of another clip, repeated as needed.
        rng: Source of chance.

    Returns:
        int16 ``[length]``.
    """
    low, high = max(begin, 0), min(begin + length, sound.size)
    if high - low == length:
        return sound[low:high]
    turn = int(rng.integers(0, max(filler.size, 1)))
    out = np.resize(np.roll(filler, turn), length) if filler.size else np.zeros(length, np.int16)
    if high > low:
        part = sound[low:high].astype(np.float32)
        at = low - begin
        under = out[at : at + part.size].astype(np.float32)
        fade = np.ones(part.size, np.float32)
        ramp = np.linspace(0, 1, min(_FADE, part.size), dtype=np.float32)
        if low > begin:
            fade[: ramp.size] = ramp
        if high < begin + length:
            fade[-ramp.size :] = np.minimum(fade[-ramp.size :], ramp[::-1])
        out = out.copy()
        out[at : at + part.size] = (part * fade + under * (1 - fade)).astype(np.int16)
    return out
