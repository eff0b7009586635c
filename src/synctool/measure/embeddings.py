"""What models make of a video: embeddings of its faces and of its audio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from synctool.features.mouth_motion import MouthSeries
from synctool.networks.loaded import LoadedModel
from synctool.types import VIDEO_FPS, Source

if TYPE_CHECKING:
    from synctool.measure.scene import SceneNotes
    from synctool.measure.thumbnails import Thumbnail


@dataclass(frozen=True)
class FaceEmbeddings:
    """One face through one model.

    Attributes:
        number: Its track number.
        first_frame: Frame index of its first frame in the video.
        rows: float16 ``[D, T]``.
        boxes: ``[4]`` each: left, top, right, bottom in source pixels, once a second.
        eyes_apart: How far apart the eyes are, as a share of their distance to the mouth, once a second:
            little where the head is turned away.
    """

    number: int
    first_frame: int
    rows: np.ndarray
    boxes: tuple[np.ndarray, ...] = ()
    eyes_apart: tuple[float, ...] = ()

    @property
    def frames(self) -> int:
        """T."""
        return self.rows.shape[1]

    @property
    def end_frame(self) -> int:
        """Frame index after its last frame."""
        return self.first_frame + self.frames

    def part(self, start: int, stop: int) -> FaceEmbeddings | None:
        """The face between two frame indices, counted from the first of them.

        The rows were made with the frames round them, so the first and the last ones have seen a few
        frames beyond the cut.

        Returns:
            None where there is nothing of it.
        """
        low, high = max(start, self.first_frame), min(stop, self.end_frame)
        if low >= high:
            return None
        rows = self.rows[:, low - self.first_frame : high - self.first_frame]
        first = min((low - self.first_frame) // VIDEO_FPS, len(self.boxes) - 1)
        last = -(-(high - self.first_frame) // VIDEO_FPS)
        kept = slice(first, max(last, first + 1))
        return FaceEmbeddings(
            self.number, low - start, rows, self.boxes[kept], self.eyes_apart[kept]
        )


@dataclass(frozen=True)
class AudioEmbeddings:
    """Audio through one model.

    Attributes:
        rows: float16 ``[D, T_audio]``.
        first_frame: Frame index that the first row belongs to; negative where the audio begins before
            the video.
    """

    rows: np.ndarray
    first_frame: int = 0


@dataclass(frozen=True)
class ModelEmbeddings:
    """A video through one model.

    Attributes:
        backbone: Full name of the model.
        weights: Name and checksum of its weights.
        faces: The faces, in the order of their numbers.
        audio: The audio; without a row where its samples were kept instead.
        seconds: Time that it took for the crops, without what the models share; see ``network_clock``.
        error: Why there is nothing; the other models are not concerned.
    """

    backbone: str
    weights: str
    faces: tuple[FaceEmbeddings, ...] = ()
    audio: AudioEmbeddings = AudioEmbeddings(np.zeros((0, 0), np.float16))
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class EncodedVideo:
    """A video, or a stored clip, through any number of models.

    Attributes:
        source: Facts about the video.
        frames: Its length in 25 Hz frames.
        models: One for each model, in their order.
        samples: int16 ``[N]``, the audio at 16 kHz, where it was kept: 1.9 MB a minute.
        samples_at: Where the first sample lies, in samples from frame 0: 0 for videos.
        silent: Whether the audio is silence.
        steady: Whether it is too steady for speech.
        speech: Probability of speech at every frame of the audio, float32 ``[frames]``; None where the
            samples were kept instead.
        stage_s: Seconds of the stages that were run.
        thumbnails: A few small images, where they were asked for.
        frames_late: How much later than their frame indices the images belong on average, in 25 Hz
            frames.
        mouths: Opening and motion of each face's mouth by its number, where they were asked for.
        channels: Every channel of the audio, int16 ``[N]`` each, where they were asked for and there are
            several.
        channel_names: Their names.
        levels_db: Level of the audio in steps of 10 ms, float32 ``[4 * frames]``, likewise.
        scene: What else was noted, likewise.
    """

    source: Source
    frames: int
    models: tuple[ModelEmbeddings, ...]
    samples: np.ndarray
    samples_at: int = 0
    silent: bool = False
    steady: bool = False
    speech: np.ndarray | None = None
    stage_s: Mapping[str, float] = field(default_factory=dict)
    thumbnails: tuple[Thumbnail, ...] = ()
    frames_late: float = 0.0
    mouths: Mapping[int, MouthSeries] = field(default_factory=dict)
    levels_db: np.ndarray | None = None
    channels: tuple[np.ndarray, ...] = ()
    channel_names: tuple[str, ...] = ()
    scene: SceneNotes | None = None

    @property
    def shared_s(self) -> float:
        """Seconds of the stages that the models share: decoding, faces, crops."""
        return sum(self.stage_s.get(stage, 0.0) for stage in ("decode", "faces"))

    def by(self, model: LoadedModel) -> ModelEmbeddings:
        """What a model made of it.

        Raises:
            KeyError: The video was not encoded with it.
        """
        for found in self.models:
            if (found.backbone, found.weights) == (model.spec.full_name, model.weights):
                return found
        raise KeyError(f"not encoded with {model.spec.full_name}, weights {model.weights}")
