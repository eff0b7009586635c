"""What a training sample is: a stretch of one followed face with its sound, and the facts about it."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import cv2
import numpy as np

from synctool.types import AUDIO_HZ, VIDEO_FPS

MOUTH_PX = 96
"""Side of stored mouth crops unless chosen: the network's 72 px and room to move, turn and scale them."""
FACE_CROP_PX = 224
"""Side of stored face crops unless chosen: SyncNet's."""
PORTRAIT_PX = 64
"""Side of the one grey picture of the whole face, to tell people apart."""
_TALLEST_JPEG = 65_500
_LONGEST_FRAMES = 500
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]
"""The shipped network answers alike from 95 down to this: ``benchmarks/crop_quality.py``."""


@dataclass(frozen=True)
class SampleInfo:
    """Facts about a sample.

    Attributes:
        key: Its name, unique in the processed folder; folders with forward slashes.
        video_path: The film it comes from, below the collection's folder.
        speaker: Who speaks, or "" where nobody said.
        source: The collection, for constants that differ by source.
        split: ``train``, ``dev`` or ``test`` where the collection says so, else "".
        track: Number of the face in the film.
        first_tick: Frame of the film that is its first one, at 25 fps.
        num_frames: T.
        sound_lead: Samples of its sound that lie before its first frame.
        fps: Frames per second: 25.
        sample_rate: Samples per second: 16,000.
        face_px: Height of the face in the film's own pixels.
        film: The recording that the film is a part of (VoxCeleb's video, LRS's talk), or the film.
        crop: ``mouth`` or ``face``.
        size_px: Side of the crops.
        colour: ``gray`` or ``rgb``.
        offset_frames: Delay that was measured and taken out, audio ahead positive; None: not measured.
        confidence: Probability that this delay is right within a frame; None: not measured.
        mfcc_shape: Shape of ``mfcc.npy`` in the layout of folders, else None.
    """

    key: str
    video_path: str
    speaker: str
    source: str
    split: str
    track: int
    first_tick: int
    num_frames: int
    sound_lead: int
    fps: int = VIDEO_FPS
    sample_rate: int = AUDIO_HZ
    face_px: float = 0.0
    film: str = ""
    crop: Literal["mouth", "face"] = "mouth"
    size_px: int = MOUTH_PX
    colour: Literal["gray", "rgb"] = "gray"
    offset_frames: float | None = None
    confidence: float | None = None
    mfcc_shape: tuple[int, int] | None = None

    def to_json(self) -> bytes:
        """The facts as a JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> SampleInfo:
        """Facts from a JSON object; what a newer version added is passed over.

        Raises:
            TypeError: A fact is missing.
        """
        known = {f.name for f in fields(cls)}
        given = {k: v for k, v in facts.items() if k in known}
        if given.get("mfcc_shape"):
            given["mfcc_shape"] = tuple(given["mfcc_shape"])
        return cls(**given)


@dataclass(frozen=True)
class Sample:
    """A stretch of one face with its sound.

    Attributes:
        info: Facts.
        crops: uint8 ``[T, S, S]``, or ``[T, S, S, 3]`` in RGB.
        portrait: uint8 ``[64, 64]``.
        sound: int16 ``[N]``; frame t begins at ``info.sound_lead + 640 t``.
    """

    info: SampleInfo
    crops: np.ndarray
    portrait: np.ndarray
    sound: np.ndarray


def longest_frames(size_px: int) -> int:
    """Most frames of a sample: longer tracks become several, as a JPEG holds so many rows only."""
    return min(_LONGEST_FRAMES, _TALLEST_JPEG // size_px)


def jpeg(picture: np.ndarray) -> bytes:
    """A picture, grey or RGB, as JPEG."""
    shown = picture if picture.ndim == 2 else picture[..., ::-1]
    return cv2.imencode(".jpg", shown, _QUALITY)[1].tobytes()


def from_jpeg(data: bytes, *, colour: str = "gray") -> np.ndarray:
    """Read what ``jpeg`` made.

    Raises:
        ValueError: It is damaged.
    """
    mode = cv2.IMREAD_GRAYSCALE if colour == "gray" else cv2.IMREAD_COLOR
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    if picture is None:
        raise ValueError("a picture cannot be read")
    return picture if colour == "gray" else np.ascontiguousarray(picture[..., ::-1])


def wav(sound: np.ndarray) -> bytes:
    """16 kHz mono sound as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(AUDIO_HZ)
        file.writeframes(sound.astype("<i2").tobytes())
    return buffer.getvalue()


def flac(sound: np.ndarray) -> bytes:
    """16 kHz mono sound as a FLAC file: the same samples in about half the bytes."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, sound, AUDIO_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def from_flac(data: bytes) -> np.ndarray:
    """Read what ``flac`` made: int16 ``[N]``.

    Raises:
        ValueError: It is damaged, or another kind of sound.
    """
    import soundfile

    try:
        sound, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    except soundfile.LibsndfileError as error:
        raise ValueError(f"the sound cannot be read: {error}") from error
    if rate != AUDIO_HZ or sound.ndim != 1:
        raise ValueError("the sound is not 16 kHz mono")
    return sound


def from_wav(data: bytes) -> np.ndarray:
    """Read what ``wav`` made: int16 ``[N]``.

    Raises:
        ValueError: It is damaged, or another kind of sound.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, AUDIO_HZ):
                raise ValueError("the sound is not 16 kHz mono with 16 bits")
            return np.frombuffer(file.readframes(file.getnframes()), "<i2")
    except (wave.Error, EOFError) as error:
        raise ValueError(f"the sound cannot be read: {error}") from error
