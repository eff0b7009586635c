"""Training windows drawn on the fly: frames, and audio moved by a known amount, for any network."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from synctool.data.augment import (
    Dice,
    augment_audio,
    augment_features,
    augment_images,
    with_gain,
    with_room,
)
from synctool.data.augmentation.backgrounds import Backgrounds
from synctool.data.augmentation.camera import coarse
from synctool.data.augmentation.mixing import IMAGE_MIXES, SECOND_VOICE, mix_audio, mix_images
from synctool.data.samples import SampleInfo
from synctool.data.window_plan import BatchPlan, Planner, WindowSettings
from synctool.errors import UsageError
from synctool.features.frontends import FRONT_ENDS, FrontEnd
from synctool.plugins.specs import VideoInput
from synctool.types import SAMPLES_PER_FRAME

__all__ = ["STAGES", "WindowBatch", "WindowSettings", "WindowStream", "audio_segment"]

STAGES = ("crops", "audio", "image augmentation", "audio augmentation", "bands")
"""What the seconds of a batch went to: reading crops, reading and cutting audio, augmenting both,
and the features of the audio, whatever their kind."""
_FADE = 80
_PLACES = 4
_FIRST_REACH = 1 / 3
_GREY = VideoInput(crop="mouth", size_px=72, colour="gray")


class SampleLike(Protocol):
    """What a window is cut from: ``Sample``, or one that reads its parts when they are asked for."""

    @property
    def info(self) -> SampleInfo:
        """The facts about it."""
        ...

    @property
    def crops(self) -> np.ndarray:
        """uint8 ``[T, S, S]``, or ``[T, S, S, 3]`` in colour."""
        ...

    @property
    def audio(self) -> np.ndarray:
        """int16 ``[N]``; frame t begins at ``info.sound_lead + 640 t``."""
        ...


@dataclass(frozen=True)
class WindowBatch:
    """One batch.

    Attributes:
        video: uint8 ``[B, 1, T, S, S]``; ``[B, 3, T, S, S]`` in RGB.
        audio: float32 ``[B, 1, bands, 4 T_audio]``, or the waveform ``[B, 640 T_audio]``.
        offset_frames: float32 ``[B]``, the true offset.
        audio_lead: Audio frame that belongs to video frame 0.
        seconds: How long making it took, by the names in ``STAGES``.
        targets: float32 ``[B, N, T]``, auxiliary targets of the frames, NaN where they are
            not known; None without any.
        video_input: What ``synctool.features.video_input.prepared`` makes of ``video`` before a network sees
            it.
        units: int64 ``[B, T]``, the speech unit of each frame, -1 where it is not known; None without any.
        second_video: The same frames augmented anew, as ``video``; None with one view.
        second_audio: The same audio augmented anew, as ``audio``.
    """

    video: Tensor
    audio: Tensor
    offset_frames: Tensor
    audio_lead: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    targets: Tensor | None = None
    video_input: VideoInput = _GREY
    units: Tensor | None = None
    second_video: Tensor | None = None
    second_audio: Tensor | None = None


@dataclass(frozen=True)
class _Window:
    """A window before it is mixed with another: its frames, its audio in samples, its label."""

    crops: np.ndarray
    audio: np.ndarray
    offset_frames: float
    dice: Dice
    first: int


class WindowStream(torch.utils.data.IterableDataset):
    """An endless, reproducible stream of batches: batch i depends on the seed and i alone.

    Args:
        samples: What to draw from; one is asked for its crops and its audio only when they are used.
            If it has ``infos``, the facts are taken from there.
        settings: How, and what the network takes.
        constants: Constant offset of each sample in frames (audio ahead positive), by which its
            labels are corrected; None for zeros.
        people: Person of each sample; a person is drawn by the square root of his clips.
        seed: Seed.
        offsets: Offsets of each sample in whole frames to choose from; None draws any.
        shard: Number of this process and how many there are; each makes its own rows of the same
            batch, and the rows of all in order are the batch of one process.
        backgrounds: Recorded rooms, noises and music for the audio's augmentation.
        targets: Of each sample float ``[T, N]``, which do not change when the frame is mirrored,
            or None where nothing is known of it.
        units: Of each sample int ``[T]``, -1 where the unit of a frame is not known; or None.

    Raises:
        UsageError: No sample is as long as a window, or there are more processes than rows.
    """

    def __init__(
        self,
        samples: Sequence[SampleLike],
        settings: WindowSettings,
        *,
        constants: Sequence[float] | None,
        people: Sequence[str],
        seed: int,
        offsets: Sequence[Sequence[int]] | None = None,
        shard: tuple[int, int] = (0, 1),
        targets: Sequence[np.ndarray | None] | None = None,
        backgrounds: Backgrounds | None = None,
        units: Sequence[np.ndarray | None] | None = None,
    ) -> None:
        self._backgrounds = backgrounds
        self._samples = samples
        self._infos = getattr(samples, "infos", None) or [s.info for s in samples]
        self._settings = settings
        self._planner = Planner(self._infos, settings, people=people, seed=seed)
        self._constants = [0.0] * len(self._infos) if constants is None else list(constants)
        self._mates: dict[str, list[int]] = {}
        for index, person in enumerate(people):
            self._mates.setdefault(person, []).append(index)
        self._people = people
        self._seed = seed
        self._offsets = offsets
        self._targets = targets
        self._units = units
        self._rows = _rows_of(shard, settings.batch)
        self._start = 0
        self._clock = _Clock()

    @property
    def _front(self) -> FrontEnd:
        # Not kept: a stream that goes to a worker is pickled.
        return FRONT_ENDS[self._settings.audio.kind]

    def start_at(self, step: int) -> None:
        """Begin with a later batch, to continue a run."""
        self._start = step

    def __iter__(self) -> Iterator[WindowBatch]:
        worker = torch.utils.data.get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        step = self._start + number
        while True:
            yield self.batch(step)
            step += workers

    def batch(self, step: int) -> WindowBatch:
        """The batch of a step, or this process's rows of it."""
        self._clock = _Clock()
        plan = self._planner.plan(step)
        windows = {row: self._window(row, step, plan) for row in self._rows}
        video, audio = self._tensors(step, plan, windows)
        second = (None, None)
        if self._settings.views > 1:
            again = {row: self._window(row, step, plan, view=1) for row in self._rows}
            second = self._tensors(step, plan, again, view=1)
        return WindowBatch(
            video=video,
            audio=audio,
            offset_frames=torch.tensor(
                [windows[row].offset_frames for row in self._rows], dtype=torch.float32
            ),
            audio_lead=self._settings.max_offset + self._settings.margin - plan.front,
            seconds=dict(self._clock.seconds),
            targets=self._known_targets(plan, windows),
            video_input=self._settings.video,
            units=self._known_units(plan, windows),
            second_video=second[0],
            second_audio=second[1],
        )

    def _tensors(
        self, step: int, plan: BatchPlan, windows: dict[int, _Window], *, view: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Frames and audio features of the rows."""
        rows = [self._finished(row, step, plan, windows, view=view) for row in self._rows]
        video = torch.from_numpy(np.stack([crops for crops, _ in rows]))
        video = video[:, None] if video.ndim == 4 else video.movedim(-1, 1).contiguous()
        audio = torch.from_numpy(np.stack([features for _, features in rows]))
        steps = self._front.steps
        audio = audio[..., steps * plan.front : audio.shape[-1] - steps * plan.back]
        return video, audio.contiguous()

    def _known_targets(self, plan: BatchPlan, windows: dict[int, _Window]) -> Tensor | None:
        if self._targets is None:
            return None
        width = next((t.shape[1] for t in self._targets if t is not None), 0)
        out = np.full((len(self._rows), width, plan.frames), np.nan, np.float32)
        for i, row in enumerate(self._rows):
            known, first = self._targets[int(plan.clips[row])], windows[row].first
            if known is not None:
                part = known[first : first + plan.frames].T
                out[i, :, : part.shape[1]] = part
        return torch.from_numpy(out)

    def _known_units(self, plan: BatchPlan, windows: dict[int, _Window]) -> Tensor | None:
        if self._units is None:
            return None
        out = np.full((len(self._rows), plan.frames), -1, np.int64)
        for i, row in enumerate(self._rows):
            known, first = self._units[int(plan.clips[row])], windows[row].first
            if known is not None:
                part = known[first : first + plan.frames]
                out[i, : len(part)] = part
        return torch.from_numpy(out)

    def _window(self, row: int, step: int, plan: BatchPlan, *, view: int = 0) -> _Window:
        s, index = self._settings, int(plan.clips[row])
        rng, dice = self._chance(row, step, plan)
        sample = self._samples[index]
        first = self._first(index, sample, plan, rng)
        if (leader := int(plan.leaders[row])) != row:
            led = int(plan.clips[leader])
            place = self._first(led, self._samples[led], plan, self._chance(leader, step, plan)[0])
            first = min(place, self._infos[index].num_frames - plan.frames)
        moved = self._moved(index, plan.ease, rng)
        audio = self._audio(index, sample, first, moved, plan.frames, rng)
        with self._clock("crops"):
            crops = sample.crops[first : first + plan.frames]
            crops = with_room(crops, self._infos[index].crop, s.video)
        if view:  # the same frames and audio, with chance of its own for the augmentation
            rng = np.random.default_rng((self._seed, step, row + 1, view))
            dice = Dice(s.augment, rng, amount=plan.amount)
        voices, other_person = rng.integers(2**63, size=2)
        with self._clock("audio augmentation"):
            audio = augment_audio(
                audio,
                dice,
                voices=lambda: self._voices(int(voices)),
                backgrounds=self._backgrounds,
            )
        with self._clock("image augmentation"):
            crops = augment_images(
                crops,
                s.video.size_px,
                dice,
                other_person=lambda: self._other_person(int(other_person)),
            )
        label = moved / SAMPLES_PER_FRAME + self._constants[index]
        return _Window(crops, audio, label, dice, first)

    def _chance(self, row: int, step: int, plan: BatchPlan) -> tuple[np.random.Generator, Dice]:
        """A row's own chance, so that a process can make it without the rows before it."""
        # The number of a row begins at 1: a seed that ends in 0 is the same as one without the 0.
        rng = np.random.default_rng((self._seed, step, row + 1))
        return rng, Dice(self._settings.augment, rng, amount=plan.amount)

    def _finished(
        self, row: int, step: int, plan: BatchPlan, windows: dict[int, _Window], *, view: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The row as the network is given it: crops, and features of the audio."""
        window = windows[row]
        crops, audio, dice = window.crops, window.audio, window.dice
        partner = int(plan.partners[row])
        if partner != row and any(dice.hit(name) for name in (*IMAGE_MIXES, SECOND_VOICE)):
            # A row of another process is made here too, which costs little as long as it is rare.
            other = windows.get(partner) or self._window(partner, step, plan, view=view)
            with self._clock("image augmentation"):
                crops = mix_images(crops, other.crops, dice)
            with self._clock("audio augmentation"):
                audio = mix_audio(audio, other.audio, dice)
        with self._clock("bands"):
            leveled = self._front.level_db is not None
            audio = with_gain(self._front.at_level(audio), dice, leveled=leveled)
            features = self._front.compute(audio)
        with self._clock("audio augmentation"):
            features = augment_features(features, self._settings.audio.kind, dice)
        with self._clock("image augmentation"):
            crops = coarse(crops, plan.sharp_px)
        return crops, features

    def _first(
        self, index: int, sample: SampleLike, plan: BatchPlan, rng: np.random.Generator
    ) -> int:
        """Where in its clip a window begins; easy ones at the loudest of a few places."""
        places = rng.integers(0, self._infos[index].num_frames - plan.frames + 1, _PLACES)
        if rng.random() >= plan.ease:
            return int(places[0])
        with self._clock("audio"):
            loud = _loudness(sample.audio, self._infos[index])
        return int(max(places, key=lambda p: loud[p : p + plan.frames].mean()))

    def _moved(self, index: int, ease: float, rng: np.random.Generator) -> int:
        """By how many samples the audio is moved ahead."""
        if self._offsets is not None:
            listed = self._offsets[index]
            return listed[int(rng.integers(len(listed)))] * SAMPLES_PER_FRAME
        constant = self._constants[index]
        most = self._settings.max_offset - abs(constant)
        reach = max(0, int(most * (1 - (1 - _FIRST_REACH) * ease) * SAMPLES_PER_FRAME))
        moved = int(rng.integers(-reach, reach + 1))
        if rng.random() < ease:  # between two candidates is harder than on one
            label = round(moved / SAMPLES_PER_FRAME + constant)
            moved = round((label - constant) * SAMPLES_PER_FRAME)
        return moved

    def _audio(
        self,
        index: int,
        sample: SampleLike,
        first: int,
        moved: int,
        frames: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """The moved audio of a window with the searched range about it, float32 in -1..1."""
        pad, front = self._settings.max_offset + self._settings.margin, self._front
        begin = self._infos[index].sound_lead + (first - pad) * SAMPLES_PER_FRAME + moved
        begin -= front.before
        length = front.before + (frames + 2 * pad) * SAMPLES_PER_FRAME + front.after
        # The same person's audio, or the voice would tell which candidates belong to the clip.
        mates = self._mates[self._people[index]]
        mate = mates[int(rng.integers(len(mates)))]
        with self._clock("audio"):
            audio = sample.audio
            inside = begin >= 0 and begin + length <= audio.size
            filler = audio if inside else self._samples[mate].audio
            segment = audio_segment(audio, begin, length, filler, rng)
            return segment.astype(np.float32) / 32768

    def _voices(self, seed: int) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        chosen = self._planner.draw(rng, int(rng.integers(1, 4)))
        with self._clock("audio"):
            return [self._samples[int(index)].audio for index in chosen]

    def _other_person(self, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        with self._clock("crops"):
            index = int(self._planner.draw(rng, 1)[0])
            crops = self._samples[index].crops
            at = int(rng.integers(len(crops)))
            return with_room(crops[at : at + 1], self._infos[index].crop, self._settings.video)[0]


class _Clock:
    """Seconds by stage; what a stage inside another takes is not counted twice."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self._inside = [0.0]

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        self._inside.append(0.0)
        yield
        passed = time.perf_counter() - started
        self.seconds[stage] += passed - self._inside.pop()
        self._inside[-1] += passed


def audio_segment(
    audio: np.ndarray, begin: int, length: int, filler: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A segment of audio that may reach beyond its clip; what lies outside is another clip's audio.

    Silence there would tell the network where the clip is.

    Args:
        audio: int16 ``[N]``.
        begin: First sample, may be negative.
        length: Samples wanted.
        filler: int16, audio of another clip, repeated as needed.
        rng: Random generator.

    Returns:
        int16 ``[length]``.
    """
    low, high = max(begin, 0), min(begin + length, audio.size)
    if high - low == length:
        return audio[low:high]
    turn = int(rng.integers(0, max(filler.size, 1)))
    out = np.resize(np.roll(filler, turn), length) if filler.size else np.zeros(length, np.int16)
    if high > low:
        part = audio[low:high].astype(np.float32)
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


def _rows_of(shard: tuple[int, int], batch: int) -> range:
    """The rows of a process: as even as can be, in the order of the processes."""
    rank, world = shard
    if not 0 <= rank < world:
        raise UsageError(f"there is no process {rank} among {world}")
    if world > batch:
        raise UsageError(
            f"{world} processes cannot share batches of {batch}",
            remedy="Give a larger --batch-size, or fewer processes.",
        )
    return range(batch * rank // world, batch * (rank + 1) // world)


def _loudness(audio: np.ndarray, info: SampleInfo) -> np.ndarray:
    """Level of each frame in dB, float ``[T]``; what lies outside the audio is silent."""
    lead, size = info.sound_lead, info.num_frames * SAMPLES_PER_FRAME
    part = np.zeros(size, np.float32)
    low, high = max(lead, 0), min(lead + size, audio.size)
    if high > low:
        part[low - lead : high - lead] = audio[low:high]
    level = (part.reshape(-1, SAMPLES_PER_FRAME) ** 2).mean(1)
    return 10 * np.log10(level + 1)
