"""From the name of a backbone, or from a file, to a model that is ready to measure."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from ctypes.util import find_library
from pathlib import Path

from synctool.errors import MissingError, UsageError
from synctool.extras import require
from synctool.networks.formats import status
from synctool.networks.load_exported import GRAPHS, open_artefact
from synctool.networks.loaded import LoadedModel, check_holds
from synctool.networks.names import model_spec
from synctool.plugins import registry
from synctool.plugins.specs import ModelSpec
from synctool.runtimes.trust import checksums
from synctool.settings.shared import DEFAULT_BACKBONE
from synctool.weights.artefact import Artefact, is_artefact, read_artefact
from synctool.weights.locate import located_export

_GRAPHICS_CARDS = ("/dev/nvidia0", "/proc/driver/nvidia/version", "/dev/kfd", "/dev/dxg")


def load_model(
    name: str = DEFAULT_BACKBONE,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    runtime: str = "auto",
    threads: int | None = None,
    trust: str | Iterable[str] | None = None,
) -> LoadedModel:
    """Make a model ready to measure.

    Args:
        name: ``NAME[.TAG]`` or ``VIDEO[.TAG]+AUDIO[.TAG]``.
        weights: Weight file, or the folder of an exported model; None takes the backbone's own.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        runtime: ``torch``, an export format, or ``auto``: what the weights are for, and for a
            backbone's own on a CPU the exported ones where they come with it, as these are faster.
        threads: Most that an exported model computes with; None leaves half of the cores to other work.
        trust: Checksum of an exported model in a format that can run code, or several: its files are trusted
            from now on, also by later calls and by the command line.

    Raises:
        UntrustedError: The exported model could run code, and is not trusted.
        MissingError: The weights, the device, or what should run them is not here.
        WeightsError: The weights do not fit, or are another backbone's.
        UsageError: No such backbone or runtime, or the weights are not for it.
    """
    if weights is not None and is_artefact(Path(weights)):
        artefact = read_artefact(Path(weights))
        check_holds(str(artefact.folder), held=artefact.backbone, wanted=name)
        _check_runtime(artefact, runtime)
        _check_lengths(artefact)
        return open_artefact(artefact, device=device, threads=threads, trust=trust)
    checksums(trust)  # a wrong one is said, whether it is needed or not
    spec = model_spec(name)
    if runtime != "torch" and weights is None:
        own = _own_export(spec, runtime, device=device)
        if own is not None:
            return open_artefact(own, device="cpu", threads=threads, label=own.weights, own=True)
    if runtime not in ("auto", "torch"):
        raise _not_exported(spec, runtime, weights)
    require("train", f"{spec.full_name} in PyTorch", "torch")
    from synctool.networks.load_torch import load_network  # PyTorch takes a second to import

    return load_network(spec, weights=None if weights is None else Path(weights), device=device)


def _check_lengths(artefact: Artefact) -> None:
    for name in GRAPHS:
        part = artefact.parts.get(name)
        if part and not any(isinstance(n, str) for axes in part.inputs.values() for n in axes[1:]):
            raise UsageError(
                f"{artefact.folder} takes windows of one length only, and videos have any",
                remedy="Export to another format, such as onnx, to measure videos with.",
            )


def _own_export(spec: ModelSpec, runtime: str, *, device: str) -> Artefact | None:
    """The exported model that comes with a backbone, if it is the one to take."""
    folder = None if spec.weights is None else located_export(spec.weights)
    if folder is None or device not in ("auto", "cpu"):
        return None
    artefact = read_artefact(folder)
    if runtime == artefact.format:
        return artefact
    wanted = runtime == "auto" and (device == "cpu" or not _graphics_card())
    runs = not status(registry.exporters.get(artefact.format)).cannot_run_because
    return artefact if wanted and runs else None


def _graphics_card() -> bool:
    """Whether PyTorch may find something faster than the CPU, which only importing it would tell."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    return any(map(os.path.exists, _GRAPHICS_CARDS)) or bool(find_library("nvcuda"))


def _check_runtime(artefact: Artefact, runtime: str) -> None:
    if runtime not in ("auto", artefact.format):
        raise UsageError(
            f"{artefact.folder} was exported to {artefact.format}, not for {runtime}",
            remedy=f"Use --runtime {artefact.format}, or leave it out.",
        )


def _not_exported(spec: ModelSpec, runtime: str, weights: str | Path | None) -> Exception:
    try:
        known = registry.exporters.get(runtime)  # an unknown one is said first
    except UsageError as error:
        remedy = f"{error.remedy} --runtime takes auto and torch, too."
        raise UsageError(error.cause, remedy=remedy) from error
    if weights is not None:
        return UsageError(
            f"{weights} is no folder of a model exported to {known.name}",
            remedy=f"Export it with: synctool export --backbone {spec.full_name} --weights {weights} "
            f"--format {known.name} --out FOLDER, then give --weights FOLDER.",
        )
    return MissingError(
        f"{spec.full_name} is not exported to {known.name} here",
        remedy=f"Export it with: synctool export --backbone {spec.full_name} --format {known.name} "
        "--out FOLDER, then give --weights FOLDER.",
    )
