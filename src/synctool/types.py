"""The time base and frozen results, shared by every room. Standard library only.

Units are in the names: ``_frames`` (25 Hz video frames of 40 ms), ``_ms``, ``_s``, ``_hz``, ``_px``.
Sign: ``offset > 0`` means that the audio is early (audio ahead of the video), as in
ITU-R BT.1359-1 and in SyncNet (Chung & Zisserman 2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any, Literal

from synctool.plain_data import from_plain

VIDEO_FPS = 25
"""Video frames per second of the common time base."""
AUDIO_HZ = 16_000
"""Audio samples per second of the common time base."""
SAMPLES_PER_FRAME = AUDIO_HZ // VIDEO_FPS
"""Audio samples per video frame: 640."""
FRAME_MS = 1000.0 / VIDEO_FPS
"""Milliseconds per video frame: 40."""
DEFAULT_MAX_OFFSET = 15
"""Largest offset searched unless another is asked for, in frames: ±0.6 s, SyncNet's range."""
DEFAULT_SET_COVERAGE = 0.9
"""How often sets of offsets hold the true one, unless another share is asked for."""
WIDEST_MAX_OFFSET = 125
"""Largest offset that can be asked for, in frames: ±5 s."""

DETECT_SCHEMA = "synctool.detect/1"
VERIFY_SCHEMA = "synctool.verify/1"
EXPLAIN_SCHEMA = "synctool.explain/1"
ADAPT_SCHEMA = "synctool.adapt/1"
TRIAL_SCHEMA = "synctool.trial/1"
COMPARE_SCHEMA = "synctool.compare/1"
EXPORT_SCHEMA = "synctool.export/1"

Verdict = Literal["in sync", "detectable", "unacceptable", "inconclusive"]
AudioIs = Literal["ahead", "behind", "level"]
Authentic = Literal["natural", "offset", "dubbed", "reanimated", "cannot tell"]
"""Whether lips and voice belong together: naturally, at an offset, not at all (dubbed, a voice-over), with
lips that seem generated or re-animated; or nobody can tell."""
DirectionVerdict = Literal["consistent", "mirrored", "not consistent", "cannot tell"]
"""Whether voices come from where their faces are, from the other side (left and right swapped), from
elsewhere; or nobody can tell."""
ReasonCode = Literal[
    "no_face",
    "no_speech",
    "too_short",
    "face_too_small",
    "face_turned_away",
    "out_of_range",
    "audio_from_elsewhere",
    "weak_evidence",
]
"""Why there is no verdict: the name beside the sentence."""
Precision = Literal["float32", "float16", "int8-static", "int8-dynamic"]
"""How the numbers of an exported network are kept. ``float16``: weights in 16 bits, computed with in 32
where the format can; ``int8-static``: weights and activations in 8 bits, their ranges found beforehand on
clips; ``int8-dynamic``: the activations' ranges are found while it runs."""


# --------------------------------------------------------------------------- results of detect


def where_audio_is(offset_frames: float) -> AudioIs:
    """``ahead``, ``behind`` or ``level`` (within half a frame)."""
    if abs(offset_frames) < 0.5:
        return "level"
    return "ahead" if offset_frames > 0 else "behind"


@dataclass(frozen=True)
class StreamSelection:
    """Which streams of a video are measured; what is None or ``auto`` is chosen as a player does it.

    Attributes:
        video_track: Which video track, counted from 0.
        audio_track: Which audio track, counted from 0.
        channel: A channel of it by its number from 0 or its name (``FL``, ``FC``), ``mix`` for all mixed, or
            ``auto``.
    """

    video_track: int | None = None
    audio_track: int | None = None
    channel: str = "auto"


PLAYED = StreamSelection()
"""What a player takes."""


