"""Segments of video with the audio round them, to compare an exported model on: out of processed
folders or videos, cut as ``detect`` cuts them; or made up where there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from synctool.data.augment import fit_crops
from synctool.data.pool import PooledSample, SamplePool
from synctool.data.processed import Processed
from synctool.data.samples import Sample, SampleInfo
from synctool.data.storage import storage
from synctool.errors import MissingError
from synctool.features.frontends import FRONT_ENDS
from synctool.features.stored_crops import fitted
from synctool.features.video_input import as_batch, prepared
from synctool.measure.tracks import build_detector
from synctool.media.video_file import VideoFile
from synctool.media.waiting import STALL_S
from synctool.plugins.specs import ModelSpec
from synctool.prepare.clips import CropSettings, VideoClips
from synctool.prepare.inputs import expand
from synctool.prepare.pairs import split_in
from synctool.prepare.videos import VideoEntry
from synctool.settings.shared import DEFAULT_DETECTOR
from synctool.types import SAMPLES_PER_FRAME

LENGTHS = (25, 15, 40)
"""Frames of the windows, in turn: an exported graph must take any length."""
SHIFTS = 10
"""The audio of the windows is moved by up to so many frames, so that no offset is the rule."""
_LEAST_FRAMES = 10
_MADE_UP = "made-up"
_BLOCKS = 6

Clip = Sample | PooledSample


@dataclass(frozen=True)
class Window:
    """Video frames, and all audio frames that they are compared with.

    Attributes:
        clip: The clip that it is cut from.
        first: First frame in the clip.
        frames: T.
        rows: R: the audio begins R frames before the video and ends R frames after it.
        moved: Frames by which the audio is moved.
        spec: The network's own input.
    """

    clip: Clip
    first: int
    frames: int
    rows: int
    moved: int
    spec: ModelSpec

    def video(self) -> np.ndarray:
        """float32 ``[1, C, T, S, S]``."""
        crops = self.clip.crops[self.first : self.first + self.frames]
        wanted = self.spec.video
        fit = np.ascontiguousarray(fit_crops(crops, self.clip.info.crop, wanted))
        return prepared(as_batch(fit), wanted).numpy()

    def audio(self) -> np.ndarray:
        """Audio features of T + 2R frames, with a batch of one; silence where the clip has no audio."""
        front = FRONT_ENDS[self.spec.audio.kind]
        begin, end = self._samples()
        low, high = begin - front.before, end + front.after
        audio = self.clip.audio
        inner = audio[max(low, 0) : max(high, 0)]
        padded = np.zeros(high - low, np.int16)
        at = max(-low, 0)
        padded[at : at + inner.size] = inner
        return front.compute(front.at_level(padded))[None]

    @property
    def inside(self) -> tuple[int, int]:
        """First and end of the audio's frames that the clip has whole."""
        begin, end = self._samples()
        first = max(0, -(begin // SAMPLES_PER_FRAME))
        lacking = max(0, end - self.clip.audio.size)
        last = self.frames + 2 * self.rows - -(-lacking // SAMPLES_PER_FRAME)
        return first, max(last, first)

    def _samples(self) -> tuple[int, int]:
        """First and end of its audio in the clip's samples; may lie outside."""
        from_frame = self.first - self.rows + self.moved
        begin = self.clip.info.sound_lead + from_frame * SAMPLES_PER_FRAME
        return begin, begin + (self.frames + 2 * self.rows) * SAMPLES_PER_FRAME


@dataclass(frozen=True)
class Windows:
    """Windows for two purposes, of other people or other clips where that can be had.

    Attributes:
        compared: To compare on.
        calibration: To find the ranges of numbers with.
        real: Whether they are from videos.
    """

    compared: tuple[Window, ...]
    calibration: tuple[Window, ...]
    real: bool


class Inputs(Sequence[tuple[np.ndarray, ...]]):
    """The inputs that windows give to one graph, made when they are asked for.

    Args:
        windows: The windows.
        side: ``video`` or ``audio``.
    """

    def __init__(self, windows: Sequence[Window], side: str) -> None:
        self._windows = windows
        self._side = side

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:  # type: ignore[override]
        window = self._windows[index]
        return (window.video() if self._side == "video" else window.audio(),)


def real_windows(
    places: Sequence[str],
    spec: ModelSpec,
    *,
    rows: int,
    count: int,
    calibration: int = 0,
    detector: str = DEFAULT_DETECTOR,
    allow_external: bool = False,
    on_video: Callable[[str], None] | None = None,
) -> Windows:
    """Cut windows out of processed folders and videos.

    Of a folder with a split, ranges are found on the people that were trained on, and the comparison
    takes the others.

    Args:
        places: Processed folders; videos, globs, folders of videos.
        spec: What the network takes.
        rows: R of each window.
        count: How many to compare on, fewer where there is not so much.
        calibration: How many to find ranges with.
        detector: Face detector for videos.
        allow_external: Whether a playlist may name local files outside its folder.
        on_video: Told each video that is read.

    Raises:
        MissingError: No such place, or no face with audio in any of them.
        UsageError: The crops are not what the network takes.
        SyncToolError: A video or a shard cannot be read.
    """
    held: list[Clip] = []
    trained: list[Clip] = []
    video_files: list[str] = []
    for place in places:
        if _is_processed(place):
            ours, theirs = _processed(place)
            held += ours
            trained += theirs
        else:
            video_files += expand([place])
    each = -(-(count + calibration) // max(len(video_files), 1))
    for video_file in video_files:
        if on_video:
            on_video(video_file)
        held += _of_video(video_file, spec, detector, each, allow_external)
    held, trained = (
        [c for c in cs if c.info.num_frames >= _LEAST_FRAMES] for cs in (held, trained)
    )
    if not held:
        held, trained = trained, []
    if not held:
        raise MissingError(
            "there is no segment with a face and audio in what --clips names",
            remedy="Give a folder that preprocess made, or videos of somebody who speaks.",
        )
    for clip in (*held, *trained):
        fitted(clip.info, spec.video, any_crop=False)
    if calibration and not trained:
        held, trained = (held[::2], held[1::2]) if len(held) > 1 else (held, held)
    cut = (_cut(clips, spec, rows, n) for clips, n in ((held, count), (trained, calibration)))
    return Windows(*cut, real=True)


def made_up_windows(spec: ModelSpec, *, rows: int, count: int, seed: int = 0) -> Windows:
    """Windows of patterns and noise: the graphs compute with them, but no offset is true.

    Args:
        spec: What the network takes.
        rows: R of each window.
        count: How many.
        seed: Seed.
    """
    frames = max(LENGTHS)
    chance = np.random.default_rng(seed)
    needed = -(-count // (frames // _LEAST_FRAMES))
    clips = [_noise(spec, frames, frames + 2 * (rows + SHIFTS), chance) for _ in range(needed)]
    return Windows(_cut(clips, spec, rows, count), (), real=False)


def of_length(windows: Sequence[Window], frames: int) -> tuple[Window, ...]:
    """The same windows with another length, without those whose clips are shorter."""
    return tuple(
        replace(w, frames=frames, first=min(w.first, w.clip.info.num_frames - frames))
        for w in windows
        if w.clip.info.num_frames >= frames
    )


def _is_processed(place: str) -> bool:
    if Path(place).is_file():
        return False
    if "://" not in place and not Path(place).is_dir():
        return False
    return bool(storage(place).names("shard-*.json"))


def _processed(place: str) -> tuple[list[Clip], list[Clip]]:
    """Clips that the split keeps out of the training, and those trained on."""
    folder = Processed(place)
    parts = {key: a.split for key, a in (split_in(folder.storage) or {}).items()}
    sides: tuple[list[Clip], list[Clip]] = ([], [])
    for clip in SamplePool(folder, cache_mb=0):
        part = parts.get(clip.info.key, clip.info.split)
        sides[part == "train"].append(clip)
    return sides


def _of_video(
    video_file: str, spec: ModelSpec, detector: str, windows: int, allow_external: bool
) -> Iterator[Clip]:
    """Clips of a video until there is enough for so many windows."""
    wanted = spec.video
    colour = "gray" if wanted.colour == "gray" else "rgb"
    settings = CropSettings(
        crop=wanted.crop, size_px=wanted.size_px, colour=colour, min_frames=_LEAST_FRAMES
    )
    entry = VideoEntry(video_file, key=Path(video_file).stem)
    frames = 0
    wanted_colour = None if colour == "gray" else colour
    with VideoFile(
        video_file, colour=wanted_colour, allow_external=allow_external, stall_s=STALL_S
    ) as opened:
        for clip in VideoClips(opened, entry, build_detector(detector), settings):
            yield clip
            frames += clip.info.num_frames
            if frames >= windows * max(LENGTHS):
                return


def _cut(clips: Sequence[Clip], spec: ModelSpec, rows: int, count: int) -> tuple[Window, ...]:
    """Windows evenly out of all clips, several of one where there are few."""
    room = [max(1, clip.info.num_frames // _LEAST_FRAMES) for clip in clips]
    count = min(count, sum(room))
    taken = [0] * len(clips)
    windows: list[Window] = []
    step = max(1, len(clips) / max(count, 1))
    place = 0.0
    while len(windows) < count:
        index = int(place) % len(clips)
        while taken[index] >= room[index]:
            index = (index + 1) % len(clips)
        windows.append(_window(clips[index], spec, rows, len(windows), taken[index]))
        taken[index] += 1
        place += step
    return tuple(windows)


def _window(clip: Clip, spec: ModelSpec, rows: int, number: int, time: int) -> Window:
    frames = min(LENGTHS[number % len(LENGTHS)], clip.info.num_frames)
    # The golden ratio spreads any number of windows over a clip, the first in its middle.
    share = (0.5 + 0.618 * time) % 1
    return Window(
        clip=clip,
        first=round(share * (clip.info.num_frames - frames)),
        frames=frames,
        rows=rows,
        moved=number * 8 % (2 * SHIFTS + 1) - SHIFTS,
        spec=spec,
    )


def _noise(spec: ModelSpec, frames: int, audio_frames: int, chance: np.random.Generator) -> Sample:
    video = spec.video
    size = video.size_px
    channels = () if video.colour == "gray" else (3,)
    blocks = chance.integers(0, 256, (frames, _BLOCKS, _BLOCKS, *channels), dtype=np.uint8)
    index = np.arange(size) * _BLOCKS // size
    crops = np.ascontiguousarray(blocks[:, index][:, :, index])
    loud = np.repeat(chance.random(audio_frames), SAMPLES_PER_FRAME)
    audio = (chance.normal(0, 4000, loud.size) * loud).clip(-32768, 32767).astype(np.int16)
    info = SampleInfo(
        key=_MADE_UP,
        video_path=_MADE_UP,
        speaker="",
        source=_MADE_UP,
        split="",
        track=0,
        first_tick=0,
        num_frames=frames,
        sound_lead=(audio_frames - frames) // 2 * SAMPLES_PER_FRAME,
        crop=video.crop,
        size_px=size,
        colour="rgb" if channels else "gray",
    )
    return Sample(info, crops, np.zeros((64, 64), np.uint8), audio)
