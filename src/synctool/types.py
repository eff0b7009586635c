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
TRIAL_SCHEMA = "synctool.trial/1"
EXPORT_SCHEMA = "synctool.export/1"
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""Names that end so are archives, which can be unpacked."""

Verdict = Literal["in sync", "detectable", "unacceptable", "inconclusive"]
AudioIs = Literal["ahead", "behind", "level"]
Role = Literal["video", "audio", "joint"]
Precision = Literal["float32", "float16", "int8-static", "int8-dynamic"]
"""How the numbers of an exported network are kept. ``float16``: weights in 16 bits, computed with in 32
where the format can; ``int8-static``: weights and activations in 8 bits, their ranges found beforehand on
clips; ``int8-dynamic``: the activations' ranges are found while it runs."""


# --------------------------------------------------------------------------- specifications


@dataclass(frozen=True)
class VideoInput:
    """What pictures a network expects, per 25 Hz frame.

    Attributes:
        crop: ``mouth`` (similarity transform from landmarks) or ``face`` (padded box, SyncNet's).
        size_px: Height and width of the square crop.
        colour: ``gray`` (luma), ``rgb`` or ``bgr``; ``gray`` with three means is the grey picture in
            three channels, for networks that were made for colour.
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
        """Channels of the network's input: 1 for gray unless it has three means, 3 for colour."""
        return max(len(self.mean), 1 if self.colour == "gray" else 3)


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
        name: Name shown to people and stored in results, for example ``fcn-cls.v2``.
        licence: Licence or terms of the weights.
        bundled: Name of the file in the folder ``bundled`` of ``package``, when that carries them.
        package: Package that carries them: synctool's own, or a plugin's.
        catalogue: Catalogue entry for ``synctool download`` when they are fetched.
        file_name: Path of the file below the entry's folder, ``.`` for the folder itself; without an
            entry, below the cache folder.
        exported: Name of the folder beside it that holds the same model exported, faster on a CPU.
        part: Beginning of the names of this network's tensors where the file holds a whole model.
    """

    name: str
    licence: str
    bundled: str | None = None
    catalogue: str | None = None
    file_name: str | None = None
    part: str = ""
    package: str = "synctool.weights"
    exported: str | None = None


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
        bounded: Whether an embedding depends on nothing beyond its receptive field. False for networks
            with attention or normalisation over the whole input; then the receptive field is the context
            that a piece of a long film is given on either side.
        any_crop: Whether the picture encoder can be trained on other crops than ``video`` says: mouth
            or face, grey or colour, another size. The trained weights then say which.
        small: Options that make it small enough for tests.
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
    bounded: bool = True
    any_crop: bool = False
    small: Mapping[str, Any] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """``NAME.TAG``, or ``NAME`` for the default tag."""
        return self.name if self.default else f"{self.name}.{self.tag}"


@dataclass(frozen=True)
class HeadSpec:
    """What turns the embeddings of a pair into a score volume, chosen by name.

    Attributes:
        name: Name for the option ``head`` of a pair.
        factory: ``package.module:callable``; called as ``callable(embedding=D, **options)`` it returns a
            ``torch.nn.Module`` that is called as ``SyncModel.score`` is, with embeddings of unit length.
        summary: One line for people.
        options: Names and default values of its further keyword options, ``head.NAME`` in a pair.
    """

    name: str
    factory: str
    summary: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FaceDetectorSpec:
    """A face detector that can be chosen by name.

    Attributes:
        name: Name for ``--detector``.
        factory: ``package.module:callable`` returning an object with
            ``detect(gray) -> list[Face]`` (see ``synctool.faces.detector``). It is called without
            arguments, or as ``callable(weights=PATH)`` where there are ``weights``.
        summary: One line for people.
        landmarks: Whether it finds the five points (eyes, nose, mouth corners).
        weights: Published weights, which are looked for before it is built; None if it needs none.
    """

    name: str
    factory: str
    summary: str
    landmarks: bool = True
    weights: WeightsSpec | None = None


@dataclass(frozen=True)
class CatalogueFile:
    """One file of a catalogue entry, and where it can be had.

    Attributes:
        path: Relative path below the entry's folder, with forward slashes.
        urls: The publisher's address and the mirrors, tried in this order.
        size: Bytes, None where it is not known.
        sha256: Checksum, 64 lower-case hexadecimal digits.
        sha256_prefix: Its first digits, where only these are published.
        md5: MD5 checksum, where only that is published.
        parts_of: Name of the split archive that this file is one part of; the parts stand in order.
    """

    path: str
    urls: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None
    sha256_prefix: str | None = None
    md5: str | None = None
    parts_of: str | None = None

    @property
    def has_checksum(self) -> bool:
        """Whether the content can be checked, and not only its size."""
        return bool(self.sha256 or self.sha256_prefix or self.md5)


@dataclass(frozen=True)
class HubSource:
    """Files of a repository on the Hugging Face Hub.

    Attributes:
        repo: ``owner/name``.
        revision: Branch, tag or commit.
        patterns: Which of its files, with wildcards as in a shell.
    """

    repo: str
    revision: str = "main"
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class CatalogueEntry:
    """Weights or a data set that ``synctool download`` can fetch.

    Attributes:
        name: Lower case, digits and dashes.
        kind: ``weights`` or ``dataset``.
        summary: One line for people.
        homepage: The publisher's page.
        licence: Name of the licence, or the terms in a few words.
        licence_url: Where it can be read.
        access: ``open``, or ``credentials`` where the publisher hands out a user name and a password.
        access_note: How access is granted, with the address of the form.
        unpack: Whether archives among the files are unpacked into the entry's folder and removed.
        unpacked_bytes: Estimate of what they hold, 0 where it is not known.
        hub: Where the files are, if on the Hugging Face Hub; else None.
        files: The files, if not on the Hub.
    """

    name: str
    kind: Literal["weights", "dataset"]
    summary: str
    homepage: str
    licence: str
    licence_url: str | None = None
    access: Literal["open", "credentials"] = "open"
    access_note: str = ""
    unpack: bool = False
    unpacked_bytes: int = 0
    hub: HubSource | None = None
    files: tuple[CatalogueFile, ...] = ()

    @property
    def size_bytes(self) -> int | None:
        """Bytes of all files, None unless every size is known."""
        sizes = [file.size for file in self.files]
        if not sizes or None in sizes:
            return None
        return sum(size for size in sizes if size is not None)

    @property
    def archives(self) -> dict[str, tuple[CatalogueFile, ...]]:
        """What there is to unpack: archives by name, each with the files that it is made of."""
        found: dict[str, tuple[CatalogueFile, ...]] = {}
        for file in self.files if self.unpack else ():
            name = file.parts_of or file.path
            if name.lower().endswith(ARCHIVE_SUFFIXES):
                found[name] = (*found.get(name, ()), file)
        return found


@dataclass(frozen=True)
class DatasetSpec:
    """A folder layout of films that ``preprocess`` can read, chosen by name.

    Attributes:
        name: Name for ``--tree``.
        factory: ``package.module:callable``; given the parts of a film's path below the collection's
            folder it returns a ``synctool.prepare.layouts.Identity``.
        summary: One line for people.
    """

    name: str
    factory: str
    summary: str


@dataclass(frozen=True)
class LossSpec:
    """A training loss that can be chosen by name.

    Attributes:
        name: Name for mixtures of losses, lower case, digits and dashes.
        factory: ``package.module:callable``; called with keyword options it returns a callable that
            takes a ``synctool.training.losses.evidence.Evidence`` and gives a scalar tensor. A returned
            ``torch.nn.Module`` may have parameters of its own, which are trained along.
        summary: One line for people.
        options: Names and default values of the keyword options that the factory takes.
        source: The paper that it comes from.
    """

    name: str
    factory: str
    summary: str
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True)
class ExporterSpec:
    """A format that a trained model can be exported to, chosen by name; one graph is one file or folder.

    Attributes:
        name: Name for ``--format`` and, where it can be run, for ``--runtime``.
        writer: ``package.module:callable``, called as ``callable(part, path, precision=..., metadata=...,
            clips=...)``: a ``synctool.exporting.formats.graph.GraphPart``, the new file, a ``Precision``,
            texts to keep inside where the format can, and for ``int8-static`` the inputs to find ranges
            with, a list of tuples of arrays in the order of the part's inputs (else None).
        summary: One line for people.
        suffix: Ending of its files, with the dot.
        precisions: The precisions that it can be written in.
        writes_with: Modules that writing imports beyond PyTorch, such as ``openvino``.
        reader: ``package.module:callable``, called as ``callable(path, threads=N)`` with a private copy of
            the file or folder that is there for the call only; gives a
            ``synctool.runtimes.protocol.Graph``. Empty where nothing can run it from Python.
        data_only: Whether reading and running such a file can run no code of whoever made it, whatever is
            in it. Others are opened only if the user trusts their checksum.
        in_memory: Whether the reader is called with a ``synctool.weights.graph_files.GraphFiles`` in place
            of a path.
        runs_with: Modules that running imports.
        requirement: What ``pip install`` must be given to get all these modules.
        runs_on: Systems, as ``platform.system()`` names them, that can run it; empty for any.
    """

    name: str
    writer: str
    summary: str
    suffix: str
    precisions: tuple[Precision, ...] = ("float32",)
    writes_with: tuple[str, ...] = ()
    reader: str = ""
    data_only: bool = False
    in_memory: bool = False
    runs_with: tuple[str, ...] = ()
    requirement: str = ""
    runs_on: tuple[str, ...] = ()


# --------------------------------------------------------------------------- results of detect


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
    """What the film itself is, on its own presentation timeline.

    ``turned_deg`` is by how much its pictures were turned clockwise beyond what the file says, as faces stand
    upright only then: 0, 90, 180 or 270.
    ``tracks`` are all that could be measured, with the choice marked; ``channel`` is the audio channel
    that is measured, ``mix`` for several mixed, empty where there is one only or none.
    ``unread_s`` is how much of it could not be decoded or is missing, and ``unread_share`` what share of the
    whole that is, 0..1: it counts as not covered.
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
    runtime: str = "torch"
    verdict_coverage: float = 0.0
    audio_belongs: float | None = None

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
            "runtime": self.runtime,
            "synctool": self.synctool,
            "source": asdict(self.source),
            "offset_frames": _rounded(self.offset_frames, 3),
            "offset_ms": self.offset_ms,
            "audio_is": self.audio_is,
            "confidence": _rounded(self.confidence, 4),
            "audio_belongs": _rounded(self.audio_belongs, 4),
            "verdict": self.verdict,
            "reason": self.reason,
            "max_offset": self.max_offset,
            "coverage": _rounded(self.coverage, 4),
            "verdict_coverage": _rounded(self.verdict_coverage, 4),
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