@dataclass(frozen=True)
class MediaTrack:
    """A video or audio track of a file.

    Attributes:
        kind: ``video`` or ``audio``.
        number: Counted from 0 within its kind, as for ``--video-track`` and ``--audio-track``.
        codec: FFmpeg's name of the codec, empty where there is no decoder.
        measured: Whether it is the one that is measured.
        note: Why it was passed over or chosen against the order of players; empty for nothing special.
        language: As the file says, or empty.
        title: As the file says, or empty.
        dispositions: FFmpeg's names of its flags: ``default``, ``comment`` ...
        channels: Number of audio channels, 0 for video.
        layout: FFmpeg's name of the channel layout, empty for video.
    """

    kind: Literal["video", "audio"]
    number: int
    codec: str
    measured: bool = False
    note: str = ""
    language: str = ""
    title: str = ""
    dispositions: tuple[str, ...] = ()
    channels: int = 0
    layout: str = ""


@dataclass(frozen=True)
class Source:
    """What the video itself is, on its own presentation timeline.

    ``turned_deg`` is by how much its frames were turned clockwise beyond what the file says, as faces stand
    upright only then: 0, 90, 180 or 270.
    ``tracks`` are all that could be measured, with the choice marked; ``channel`` is the audio channel
    that is measured, ``mix`` for several mixed, empty where there is one only or none.
    ``unread_s`` is how much of it could not be decoded or is missing, and ``unread_share`` what share of the
    whole that is, 0..1: it counts as not covered.
    ``timecode`` is that of the first frame where the file has one: ``01:00:00:00``, for drop-frame with a
    semicolon before the frames; else empty.
    """

    duration_s: float
    video_fps: float
    video_start_s: float
    audio_start_s: float
    width_px: int
    height_px: int
    audio_hz: int
    warnings: tuple[str, ...] = ()
    turned_deg: int = 0
    tracks: tuple[MediaTrack, ...] = ()
    channel: str = ""
    unread_s: float = 0.0
    unread_share: float = 0.0
    timecode: str = ""


@dataclass(frozen=True)
class OffsetSet:
    """Where the true offset lies, as often as promised; see docs/uncertainty.md for whom.

    It is no other spelling of ``confidence``, which says how probable the one offset that is shown is right
    within a frame: a set says how far off, and where else, the truth may be.

    Attributes:
        coverage: Share of sets, 0..1, that hold the true offset, of people like those of the calibration.
        spans_ms: Lower and upper ends in ms, rising; several where the audio fits at several places.
    """

    coverage: float
    spans_ms: tuple[tuple[float, float], ...]

    @property
    def width_ms(self) -> float:
        """How much the spans cover together."""
        return sum(high - low for low, high in self.spans_ms)

    def holds(self, offset_ms: float) -> bool:
        """Whether an offset is in it."""
        return any(low <= offset_ms <= high for low, high in self.spans_ms)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, keys as the attributes."""
        return {
            "coverage": _rounded(self.coverage, 4),
            "spans_ms": [[_rounded(low, 1), _rounded(high, 1)] for low, high in self.spans_ms],
        }


@dataclass(frozen=True)
class Segment:
    """A segment of video with one offset.

    ``offset_set`` says where the true one may lie; None where the segment alone would be no answer, or the
    weights come without the calibration for it.
    """

    start_s: float
    end_s: float
    offset_frames: float
    confidence: float
    offset_set: OffsetSet | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, keys as the attributes."""
        return {**asdict(self), "offset_set": self.offset_set and self.offset_set.to_dict()}


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
class SpeakerTurn:
    """Somebody speaks.

    Attributes:
        track: Number of the face, as in ``Track.id``; None for an off-screen voice: no lips in view match.
        start_s: Begin.
        end_s: End.
        confidence: Mean probability in 0..1 of its frames that this face speaks, or that none in view does.
        overlapping: Whether another face, whose lips match better, speaks at the same time.
    """

    track: int | None
    start_s: float
    end_s: float
    confidence: float
    overlapping: bool = False


