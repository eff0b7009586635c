"""Exported models: a folder with one file for each graph, and ``synctool.json``, which says everything
that is needed to run them. Reads no graph and imports no PyTorch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from synctool.errors import MissingError, WeightsError
from synctool.files import sha256, write_text
from synctool.plugins.specs import AudioInput, ModelSpec, VideoInput
from synctool.types import AUDIO_HZ, EXPORT_SCHEMA, VIDEO_FPS, Precision
from synctool.untrusted.documents import read_json, typed
from synctool.untrusted.origin import MalformedError, Origin
from synctool.weights.graph_files import (
    LARGEST_GRAPH_BYTES,
    GraphFiles,
    TooLargeError,
    digest_of,
    read_graph_files,
)
from synctool.weights.inputs import audio_input, video_input

MANIFEST = "synctool.json"
CLASS_TO_OFFSET = "offset_frames = row - max_offset; positive: the sound is ahead of the picture"
_LARGEST_MANIFEST = 1 << 22
_AGAIN = "Export it again."
_MOST = {
    "embedding_size": 1 << 16,
    "receptive_field_frames": 10_000,
    "audio_receptive_field_frames": 10_000,
    "margin": 10_000,
    "reach": 10_000,
}
"""Largest values of its figures; all are from 0."""


@dataclass(frozen=True)
class ArtefactPart:
    """One graph of an exported model.

    Attributes:
        file: Its name in the folder; some formats make a folder of their own.
        sha256: Checksum, as of ``digest``.
        bytes: Size, as of ``size``.
        inputs: Names and axes, as of ``synctool.exporting.formats.graph``.
        outputs: Names.
    """

    file: str
    sha256: str
    bytes: int
    inputs: Mapping[str, tuple[int | str, ...]]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Artefact:
    """An exported model.

    Attributes:
        format: Name of the export format.
        precision: How its numbers are kept.
        backbone: Full name of the network.
        weights: Name and checksum of the weights that it was made of.
        embedding_size: D.
        receptive_field_frames: Of the frames.
        audio_receptive_field_frames: Of the audio.
        bounded: Whether an embedding depends on nothing beyond these.
        video: Video input.
        audio: Audio input.
        margin: Rows of the score volume that the head needs beyond the asked range, on either side.
        reach: Frames beyond a frame that the head may look at.
        zero_frames: Constant that is subtracted from its offsets.
        calibration: Coefficients of the confidence; None for the cautious default.
        offset_sets: Thresholds of the sets of offsets; None where nobody calibrated them.
        licence: Of the weights.
        parts: The graphs by name.
        options: Options that the network was built with, where they differ from its defaults.
        checks: What was measured against PyTorch when it was made.
        synctool: Version that made it.
        folder: Where it is; not in the file.
    """

    format: str
    precision: Precision
    backbone: str
    weights: str
    embedding_size: int
    receptive_field_frames: int
    audio_receptive_field_frames: int
    bounded: bool
    video: VideoInput
    audio: AudioInput
    margin: int
    reach: int
    zero_frames: float
    calibration: Mapping[str, float | Mapping[str, float] | None] | None
    licence: str
    parts: Mapping[str, ArtefactPart]
    options: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Any] = field(default_factory=dict)
    offset_sets: Mapping[str, Any] | None = None
    synctool: str = ""
    folder: Path = Path()

    @property
    def label(self) -> str:
        """Name and checksum of the weights, format and precision, as results show them."""
        return f"{self.weights} ({self.format} {self.precision})"

    @property
    def bytes(self) -> int:
        """Size of all graphs."""
        return sum(part.bytes for part in self.parts.values())

    def spec(self) -> ModelSpec:
        """The network as the engine knows it; nothing can be built from it."""
        name, _, tag = self.backbone.partition(".")
        return ModelSpec(
            name=name,
            tag=tag or "exported",
            default=not tag,
            role="joint",
            factory="",
            summary=f"{self.backbone} exported to {self.format}",
            video=self.video,
            audio=self.audio,
            embedding_size=self.embedding_size,
            receptive_field_frames=self.receptive_field_frames,
            audio_receptive_field_frames=self.audio_receptive_field_frames,
            bounded=self.bounded,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; what other programs need to know is spelled out."""
        data = asdict(self)
        del data["folder"]
        return {
            "schema": EXPORT_SCHEMA,
            "video_fps": VIDEO_FPS,
            "audio_hz": AUDIO_HZ,
            "class_to_offset": CLASS_TO_OFFSET,
            **data,
        }


