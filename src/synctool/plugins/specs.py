"""What plugins give: frozen specs of networks, detectors, losses, formats, layouts, downloads.

Nothing heavy is imported until a spec is chosen: it names its factory as ``package.module:callable``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from synctool.types import Precision

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""Names that end so are archives, which can be unpacked."""
Role = Literal["video", "audio", "joint"]


@dataclass(frozen=True)
class VideoInput:
    """What frames a network expects, per 25 Hz frame.

    Attributes:
        crop: ``mouth`` (similarity transform from landmarks) or ``face`` (padded box, SyncNet's).
        size_px: Height and width of the square crop.
        colour: ``gray`` (luma), ``rgb`` or ``bgr``; ``gray`` with three means is the grey image in
            three channels, for networks that were made for colour.
        value_range: Range that pixel values 0..255 are mapped to.
        mean: Per channel, subtracted after the mapping.
        std: Per channel, divided by after the subtraction.
        flow: ``dis`` for two more channels with the optical flow of colour frames (see
            ``synctool.features.optical_flow``); a receptive field counts the frames that it sees, too.
    """

    crop: Literal["mouth", "face"]
    size_px: int
    colour: Literal["gray", "rgb", "bgr"]
    value_range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    flow: Literal["dis"] | None = None

    @property
    def image_channels(self) -> int:
        """Channels of the frames themselves: 1 for gray unless it has three means, 3 for colour."""
        return max(len(self.mean), 1 if self.colour == "gray" else 3)

    @property
    def channels(self) -> int:
        """Channels of the network's input: those of the frames, and two of the flow."""
        return self.image_channels + (2 if self.flow else 0)

    @property
    def flow_reach_frames(self) -> int:
        """Frames on either side of a frame that its input sees besides itself."""
        return 1 if self.flow else 0

    def per_channel(self, values: tuple[float, ...], *, flow: float) -> tuple[float, ...]:
        """One value for each of ``channels``.

        Args:
            values: ``mean`` or ``std``.
            flow: Value of the channels of the flow.
        """
        images = values * self.image_channels if len(values) == 1 else values
        return (*images, *(flow,) * (self.channels - self.image_channels))


@dataclass(frozen=True)
class AudioInput:
    """What audio features a network expects.

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
        video: Video input, None for a pure audio encoder.
        audio: Audio input, None for a pure video encoder.
        embedding_size: D of the ``[B, D, T]`` embeddings.
        receptive_field_frames: Video frames that one embedding looks at (odd, centred).
        audio_receptive_field_frames: The same for the audio, in video frames.
        options: Names and default values of the keyword options that the factory takes.
        weights: Published or bundled weights, None if it must be trained.
        default: Whether this tag answers to the bare name.
        bounded: Whether an embedding depends on nothing beyond its receptive field. False for networks
            with attention or normalisation over the whole input; then the receptive field is the context
            that a segment of a long video is given on either side.
        any_crop: Whether the video encoder can be trained on other crops than ``video`` says: mouth
            or face, grey or colour, another size. The trained weights then say which.
        small: Options that make it small enough for tests.
        look_ahead_frames: For causal networks: how many frames after its own an embedding looks at; the
            receptive field is then twice as many as it looks back, and its own. None: as many as back.
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
    look_ahead_frames: int | None = None

    @property
    def full_name(self) -> str:
        """``NAME.TAG``, or ``NAME`` for the default tag."""
        return self.name if self.default else f"{self.name}.{self.tag}"


_NONE: Any = None
"""Default of what has one in the base class and must be given here; refused when the spec is made."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec(BackboneSpec):
    """A complete model: two encoders, and what compares their embeddings.

    Plugins give a ``BackboneSpec`` of role ``joint``; ``of`` makes one of these from it.

    Attributes:
        video: Video input.
        audio: Audio input.
    """

    video: VideoInput = _NONE
    audio: AudioInput = _NONE

    def __post_init__(self) -> None:
        if self.video is None or self.audio is None:
            raise TypeError(f"{self.full_name} is no complete model")

    @classmethod
    def of(cls, spec: BackboneSpec) -> ModelSpec:
        """The same spec, known to be complete.

        Raises:
            TypeError: It is an encoder.
        """
        if isinstance(spec, ModelSpec):
            return spec
        return cls(**{field.name: getattr(spec, field.name) for field in fields(spec)})


@dataclass(frozen=True, kw_only=True)
class PairSpec(ModelSpec):
    """A complete model put together from two encoders.

    Attributes:
        video_encoder: The video encoder, left of the plus sign.
        audio_encoder: The audio encoder, right of it.
    """

    video_encoder: BackboneSpec
    audio_encoder: BackboneSpec


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

    def archive_of(self, file: CatalogueFile) -> str | None:
        """The archive that a file is, or is a part of."""
        return next((name for name, parts in self.archives.items() if file in parts), None)


@dataclass(frozen=True)
class DatasetSpec:
    """A folder layout of videos that ``preprocess`` can read, chosen by name.

    Attributes:
        name: Name for ``--tree``.
        factory: ``package.module:callable``; given the parts of a video's path below the collection's
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
            takes a ``synctool.training.losses.loss_inputs.Evidence`` and gives a scalar tensor. A returned
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
