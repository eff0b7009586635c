"""Frozen results and specifications shared by every room. Standard library only.

Units are in the names: ``_frames`` (25 Hz video frames of 40 ms), ``_ms``, ``_s``, ``_hz``, ``_px``.
Sign: ``offset > 0`` means that the sound is early (audio ahead of the picture), as in
ITU-R BT.1359-1 and in SyncNet (Chung & Zisserman 2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

VIDEO_FPS = 25
"""Video frames per second of the common time base."""
AUDIO_HZ = 16_000
"""Audio samples per second of the common time base."""
SAMPLES_PER_FRAME = AUDIO_HZ // VIDEO_FPS
"""Audio samples per video frame: 640."""
FRAME_MS = 1000.0 / VIDEO_FPS
"""Milliseconds per video frame: 40."""

DETECT_SCHEMA = "synctool.detect/1"

Verdict = Literal["in sync", "detectable", "unacceptable", "inconclusive"]
AudioIs = Literal["ahead", "behind", "level"]
Role = Literal["video", "audio", "joint"]


# --------------------------------------------------------------------------- specifications


@dataclass(frozen=True)
class VideoInput:
    """What pictures a network expects, per 25 Hz frame.

    Attributes:
        crop: ``mouth`` (similarity transform from landmarks) or ``face`` (padded box, SyncNet's).
        size_px: Height and width of the square crop.
        colour: ``gray`` (luma), ``rgb`` or ``bgr``.
        value_range: Range that pixel values 0..255 are mapped to.
        mean: Per channel, subtracted after the mapping.
        std: Per channel, divided by after the subtraction.
    """

    crop: Literal["mouth", "face"]
    size_px: int
    colour: Literal["gray", "rgb", "bgr"]
    value_range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @property
    def channels(self) -> int:
        """1 for gray, 3 for colour."""
        return 1 if self.colour == "gray" else 3


@dataclass(frozen=True)
class AudioInput:
    """What sound features a network expects.

    Attributes:
        kind: ``logmel64`` ``[B,1,64,4T]``, ``mfcc13`` ``[B,1,13,4T]`` or ``waveform16k`` ``[B,640T]``.
    """

    kind: Literal["logmel64", "mfcc13", "waveform16k"]


@dataclass(frozen=True)
class WeightsSpec:
    """Where trained weights of a backbone come from.

    Attributes:
        name: Name shown to people and stored in results, for example ``fcn-cls.v1``.
        licence: Licence or terms of the weights.
        bundled: File name inside ``synctool/weights/bundled`` when the package carries them.
        catalogue: Catalogue entry for ``synctool download`` when they are fetched.
        file_name: Name of the file in the cache folder for fetched weights.
    """

    name: str
    licence: str
    bundled: str | None = None
    catalogue: str | None = None
    file_name: str | None = None


@dataclass(frozen=True)
class BackboneSpec:
    """A network that can be chosen by name; nothing heavy is imported until it is built.

    Attributes:
        name: First part of ``NAME[.TAG]``, lower case, digits and dashes.
        tag: Variant; the spec with ``default=True`` answers to the bare name.
        role: ``video``, ``audio`` or ``joint`` (both encoders and a head).
        factory: ``package.module:callable``; called with ``**options`` it returns a ``torch.nn.Module``.
        summary: One line for the list of backbones.
        video: Picture input, None for a pure audio encoder.
        audio: Sound input, None for a pure video encoder.
        embedding_size: D of the ``[B, D, T]`` embeddings.
        receptive_field_frames: Video frames that one embedding looks at (odd, centred).
        audio_receptive_field_frames: The same for the sound, in video frames.
        options: Names and default values of the keyword options that the factory takes.
        weights: Published or bundled weights, None if it must be trained.
        default: Whether this tag answers to the bare name.
    """

    name: str
    tag: str
    role: Role
    factory: str
    summary: str
    video: VideoInput | None = None
    audio: AudioInput | None = None
    embedding_size: int = 0
    receptive_field_frames: int = 1
    audio_receptive_field_frames: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: WeightsSpec | None = None
    default: bool = False

    @property
    def full_name(self) -> str:
        """``NAME.TAG``, or ``NAME`` for the default tag."""
        return self.name if self.default else f"{self.name}.{self.tag}"


@dataclass(frozen=True)
class FaceDetectorSpec:
    """A face detector that can be chosen by name.

    Attributes:
        name: Name for ``--detector``.
        factory: ``package.module:callable`` returning an object with
            ``detect(gray) -> list[Face]`` (see ``synctool.faces.detector``).
        summary: One line for people.
        landmarks: Whether it finds the five points (eyes, nose, mouth corners).
    """

    name: str
    factory: str
    summary: str
    landmarks: bool = True


# --------------------------------------------------------------------------- results of detect


@dataclass(frozen=True)
class Source:
    """What the film itself is, on its own presentation timeline."""

    duration_s: float
    video_fps: float
    video_start_s: float
    audio_start_s: float
    width_px: int
    height_px: int
    audio_hz: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segment:
    """A stretch of film with one offset."""

    start_s: float
    end_s: float
    offset_frames: float
    confidence: float


@dataclass(frozen=True)
class Track:
    """One face, from its first frame to its last; ``box_px`` is x, y, width, height at its middle."""

    id: int
    start_s: float
    end_s: float
    box_px: tuple[float, float, float, float]
    speaking: bool
    offset_frames: float | None
    confidence: float


@dataclass(frozen=True)
class FrameSeries:
    """Offset and confidence per 25 Hz frame; None where there is no evidence."""

    t_s: tuple[float, ...]
    offset_frames: tuple[float | None, ...]
    confidence: tuple[float | None, ...]


@dataclass(frozen=True)
class DetectResult:
    """Everything that ``detect`` knows about one film; the JSON output has the same keys."""

    input: str
    backbone: str
    weights: str
    synctool: str
    source: Source
    offset_frames: float | None
    confidence: float
    verdict: Verdict
    reason: str | None
    coverage: float
    drift_ms_per_min: float | None
    syncnet_confidence: float | None
    min_distance: float | None
    segments: tuple[Segment, ...]
    tracks: tuple[Track, ...]
    frames: FrameSeries
    timing_s: Mapping[str, float]
    max_offset: int

    @property
    def offset_ms(self) -> int | None:
        """The offset in whole milliseconds, None when inconclusive."""
        return None if self.offset_frames is None else round(self.offset_frames * FRAME_MS)

    @property
    def audio_is(self) -> AudioIs | None:
        """``ahead``, ``behind`` or ``level`` (within half a frame), None when inconclusive."""
        if self.offset_frames is None:
            return None
        if abs(self.offset_frames) < 0.5:
            return "level"
        return "ahead" if self.offset_frames > 0 else "behind"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, keys as in the documented schema."""
        return {
            "schema": DETECT_SCHEMA,
            "input": self.input,
            "backbone": self.backbone,
            "weights": self.weights,
            "synctool": self.synctool,
            "source": asdict(self.source),
            "offset_frames": _rounded(self.offset_frames, 3),
            "offset_ms": self.offset_ms,
            "audio_is": self.audio_is,
            "confidence": _rounded(self.confidence, 4),
            "verdict": self.verdict,
            "reason": self.reason,
            "max_offset": self.max_offset,
            "coverage": _rounded(self.coverage, 4),
            "drift_ms_per_min": _rounded(self.drift_ms_per_min, 2),
            "syncnet_confidence": _rounded(self.syncnet_confidence, 4),
            "min_distance": _rounded(self.min_distance, 4),
            "segments": [asdict(s) for s in self.segments],
            "tracks": [asdict(t) for t in self.tracks],
            "frames": {
                "t_s": [round(t, 3) for t in self.frames.t_s],
                "offset_frames": [_rounded(x, 2) for x in self.frames.offset_frames],
                "confidence": [_rounded(x, 3) for x in self.frames.confidence],
            },
            "timing_s": {k: round(v, 4) for k, v in self.timing_s.items()},
        }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)