def is_artefact(path: Path) -> bool:
    """Whether this is the folder of an exported model, or its manifest."""
    return path.name == MANIFEST or (path / MANIFEST).is_file()


def write_manifest(artefact: Artefact, folder: Path) -> None:
    """Write ``synctool.json``.

    Raises:
        OutputError: It cannot be written.
    """
    text = json.dumps(artefact.to_dict(), indent=2, ensure_ascii=False)
    write_text(folder / MANIFEST, text + "\n")


def read_artefact(path: Path) -> Artefact:
    """Read the manifest of an exported model; its graphs stay closed.

    Args:
        path: The folder, or its ``synctool.json``.

    Raises:
        MissingError: There is none.
        WeightsError: It is damaged, or of a newer version.
    """
    folder = path.parent if path.name == MANIFEST else path
    file = folder / MANIFEST
    origin = Origin(str(file), _AGAIN, error=WeightsError)
    try:
        data = read_json(file, most=_LARGEST_MANIFEST)
    except OSError as error:
        raise MissingError(
            f"{folder} holds no exported model: no {MANIFEST}",
            remedy="Make one with: synctool export --out FOLDER",
        ) from error
    except MalformedError as error:
        raise origin.wrong(error) from error
    _check_schema(data, file)
    with origin.checked():
        return _artefact(data, folder)


def graph_files(artefact: Artefact, name: str, *, links: bool = False) -> GraphFiles:
    """The bytes of one graph, after making sure that they are those that the manifest names.

    The manifest comes from whoever made the folder: its checksum tells a damaged file, and says nothing
    about trust.

    Args:
        artefact: The exported model.
        name: Of the graph.
        links: Whether symbolic links are followed: only where the folder is this package's own.

    Raises:
        MissingError: The model has no such graph, or its file is gone.
        WeightsError: The file has changed, or is no regular file.
    """
    part = artefact.parts.get(name)
    if part is None:
        raise MissingError(
            f"{artefact.folder} has no graph {name!r}, only {', '.join(artefact.parts)}",
            remedy="Export it again with --parts video,audio,head.",
        )
    path = artefact.folder / part.file
    changed = WeightsError(
        f"{path} is not the file that was exported: its checksum differs", remedy=_AGAIN
    )
    try:
        most = min(LARGEST_GRAPH_BYTES, max(0, part.bytes))
        found = read_graph_files(path, most=most, links=links)
    except TooLargeError as error:
        raise changed from error
    if found.sha256 != part.sha256:
        raise changed
    return found


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, of the names and contents of its files in order."""
    if path.is_file():
        return sha256(path)
    return digest_of({f.relative_to(path).as_posix(): sha256(f) for f in _files(path)})


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in _files(path))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _check_schema(data: object, file: Path) -> None:
    facts = data if isinstance(data, dict) else {}
    name, _, version = str(facts.get("schema")).partition("/")
    known_name, _, known = EXPORT_SCHEMA.partition("/")
    if name != known_name or not version.isdigit():
        raise WeightsError(f"{file} is not the manifest of an exported model", remedy=_AGAIN)
    if int(version) > int(known):
        raise WeightsError(
            f"{file} was made by a newer version of synctool ({facts.get('synctool', 'unknown')})",
            remedy="Update it with: pip install -U synctool",
        )


def _artefact(data: Mapping[str, Any], folder: Path) -> Artefact:
    known = {f.name for f in fields(Artefact)} - {"folder"}
    given = {k: v for k, v in data.items() if k in known}
    # Older versions wrote whole numbers as they came.
    for name in ("embedding_size", "margin", "reach", "receptive_field_frames"):
        if isinstance(given.get(name), float) and given[name].is_integer():
            given[name] = int(given[name])
    made: Artefact = typed(given, Artefact)
    for name, part in made.parts.items():
        _check_part(name, part)
    for name, most in _MOST.items():
        if not 0 <= getattr(made, name) <= most:
            raise MalformedError(f"its {name} is {getattr(made, name)}")
    if not math.isfinite(made.zero_frames):
        raise MalformedError(f"its zero_frames is {made.zero_frames}")
    return replace(
        made, folder=folder, video=video_input(given["video"]), audio=audio_input(given["audio"])
    )


def _check_part(name: str, part: ArtefactPart) -> None:
    # A manifest must not lead out of its folder, on any system.
    file = part.file
    if not file or Path(file).name != file or file == ".." or any(c in file for c in "/\\:\0"):
        raise MalformedError(f"{file[:80]!r} is no file name")
    if part.bytes < 0:
        raise MalformedError(f"the graph {name[:80]} has {part.bytes} bytes")
