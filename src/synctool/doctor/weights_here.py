"""Which weights are here, how large they are, and whether they are what they should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synctool.disk_space import amount
from synctool.doctor.findings import Finding
from synctool.downloads.run import listing
from synctool.faces.centerface import model_file
from synctool.measure.detectors import face_detectors
from synctool.plugins import registry
from synctool.settings.shared import DEFAULT_BACKBONE, DEFAULT_DETECTOR
from synctool.weights.artefact import digest, read_artefact, size
from synctool.weights.locate import located, located_export

SECTION = "Weights"
_REINSTALL = "pip install --force-reinstall --no-deps synctool"
_LARGEST = 200_000_000
"""Of larger files no checksum is taken: it would take seconds."""


def weights() -> Iterator[Finding]:
    """The default model and face detector, and what was fetched."""
    spec = registry.backbones.get(DEFAULT_BACKBONE)
    folder = None if spec.weights is None else located_export(spec.weights)
    if folder is None:
        yield Finding(SECTION, DEFAULT_BACKBONE, "problem", "its graphs are not here", _REINSTALL)
    else:
        yield _exported(folder)
    if spec.weights is not None and (file := located(spec.weights)):
        yield Finding(SECTION, f"{DEFAULT_BACKBONE} for PyTorch", "ok", described_file(file))
    if model_file().is_file():
        yield Finding(SECTION, DEFAULT_DETECTOR, "ok", described_file(model_file()))
    else:
        yield Finding(SECTION, DEFAULT_DETECTOR, "problem", "its network is not here", _REINSTALL)
    for detector in face_detectors():
        if detector.weights is not None:
            yield Finding(SECTION, detector.spec.name, "ok", described_file(detector.weights))
    for state in listing():
        if state.status == "not here":
            continue
        told = f"{state.status}, {state.folder}"
        if state.folder.is_dir():
            told += f", {amount(size(state.folder))}"
        name, incomplete = state.entry.name, state.status == "incomplete"
        yield Finding(
            "Downloads", name, "warning" if incomplete else "ok", told,
            f"synctool download {name}" if incomplete else "",
        )  # fmt: skip


def described_file(path: Path) -> str:
    """Name, size and the beginning of the checksum of a file or folder."""
    count = size(path)
    sum_ = f", sha256:{digest(path)[:16]}" if count <= _LARGEST else ""
    return f"{path.name}, {amount(count)}{sum_}"


def _exported(folder: Path) -> Finding:
    artefact = read_artefact(folder)
    wrong = [
        part.file
        for part in artefact.parts.values()
        if not (folder / part.file).exists() or digest(folder / part.file) != part.sha256
    ]
    told = f"{artefact.weights}, {artefact.format} {artefact.precision}, {amount(artefact.bytes)}"
    if wrong:
        told = f"{', '.join(wrong)} missing or damaged in {folder}"
        return Finding(SECTION, DEFAULT_BACKBONE, "problem", told, _REINSTALL)
    return Finding(SECTION, DEFAULT_BACKBONE, "ok", f"{told}, checksums hold")