# --------------------------------------------------------------------------- trials of compare


@dataclass(frozen=True)
class Condition:
    """How a film was presented to the models.

    Attributes:
        kind: ``plain``, ``shift`` (the sound moved), ``piece`` (a stretch of it, its sound moved) or
            ``perturbed`` (made worse).
        moved_frames: By how much the sound was moved ahead; a multiple of one sample, 1/640.
        start_s: Begin of the stretch, None for the whole film.
        end_s: End of the stretch.
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
    """What is known about a film.

    Attributes:
        offset_frames: Its true offset, None where it is not known.
        person: Who speaks, "" where nobody said.
        source: The collection.
        language: What is spoken.
        segments: True offsets by stretch, where it changes within the film.
    """

    offset_frames: float | None = None
    person: str = ""
    source: str = ""
    language: str = ""
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One film under one condition through one model: what ``compare`` collects.

    Attributes:
        film: The film as it was given.
        backbone: Full name of the model.
        weights: Name and checksum of its weights.
        condition: How the film was presented.
        label: What is known about it.
        truth_frames: True offset under this condition, None where it is not known.
        offset_frames: The best match, whether or not it is shown; None where nothing can be compared.
        confidence: Probability in 0..1 that it is right within a frame.
        verdict: As of ``detect``.
        answered: Whether the offset is shown, or the trial is inconclusive.
        reason: Why it is inconclusive.
        lse_c: SyncNet's median minus minimum of the mean distances, larger is better.
        lse_d: SyncNet's minimum of the mean distances, smaller is better.
        coverage: Share of the stretch with a face, 0..1.
        segments: Stretches that were found.
        frames: Offset and confidence per 25 Hz frame.
        curve: Mean score of the candidates -K..K above the mean of all, None where there is none.
        windows: For windows of N frames, how many have their best of 31 candidates within a frame of
            the truth, and how many there are; empty where the truth is not known.
        duration_s: Length of the stretch.
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
            TypeError: Something is missing, or there is more than a trial has.
            ValueError: It is no trial of this schema.
        """
        given = dict(data)
        if given.pop("schema", None) != TRIAL_SCHEMA:
            raise ValueError(f"no {TRIAL_SCHEMA}")
        label = dict(given["label"])
        label["segments"] = _segments(label["segments"])
        given["label"] = Label(**label)
        given["condition"] = Condition(**given["condition"])
        given["segments"] = _segments(given["segments"])
        given["frames"] = FrameSeries(**{k: tuple(v) for k, v in given["frames"].items()})
        given["curve"] = tuple(given["curve"])
        given["windows"] = {int(n): (int(a), int(b)) for n, (a, b) in given["windows"].items()}
        return cls(**given)


def _segments(data: Any) -> tuple[Segment, ...]:
    return tuple(Segment(**entry) for entry in data)
