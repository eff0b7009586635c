"""What a training sample is: a segment of one followed face with its audio, and the facts about it."""

from __future__ import annotations

import io
import json
import math
import wave
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

import cv2
import numpy as np

from synctool.types import AUDIO_HZ, VIDEO_FPS
from synctool.untrusted.audio_files import LONGEST as LONGEST_AUDIO
from synctool.untrusted.documents import typed
from synctool.untrusted.jpeg_files import decode_jpeg
from synctool.untrusted.origin import MalformedError

MOUTH_PX = 96
"""Side of stored mouth crops unless chosen: the network's 72 px and room to move, turn and scale them."""
FACE_CROP_PX = 224
"""Side of stored face crops unless chosen: SyncNet's."""
PORTRAIT_PX = 64
"""Side of the one grey image of the whole face, to tell people apart."""
_TALLEST_JPEG = 65_500
_LONGEST_FRAMES = 500
_LARGEST_PX = 4096
_FARTHEST_FRAME = 1 << 40
_BOUNDS = {
    "num_frames": (1, _TALLEST_JPEG),
    "size_px": (1, _LARGEST_PX),
    "sound_lead": (0, LONGEST_AUDIO),
    "first_tick": (-_FARTHEST_FRAME, _FARTHEST_FRAME),
    "track": (-_FARTHEST_FRAME, _FARTHEST_FRAME),
    "fps": (VIDEO_FPS, VIDEO_FPS),
    "sample_rate": (AUDIO_HZ, AUDIO_HZ),
}
"""What else than its type holds for a fact, as least and greatest value."""
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]
"""The shipped network answers alike from 95 down to this: ``benchmarks/crop_quality.py``."""


@dataclass(frozen=True)
class SampleInfo:
    """Facts about a sample.

    Attributes:
        key: Its name, unique in the processed folder; folders with forward slashes.
        video_path: The video it comes from, below the collection's folder.
        speaker: Who speaks, or "" where nobody said.
        source: The collection, for constants that differ by source.
        split: ``train``, ``dev`` or ``test`` where the collection says so, else "".
        track: Number of the face in the video.
        first_tick: Frame of the video that is its first one, at 25 fps.
        num_frames: T.
        sound_lead: Samples of its audio that lie before its first frame.
        fps: Frames per second: 25.
        sample_rate: Samples per second: 16,000.
        face_px: Height of the face in the video's own pixels.
        film: The recording that the video is a part of (VoxCeleb's video, LRS's talk), or the video.
        crop: ``mouth`` or ``face``.
        size_px: Side of the crops.
        colour: ``gray`` or ``rgb``.
        offset_frames: Delay that was measured and taken out, audio ahead positive; None: not measured.
        confidence: Probability that this delay is right within a frame; None: not measured.
        language: What is spoken, as a BCP 47 tag such as ``en``; "" where nobody said.
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
    language: str = ""

    def to_json(self) -> bytes:
        """The facts as a JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_dict(cls, facts: object) -> SampleInfo:
        """Facts from a JSON object; what a newer version added is passed over.

        Raises:
            MalformedError: A fact is missing, of another type, or makes no sense.
        """
        info: SampleInfo = typed(facts, cls)
        for name, (least, most) in _BOUNDS.items():
            if not least <= getattr(info, name) <= most:
                raise MalformedError(f"its {name} is {getattr(info, name)}")
        _check_finite(info)
        # A key is the name of a folder, which must not lead out of the processed one.
        if (
            not info.key
            or info.key.startswith("/")
            or {"..", "\0"} & {*info.key.split("/"), *info.key}
        ):
            raise MalformedError(f"{info.key[:80]!r} is no key of a sample")
        return info


@dataclass(frozen=True)
class Sample:
    """A segment of one face with its audio.

    Attributes:
        info: Facts.
        crops: uint8 ``[T, S, S]``, or ``[T, S, S, 3]`` in RGB.
        portrait: uint8 ``[64, 64]``.
        audio: int16 ``[N]``; frame t begins at ``info.sound_lead + 640 t``.
    """

    info: SampleInfo
    crops: np.ndarray
    portrait: np.ndarray
    audio: np.ndarray


def _check_finite(info: SampleInfo) -> None:
    numbers: Iterable[float | None] = (info.face_px, info.offset_frames, info.confidence)
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise MalformedError(f"{info.key[:80]} has a figure that is no number")


def longest_frames(size_px: int) -> int:
    """Most frames of a sample: longer tracks become several, as a JPEG holds so many rows only."""
    return min(_LONGEST_FRAMES, _TALLEST_JPEG // size_px)


def jpeg(image: np.ndarray) -> bytes:
    """An image, grey or RGB, as JPEG."""
    shown = image if image.ndim == 2 else image[..., ::-1]
    return cv2.imencode(".jpg", shown, _QUALITY)[1].tobytes()


def crops_of(data: bytes, info: SampleInfo) -> np.ndarray:
    """The crops of a sample from the JPEG that has them one below the other.

    Raises:
        MalformedError: It is damaged, or of another size than the facts say.
    """
    side = info.size_px
    if side * info.num_frames > _TALLEST_JPEG:
        raise MalformedError(f"{info.num_frames} crops of {side} px are more than a JPEG holds")
    strip = decode_jpeg(data, height=side * info.num_frames, width=side, colour=info.colour)
    return strip.reshape(info.num_frames, side, *strip.shape[1:])


def portrait_of(data: bytes) -> np.ndarray:
    """The image of the whole face: uint8 ``[64, 64]``.

    Raises:
        MalformedError: It is damaged, or of another size.
    """
    return decode_jpeg(data, height=PORTRAIT_PX, width=PORTRAIT_PX, colour="gray")


def wav(audio: np.ndarray) -> bytes:
    """16 kHz mono audio as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(AUDIO_HZ)
        file.writeframes(audio.astype("<i2").tobytes())
    return buffer.getvalue()


def flac(audio: np.ndarray) -> bytes:
    """16 kHz mono audio as a FLAC file: the same samples in about half the bytes."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, audio, AUDIO_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
