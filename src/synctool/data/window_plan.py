"""What the windows of one batch are to be, drawn from the facts about the clips alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from synctool.data.augmentation.table import AugmentSettings
from synctool.data.samples import SampleInfo
from synctool.errors import UsageError
from synctool.plugins.specs import AudioInput, VideoInput

_SHARES = ((1.0, 0.70), (0.67, 0.15), (0.34, 0.10), (0.21, 0.05))
"""Lengths of batches relative to the longest, and how often: short videos must work too."""
_SHORTEST = 5
_CUT_SHARE = 0.3
_FIRST_PX_SHARE = 1 / 3


@dataclass(frozen=True)
class WindowSettings:
    """How windows are drawn.

    Attributes:
        frames: Longest window.
        batch: Windows per batch, of all processes together.
        max_offset: K; the audio is moved by up to this.
        margin: Further candidate frames that the head looks at.
        video: What frames the network takes, which the stored crops can give: ``fitted``.
        audio: What audio it takes.
        strength: Strength of the augmentation, 0..1.
        ramp_steps: Steps until the augmentation has its full strength; clean windows first, or
            the networks do not find the link between mouth and audio for long.
        augment: Probability and strength of each augmentation.
        curriculum_steps: Steps until windows are as hard as they get: at first they are long, loud,
            and moved little and by whole frames; 0 for all kinds from the start (Bengio et al. 2009).
        resolution_steps: Steps until frames are as sharp as they are stored: at first they are made
            a third as wide and large again; 0 for sharp ones from the start.
        rhythm_pairs: Share of the odd rows that are another person's clip of the same source as the row
            before, cut at the same place: audio of the same rhythm, where a source repeats its sentences.
        views: 2 for a second copy of every window with augmentation of its own.
    """

    frames: int
    batch: int
    max_offset: int
    margin: int
    video: VideoInput
    audio: AudioInput
    strength: float = 1.0
    ramp_steps: int = 0
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    curriculum_steps: int = 0
    resolution_steps: int = 0
    rhythm_pairs: float = 0.0
    views: int = 1


@dataclass(frozen=True)
class BatchPlan:
    """One batch before any clip is read.

    Attributes:
        frames: T of all its windows.
        clips: Clip of each row, int ``[B]``.
        leaders: For each row the one whose place in its clip it takes, int ``[B]``: itself, or the one
            before.
        partners: For each row another one to be mixed with, int ``[B]``; itself in a batch of one.
        front: Frames of audio cut off in front: it begins inside the searched range, as in videos.
        back: Frames of audio cut off behind.
        amount: Overall strength of the augmentation.
        ease: 1 for the easiest windows, 0 for all kinds.
        sharp_px: Frames are reduced to this width and made large again.
    """

    frames: int
    clips: np.ndarray
    leaders: np.ndarray
    partners: np.ndarray
    front: int
    back: int
    amount: float
    ease: float
    sharp_px: int


class Planner:
    """Plans batches: that of a step depends on the seed and the step alone.

    Args:
        infos: Facts about the clips.
        settings: How windows are drawn.
        people: Person of each clip; a person is drawn by the square root of his clips.
        seed: Seed.

    Raises:
        UsageError: No clip is as long as a window.
    """

    def __init__(
        self,
        infos: Sequence[SampleInfo],
        settings: WindowSettings,
        *,
        people: Sequence[str],
        seed: int,
    ) -> None:
        self._lengths = np.array([info.num_frames for info in infos], int)
        if not (self._lengths >= settings.frames).any():
            raise UsageError(
                f"no clip to train on has the {settings.frames} frames of a window",
                remedy="Give a smaller --window-frames, or longer clips.",
            )
        _, self._people, counts = np.unique(
            np.array(people), return_inverse=True, return_counts=True
        )
        _, self._sources = np.unique(np.array([i.source for i in infos]), return_inverse=True)
        # Every frame of video alike, but a person with many clips less than many persons.
        self._weights = self._lengths * counts[self._people] ** -0.5
        self._odds: dict[int, np.ndarray] = {}
        self._settings = settings
        self._seed = seed

    def plan(self, step: int) -> BatchPlan:
        """The plan of a step."""
        s = self._settings
        rng = np.random.default_rng((self._seed, step))
        ease = max(0.0, 1 - step / s.curriculum_steps) if s.curriculum_steps else 0.0
        ramp = min(1.0, 0.1 + step / s.ramp_steps) if s.ramp_steps else 1.0
        done = min(1.0, step / s.resolution_steps) if s.resolution_steps else 1.0
        shares = np.array([p for _, p in _SHARES]) * (1 - ease)
        shares[0] += ease
        part = _SHARES[int(rng.choice(len(_SHARES), p=shares))][0]
        frames = min(s.frames, max(_SHORTEST, round(s.frames * part)))
        clips = self.draw(rng, s.batch, at_least=frames)
        turns = rng.integers(1, max(s.batch, 2), s.batch)
        front = back = 0
        if rng.random() < _CUT_SHARE:
            # Few shapes only: kernels are prepared anew for every shape.
            pad = s.max_offset + s.margin
            front, back = ((pad, 0), (0, pad), (pad // 2, pad // 2))[int(rng.integers(3))]
        leaders = self._pair(clips, rng, at_least=frames)
        return BatchPlan(
            frames=frames,
            clips=clips,
            leaders=leaders,
            partners=(np.arange(s.batch) + turns) % s.batch,
            front=front,
            back=back,
            amount=s.strength * ramp,
            ease=ease,
            sharp_px=round(s.video.size_px * (_FIRST_PX_SHARE + (1 - _FIRST_PX_SHARE) * done)),
        )

    def _pair(self, clips: np.ndarray, rng: np.random.Generator, *, at_least: int) -> np.ndarray:
        """Replace some odd rows by clips of another person of the source before; gives the leaders."""
        leaders = np.arange(len(clips))
        for row in range(1, len(clips), 2) if self._settings.rhythm_pairs else ():
            if rng.random() >= self._settings.rhythm_pairs:
                continue
            before = clips[row - 1]
            same = (self._sources == self._sources[before]) & (self._lengths >= at_least)
            fitting = np.flatnonzero(same & (self._people != self._people[before]))
            if fitting.size:
                clips[row], leaders[row] = rng.choice(fitting), row - 1
        return leaders

    def draw(self, rng: np.random.Generator, count: int, *, at_least: int = 0) -> np.ndarray:
        """Clips by chance, of a length or longer: int ``[count]``."""
        if at_least not in self._odds:
            weights = np.where(self._lengths >= at_least, self._weights, 0.0)
            self._odds[at_least] = np.cumsum(weights / weights.sum())
        odds = self._odds[at_least]
        # Beyond the last clip that has a chance, rounding may leave a gap below 1.
        last = int(np.searchsorted(odds, odds[-1]))
        return np.minimum(np.searchsorted(odds, rng.random(count), side="right"), last)
