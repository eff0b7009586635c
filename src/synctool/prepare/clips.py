"""A video cut into samples: crops and audio of each followed face, a few seconds held at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from synctool.data.samples import PORTRAIT_PX, Sample, SampleInfo, longest_frames
from synctool.faces.crops import face_crop, mouth_crop
from synctool.faces.detector import FaceDetector
from synctool.faces.tracking import Pose
from synctool.measure.encode_clip import is_silent
from synctool.measure.tracks import followed
from synctool.media.audio_track import AudioTrack
from synctool.media.frame_reader import TimelineFrame
from synctool.media.video_file import VideoFile
from synctool.prepare.videos import VideoEntry
from synctool.types import SAMPLES_PER_FRAME

CONTEXT_FRAMES = 25
"""Audio kept on either side of a sample, where the video has it."""


@dataclass(frozen=True)
class CropSettings:
    """What is cut out of videos.

    Attributes:
        crop: ``mouth`` (upright, at a fixed scale) or ``face`` (SyncNet's padded box).
        size_px: Side of the crops.
        colour: ``gray`` or ``rgb``.
        min_frames: Shorter segments are dropped.
        max_faces: At most so many faces are followed at a time, the largest first.
        min_face_px: Lower faces are passed over.
    """

    crop: Literal["mouth", "face"]
    size_px: int
    colour: Literal["gray", "rgb"]
    min_frames: int
    max_faces: int = 1
    min_face_px: int = 0


@dataclass(frozen=True)
class SyncSettings:
    """How clips are brought into sync: see ``synctool.prepare.resync``."""

    backbone: str
    weights: str | None
    min_confidence: float


@dataclass
class _OpenClip:
    """One face without a break, up to the longest sample."""

    track: int
    first_tick: int
    portrait: np.ndarray
    face_px: float
    crops: list[np.ndarray] = field(default_factory=list)

    @property
    def end_frame(self) -> int:
        return self.first_tick + len(self.crops)

    @property
    def begin_sample(self) -> int:
        return max(0, self.first_tick - CONTEXT_FRAMES) * SAMPLES_PER_FRAME

    @property
    def end_sample(self) -> int:
        return (self.end_frame + CONTEXT_FRAMES) * SAMPLES_PER_FRAME


class VideoClips:
    """Iterates over the samples of one video.

    Args:
        video: An opened video, not yet iterated.
        entry: What is known about it.
        detector: Finds the faces.
        settings: What to cut.

    Attributes:
        faces: Whether any face was seen.
        silent: Samples that were dropped because their audio is silence.
    """

    def __init__(
        self, video: VideoFile, entry: VideoEntry, detector: FaceDetector, settings: CropSettings
    ) -> None:
        self._video = video
        self._entry = entry
        self._detector = detector
        self._settings = settings
        self._longest = longest_frames(settings.size_px)
        self._open: dict[int, _OpenClip] = {}
        self._closed: list[_OpenClip] = []
        self._audio = _RecentAudio(video.audio)
        self.faces = False
        self.silent = 0

    def __iter__(self) -> Iterator[Sample]:
        frame_index = 0
        for tracked in followed(
            self._video,
            self._detector,
            max_faces=self._settings.max_faces,
            smallest_face_px=self._settings.min_face_px or None,
        ):
            frame_index = tracked.frame.index
            for number in [n for n in self._open if n not in tracked.poses]:
                self._closed.append(self._open.pop(number))
            for number, pose in tracked.poses.items():
                self._add(number, tracked.frame, pose)
            yield from self._ready(frame_index)
        self._closed += self._open.values()
        self._open.clear()
        yield from self._ready(frame_index, last=True)

    def _add(self, number: int, frame: TimelineFrame, pose: Pose) -> None:
        self.faces = True
        clip = self._open.get(number)
        if clip is None:
            assert frame.luma is not None  # a face was found in it
            portrait = face_crop(frame.luma, pose.box, PORTRAIT_PX)
            height = float(pose.box[3] - pose.box[1]) / frame.scale
            clip = self._open[number] = _OpenClip(number, frame.index, portrait, height)
        s = self._settings
        source = frame.luma if s.colour == "gray" else frame.colour
        assert source is not None  # the video was opened for this colour
        if s.crop == "mouth":
            clip.crops.append(mouth_crop(source, pose.points, s.size_px))
        else:
            clip.crops.append(face_crop(source, pose.box, s.size_px))
        if len(clip.crops) == self._longest:
            self._closed.append(self._open.pop(number))

    def _ready(self, frame_index: int, *, last: bool = False) -> Iterator[Sample]:
        """The samples whose audio has come in."""
        if not self._closed and frame_index % 25:
            return
        self._audio.take()
        waiting = []
        for clip in self._closed:
            if last or clip.end_sample <= self._audio.end:
                if len(clip.crops) >= self._settings.min_frames:
                    yield from self._sample(clip)
            else:
                waiting.append(clip)
        self._closed = waiting
        oldest = [s.begin_sample for s in (*waiting, *self._open.values())]
        recent = max(0, frame_index - CONTEXT_FRAMES) * SAMPLES_PER_FRAME
        self._audio.forget(min([*oldest, recent]))

    def _sample(self, clip: _OpenClip) -> Iterator[Sample]:
        audio = self._audio.between(clip.begin_sample, clip.end_sample)
        if is_silent(audio):
            self.silent += 1
            return
        entry, s = self._entry, self._settings
        info = SampleInfo(
            key=f"{entry.key}-{clip.track:02d}-{clip.first_tick:06d}",
            video_path=entry.name,
            speaker=entry.speaker,
            source=entry.source,
            language=entry.language,
            split=entry.split,
            film=entry.film,
            track=clip.track,
            first_tick=clip.first_tick,
            num_frames=len(clip.crops),
            sound_lead=clip.first_tick * SAMPLES_PER_FRAME - clip.begin_sample,
            face_px=round(clip.face_px, 1),
            crop=s.crop,
            size_px=s.size_px,
            colour=s.colour,
        )
        yield Sample(info, np.stack(clip.crops), clip.portrait, audio)


class _RecentAudio:
    """The last part of a video's audio, addressed by timeline sample."""

    def __init__(self, track: AudioTrack) -> None:
        self._track = track
        self._held = np.zeros(0, np.int16)
        self._start = 0

    @property
    def end(self) -> int:
        return self._start + self._held.size

    def take(self) -> None:
        """Take over what has been decoded."""
        if self._track.available:
            self._held = np.concatenate([self._held, self._track.pop(self._track.available)])

    def between(self, begin: int, end: int) -> np.ndarray:
        return self._held[max(begin - self._start, 0) : max(end - self._start, 0)].copy()

    def forget(self, before: int) -> None:
        """Release what nobody will ask for."""
        drop = min(before - self._start, self._held.size)
        if drop > 0:
            self._held = self._held[drop:].copy()
            self._start += drop