@dataclass(frozen=True)
class AudioChannel:
    """One audio channel of a video, beside that which the others are compared with.

    Attributes:
        name: Its name, or its number from 1.
        level_db: Its level, relative to full scale.
        delay_ms: How much later it hears the same sound, some 3 ms a metre; None where it hears another, or
            nothing.
        inverted: Whether its polarity is the opposite.
        coherence: How much of the sound is the same, 0..1.
        weight: Its share of the mix, 0..1.
        reference: Whether the others are compared with it, and the mix has its time.
        offset_frames: Its own offset, None where there is none or it was not measured apart.
        confidence: Probability that this is right within a frame.
        verdict: Of this channel alone; None where it was not measured apart.
        reason: Why there is no offset.
    """

    name: str
    level_db: float
    delay_ms: float | None
    inverted: bool
    coherence: float
    weight: float
    reference: bool = False
    offset_frames: float | None = None
    confidence: float = 0.0
    verdict: Verdict | None = None
    reason: str | None = None


@dataclass(frozen=True)
class SpeakerDirection:
    """Where one face is, and where its voice is heard in the left and right channel.

    Attributes:
        track: Number of the face, as in ``Track.id``.
        place: Where it is, from -1, the left edge of the image, to +1, the right one.
        level_db: By how much the right channel is louder.
        delay_ms: By how much the right channel hears the voice earlier; None where it is diffuse.
        speech_s: How much of its speech was heard alone.
    """

    track: int
    place: float
    level_db: float
    delay_ms: float | None
    speech_s: float


