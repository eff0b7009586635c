"""A video as embeddings of any number of models.

A video is opened, decoded and tracked once, whatever the number of models; crops that two of them want
alike are cut once; each model encodes its own as the video streams by. Of the frames only embeddings stay
(of the default model 25 kB a second), and of the audio either embeddings or its 16-bit samples, which can
be encoded again under any shift.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synctool.errors import UsageError
from synctool.faces.detector import FaceDetector
from synctool.features.loudness import Loudness
from synctool.features.steadiness import LevelSpread
from synctool.features.voice_activity import VoiceActivity
from synctool.measure.embeddings import (
    EncodedVideo,
)
from synctool.measure.encode_clip import SILENT_PEAK
from synctool.measure.face_encoder import FrameCrops
from synctool.measure.model_encoder import ModelEncoder
from synctool.measure.mouth_watch import MouthWatch
from synctool.measure.scene import SceneWatch
from synctool.measure.threads import encoding_pool
from synctool.measure.thumbnails import ThumbnailKeeper
from synctool.measure.timing import Stopwatch
from synctool.measure.tracks import build_detector, followed
from synctool.media.video_file import VideoFile
from synctool.media.waiting import STALL_S
from synctool.networks.loaded import LoadedModel
from synctool.settings.shared import DEFAULT_DETECTOR
from synctool.types import (
    PLAYED,
    VIDEO_FPS,
    StreamSelection,
)

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class DetectProgress:
    """How far one video is; ``ticks_total`` is None where the video does not say its length."""

    frames_done: int
    frames_total: int | None


def encode(
    path: str | os.PathLike[str],
    models: Sequence[LoadedModel],
    *,
    detector: str | FaceDetector = DEFAULT_DETECTOR,
    streams: StreamSelection = PLAYED,
    max_faces: int = 4,
    allow_external: bool = False,
    stall_timeout: float = STALL_S,
    thumbnails: int = 0,
    keep_samples: bool = False,
    isolated: bool = False,
    mouths: bool = False,
    channels: bool = False,
    on_progress: Callable[[DetectProgress], None] | None = None,
) -> EncodedVideo:
    """Read a video once, for any number of models.

    Args:
        path: The video; also a ``file:`` URL, or ``-`` for the standard input.
        models: The models.
        detector: A face detector, or the name of one.
        streams: Which of its streams, as a player takes them unless told.
        max_faces: At most so many faces are followed at a time.
        allow_external: Whether a playlist may name local files outside its folder.
        stall_timeout: Longest wait for a frame, in seconds, before a video is given up; 0 waits for ever.
        thumbnails: At most so many small images are kept.
        keep_samples: Whether the samples of the audio are kept, in place of its embeddings.
        isolated: Whether a model that fails is noted as such, and the others go on; else its error is
            raised.
        channels: Whether every channel of the audio is kept for itself: 1.9 MB a minute each.
        mouths: Whether to measure the motion of the mouths and the level of the audio, and to note what
            the video is like.
        on_progress: Called every second of video.

    Raises:
        MissingError: No such file.
        MediaError: It cannot be read, or has no video or no audio.
        UsageError: It has no such audio track, there is no such detector, or two models are the same.
    """
    _check_different(models)
    faces = build_detector(detector) if isinstance(detector, str) else detector
    stopwatch = Stopwatch()
    stopwatch.now("decode")
    colour = decoded_colour(models)
    kept: list[np.ndarray] = []
    listening: list[Future[None]] = []
    level, voice = LevelSpread(), None if keep_samples else VoiceActivity()
    loudness = Loudness() if mouths else None
    watch, scene = MouthWatch(), SceneWatch() if mouths else None
    with (
        encoding_pool(*(model.runtime for model in models)) as pool,
        VideoFile(
            path,
            streams=streams,
            colour=colour,
            allow_external=allow_external,
            stall_s=stall_timeout,
            each_channel=channels,
        ) as video,
    ):
        encoders = [
            ModelEncoder(model, pool=pool, stopwatch=stopwatch, isolated=isolated)
            for model in models
        ]
        shots = ThumbnailKeeper(thumbnails, expected_frames=video.expected_frames, colour=colour)

        def take_audio() -> None:
            stopwatch.now("audio")
            samples = video.audio.pop(video.audio.available)
            level.add(samples)
            if loudness is not None:
                loudness.add(samples)
            if scene is not None:
                scene.add_audio(samples)
            if keep_samples:
                kept.append(samples)
                return
            if voice is not None:
                listening.append(pool.submit(voice.add, samples))
            for encoder in encoders:
                encoder.add_audio(samples)

        for tracked in followed(video, faces, max_faces=max_faces, stopwatch=stopwatch):
            shots.see(tracked)
            crops = FrameCrops(tracked.frame, colour=colour)
            for encoder in encoders:
                encoder.add(tracked, crops)
            if mouths:
                watch.add(tracked, crops)
            if scene is not None:
                scene.add(tracked)
            index = tracked.frame.index
            if index % VIDEO_FPS == 0:
                for encoder in encoders:
                    encoder.release(tracked)
                take_audio()
                stopwatch.now("faces")
                if on_progress:
                    on_progress(DetectProgress(index, video.expected_frames))
        take_audio()
        if not keep_samples:
            for encoder in encoders:
                encoder.finish_audio()
        stopwatch.now("video")  # waits for the models, so that their time is not another's
        found = tuple(encoder.finish() for encoder in encoders)
        if voice is not None:
            listening.append(pool.submit(voice.finish))
            for done in listening:
                done.result()
        stopwatch.now("")
        return EncodedVideo(
            source=video.source,
            frames=max(video.frame_count, 1),
            models=found,
            samples=np.concatenate([*kept, np.zeros(0, np.int16)]),
            silent=video.audio.peak < SILENT_PEAK,
            steady=level.steady,
            speech=None if voice is None else voice.frames(max(video.frame_count, 1)),
            stage_s=stopwatch.seconds,
            thumbnails=shots.thumbnails(),
            frames_late=video.frames_late,
            mouths=watch.series(),
            channels=tuple(track.pop(track.end) for track in video.channel_audio),
            channel_names=video.channel_names,
            scene=None if scene is None else scene.notes(max(video.frame_count, 1)),
            levels_db=None if loudness is None else loudness.levels(max(video.frame_count, 1)),
        )


def decoded_colour(models: Sequence[LoadedModel]) -> str | None:
    """The order of colours to decode: the one that all want, RGB for both, None for grey frames."""
    wanted = {model.spec.video.colour for model in models} - {"gray"}
    if not wanted:
        return None
    return wanted.pop() if len(wanted) == 1 else "rgb"


def _check_different(models: Sequence[LoadedModel]) -> None:
    known: set[tuple[str, str]] = set()
    for model in models:
        key = (model.spec.full_name, model.weights)
        if key in known:
            raise UsageError(
                f"{key[0]} with the weights {key[1]} is given twice", remedy="Give it once."
            )
        known.add(key)