@dataclass(frozen=True)
class AudioDirection:
    """Whether voices come from where their faces are in the image.

    Attributes:
        verdict: See ``DirectionVerdict``.
        reason: Why, in a sentence without a full stop.
        agreement: Correlation of places and directions, -1..1; None where there is none.
        speech_s: How much speech of single visible faces that is made of.
        speakers: By face.
    """

    verdict: DirectionVerdict
    reason: str
    agreement: float | None = None
    speech_s: float = 0.0
    speakers: tuple[SpeakerDirection, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, keys as the attributes."""
        return _rounded_all(asdict(self))


@dataclass(frozen=True)
class SceneStatistics:
    """What a video is like, whatever its offset.

    Attributes:
        cuts_s: When new shots start, without the first.
        cuts_per_min: New shots a minute.
        shot_s: Median length of a shot.
        faces: Mean number of faces in a frame.
        most_faces: Most of them.
        face_px: Median height of the largest face in pixels; None where there is no face.
        face_share: The same as a share of the height of the image.
        turned_share: Share of the time, 0..1, in which the largest face is turned near its profile.
        speech_share: Share of the audio, 0..1, that is speech.
        visible_speech_share: Share of the speech, 0..1, whose speaker is in view; None where nobody can be
            told to speak or not to.
        voiced_share: Share of the speech, 0..1, that is voiced; None without speech.
        loudness_lufs: Programme loudness (ITU-R BS.1770-4) of the measured channel, or mono mix.
        snr_db: Power of speech above that of the rest of the audio; None where there is too little of either.
    """

    cuts_s: tuple[float, ...]
    cuts_per_min: float
    shot_s: float
    faces: float
    most_faces: int
    face_px: float | None
    face_share: float | None
    turned_share: float | None
    speech_share: float
    visible_speech_share: float | None
    voiced_share: float | None
    loudness_lufs: float | None
    snr_db: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, keys as the attributes."""
        return _rounded_all(asdict(self))


@dataclass(frozen=True)
class ScoreInterval:
    """A probability in 0..1, where either answer is as likely before, with a 90 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class AuthenticitySpan:
    """A span of one face with one verdict on whether lips and voice belong together.

    Attributes:
        track: Number of the face, as in ``Track.id``.
        start_s: Begin.
        end_s: End.
        verdict: See ``Authentic``.
        speech_s: Seconds of speech in it that may be this face's.
        dub: Probability that the audio is not that of these lips; None where nothing can be told.
        reanimation: Probability that the lips are not those of this face, likewise.
        reasons: Why, in sentences.
    """

    track: int
    start_s: float
    end_s: float
    verdict: Authentic
    speech_s: float
    dub: ScoreInterval | None
    reanimation: ScoreInterval | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class AuthenticitySign:
    """Something on the timeline worth a look.

    Attributes:
        kind: ``still``: lips still in speech; ``silent``: lips move in silence; ``again``: lips repeat,
            look for look; ``elsewhere``: a second that matches the audio at another offset.
        track: Number of the face.
        start_s: Begin.
        end_s: End.
    """

    kind: Literal["still", "silent", "again", "elsewhere"]
    track: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Authenticity:
    """Whether lips and voice belong together, by the evidence of their sync alone. It is no proof.

    Attributes:
        verdict: See ``Authentic``: the graver one where a fair part of the speech has it.
        dub: Probability that the audio is not that of the lips, over all speech; None where nothing can be
            told.
        reanimation: Probability that lips are not those of their face, likewise.
        reasons: Why, in sentences.
        spans: By face, in the order of time.
        signs: What is worth a look, in the order of time.
    """

    verdict: Authentic
    dub: ScoreInterval | None
    reanimation: ScoreInterval | None
    reasons: tuple[str, ...]
    spans: tuple[AuthenticitySpan, ...] = ()
    signs: tuple[AuthenticitySign, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, keys as the attributes."""
        return _rounded_all(asdict(self))


@dataclass(frozen=True)
class EnsembleMember:
    """One of several models that measure together, or one pass of a network with dropout.

    Attributes:
        backbone: Full name of the model.
        weights: Name and checksum of its weights.
        weight: How much its scores count.
        offset_frames: Its own best match, None where it can compare nothing.
        confidence: What it says of that by itself, 0..1.
    """

    backbone: str
    weights: str
    weight: float
    offset_frames: float | None
    confidence: float


@dataclass(frozen=True)
class Ensemble:
    """What several models say each, where they measure together.

    Attributes:
        members: The models.
        spread_ms: Standard deviation of their best matches.
        agreement: Share of them, 0..1, whose best match is within a frame of that of all together.
    """

    members: tuple[EnsembleMember, ...]
    spread_ms: float | None
    agreement: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, keys as the attributes."""
        return _rounded_all(asdict(self))


@dataclass(frozen=True)
class FrameSeries:
    """Offset and confidence per 25 Hz frame; None where there is no evidence."""

    t_s: tuple[float, ...]
    offset_frames: tuple[float | None, ...]
    confidence: tuple[float | None, ...]


@dataclass(frozen=True)
class DetectResult:
    """Everything that ``detect`` knows about one video; the JSON output has the same keys.

    ``drift_ms_per_min`` is by how much the audio gets ahead in a minute, 0 where the 95 % interval
    ``drift_interval_ms_per_min`` (lower end, upper end) does not exclude 0; None for both where the video
    is too short. Of a video that drifts, ``offset_frames`` is the offset at the middle of the video, and
    that of a segment at the middle of the segment. ``offset_set`` is None where the verdict is
    ``inconclusive``, and with weights that bring no calibration for it.
    """

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
    runtime: str = "torch"
    verdict_coverage: float = 0.0
    audio_belongs: float | None = None
    drift_interval_ms_per_min: tuple[float, float] | None = None
    reason_code: ReasonCode | None = None
    speakers: tuple[SpeakerTurn, ...] | None = None
    authenticity: Authenticity | None = None
    audio_channels: tuple[AudioChannel, ...] | None = None
    audio_direction: AudioDirection | None = None
    scene: SceneStatistics | None = None
    offset_set: OffsetSet | None = None
    ensemble: Ensemble | None = None

    @property
    def offset_ms(self) -> int | None:
        """The offset in whole milliseconds, None when inconclusive."""
        return None if self.offset_frames is None else round(self.offset_frames * FRAME_MS)

    @property
    def audio_is(self) -> AudioIs | None:
        """``ahead``, ``behind`` or ``level`` (within half a frame), None when inconclusive."""
        return None if self.offset_frames is None else where_audio_is(self.offset_frames)

    def to_dataframe(
        self, table: Literal["frames", "segments", "tracks", "speakers"] = "frames"
    ) -> Any:
        """A table of the result as a ``pandas.DataFrame``, what is not known as NaN.

        Args:
            table: Which one: offset and confidence by frame, or the segments, faces, turns.

        Raises:
            MissingError: pandas is not installed.
            UsageError: There is no such table.
        """
        return _notebook().result_dataframe(self, table)

    def plot(self) -> Any:
        """Offset and confidence over time as a ``matplotlib.figure.Figure``.

        Raises:
            MissingError: matplotlib is not installed.
        """
        return _notebook().result_figure(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return _notebook().result_html(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DetectResult:
        """A result from what ``to_dict`` gave, also after a way through JSON; digits are as there.

        Raises:
            ValueError: It is no result of this schema, or something is missing.
        """
        return from_plain(cls, data, schema=DETECT_SCHEMA)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, keys as in the documented schema."""
        return {
            "schema": DETECT_SCHEMA,
            "input": self.input,
            "backbone": self.backbone,
            "weights": self.weights,
            "runtime": self.runtime,
            "synctool": self.synctool,
            "source": asdict(self.source),
            "offset_frames": _rounded(self.offset_frames, 3),
            "offset_ms": self.offset_ms,
            "audio_is": self.audio_is,
            "offset_set": self.offset_set and self.offset_set.to_dict(),
            "confidence": _rounded(self.confidence, 4),
            "audio_belongs": _rounded(self.audio_belongs, 4),
            "verdict": self.verdict,
            "reason": self.reason,
            "reason_code": self.reason_code,
            "max_offset": self.max_offset,
            "coverage": _rounded(self.coverage, 4),
            "verdict_coverage": _rounded(self.verdict_coverage, 4),
            "drift_ms_per_min": _rounded(self.drift_ms_per_min, 2),
            "drift_interval_ms_per_min": None
            if self.drift_interval_ms_per_min is None
            else [_rounded(end, 2) for end in self.drift_interval_ms_per_min],
            "syncnet_confidence": _rounded(self.syncnet_confidence, 4),
            "min_distance": _rounded(self.min_distance, 4),
            "segments": [s.to_dict() for s in self.segments],
            "tracks": [asdict(t) for t in self.tracks],
            "speakers": None if self.speakers is None else [_turn(t) for t in self.speakers],
            "audio_channels": None
            if self.audio_channels is None
            else [_rounded_all(asdict(c)) for c in self.audio_channels],
            "audio_direction": self.audio_direction and self.audio_direction.to_dict(),
            "scene": self.scene and self.scene.to_dict(),
            "ensemble": self.ensemble and self.ensemble.to_dict(),
            "authenticity": self.authenticity and self.authenticity.to_dict(),
            "frames": {
                "t_s": [round(t, 3) for t in self.frames.t_s],
                "offset_frames": [_rounded(x, 2) for x in self.frames.offset_frames],
                "confidence": [_rounded(x, 3) for x in self.frames.confidence],
            },
            "timing_s": {k: round(v, 4) for k, v in self.timing_s.items()},
        }


def _notebook() -> Any:
    """The room of the reports stands above this one."""
    return import_module("synctool.report.notebook")


def _turn(turn: SpeakerTurn) -> dict[str, Any]:
    return {**asdict(turn), "confidence": _rounded(turn.confidence, 4)}


def _rounded_all(value: Any) -> Any:
    """The same plain data with numbers of four digits."""
    if isinstance(value, dict):
        return {key: _rounded_all(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded_all(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)


# --------------------------------------------------------------------------- trials of compare


@dataclass(frozen=True)
class Condition:
    """How a video was presented to the models.

    Attributes:
        kind: ``plain``, ``shift`` (the audio moved), ``piece`` (a segment of it, its audio moved) or
            ``perturbed`` (degraded).
        moved_frames: By how much the audio was moved ahead; a multiple of one sample, 1/640.
        start_s: Begin of the segment, None for the whole video.
        end_s: End of the segment.
        perturbation: What was done to it, "" for nothing.
        level: Step of severity, 1 to 5; 0 for nothing.
        value: What that step is, in ``unit``.
        unit: For example ``dB`` or ``kbit/s``.
    """

    kind: Literal["plain", "shift", "piece", "perturbed"] = "plain"
    moved_frames: float = 0.0
    start_s: float | None = None
    end_s: float | None = None
    perturbation: str = ""
    level: int = 0
    value: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Label:
    """What is known about a video.

    Attributes:
        offset_frames: Its true offset, None where it is not known.
        person: Who speaks, "" where nobody said.
        source: The collection.
        language: What is spoken.
        segments: True offsets by segment, where it changes within the video.
    """

    offset_frames: float | None = None
    person: str = ""
    source: str = ""
    language: str = ""
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One video under one condition through one model: what ``compare`` collects.

    Attributes:
        film: The video as it was given.
        backbone: Full name of the model.
        weights: Name and checksum of its weights.
        condition: How the video was presented.
        label: What is known about it.
        truth_frames: True offset under this condition, None where it is not known.
        offset_frames: The best match, whether or not it is shown; None where nothing can be compared.
        confidence: Probability in 0..1 that it is right within a frame.
        verdict: As of ``detect``.
        answered: Whether the offset is shown, or the trial is inconclusive.
        reason: Why it is inconclusive.
        lse_c: SyncNet's median minus minimum of the mean distances, larger is better.
        lse_d: SyncNet's minimum of the mean distances, smaller is better.
        coverage: Share of the segment with a face, 0..1.
        segments: Stretches that were found.
        frames: Offset and confidence per 25 Hz frame.
        curve: Mean score of the candidates -K..K above the mean of all, None where there is none.
        windows: For windows of N frames, how many have their best of 31 candidates within a frame of
            the truth, and how many there are; empty where the truth is not known.
        voiced_share: Share of the speech in it, 0..1, that is voiced; None without speech.
        duration_s: Length of the segment.
        seconds: Time that this model took for it, without what the models share.
        memory_mb: Most memory of the process until then, MiB; None where it is not known.
        error: Why there is no answer at all; then the figures mean nothing.
    """

    film: str
    backbone: str
    weights: str = ""
    condition: Condition = Condition()
    label: Label = Label()
    truth_frames: float | None = None
    offset_frames: float | None = None
    confidence: float = 0.0
    verdict: Verdict = "inconclusive"
    answered: bool = False
    reason: str | None = None
    lse_c: float | None = None
    lse_d: float | None = None
    coverage: float = 0.0
    segments: tuple[Segment, ...] = ()
    frames: FrameSeries = FrameSeries((), (), ())
    curve: tuple[float | None, ...] = ()
    windows: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    voiced_share: float | None = None
    duration_s: float = 0.0
    seconds: float = 0.0
    memory_mb: float | None = None
    error: str | None = None

    @property
    def error_frames(self) -> float | None:
        """Best match minus truth, None where either is not known."""
        if self.offset_frames is None or self.truth_frames is None:
            return None
        return self.offset_frames - self.truth_frames

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; ``from_dict`` takes it back."""
        return {"schema": TRIAL_SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trial:
        """A trial from what ``to_dict`` gave, also after a way through JSON.

        Raises:
            ValueError: It is no trial of this schema, or something is missing.
        """
        return from_plain(cls, data, schema=TRIAL_SCHEMA)


# --------------------------------------------------------------------------- for plugins

_SPECS = frozenset(
    {
        *("AudioInput", "BackboneSpec", "CatalogueEntry", "CatalogueFile", "DatasetSpec"),
        *("ExporterSpec", "FaceDetectorSpec", "HeadSpec", "HubSource", "LossSpec", "Precision"),
        *("Role", "VideoInput", "WeightsSpec"),
    }
)


def __getattr__(name: str) -> Any:
    """The specs, which plugins may import from here or from ``synctool.plugins.specs``."""
    if name in _SPECS:
        return getattr(import_module("synctool.plugins.specs"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
