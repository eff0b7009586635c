"""Writing an adapted model: weights with their provenance, or an exported one with a new calibration."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from synctool.errors import MissingError, OutputError, UsageError
from synctool.files import make_folder, output_error
from synctool.networks.names import model_spec
from synctool.scoring.confidence import Calibration
from synctool.temporaries import temporary_beside
from synctool.weights.artefact import Artefact, is_artefact, read_artefact, write_manifest
from synctool.weights.locate import located_export

ADAPTED = "adapted"
"""Key of the provenance in the header of weights, and in the checks of an exported model."""
SUFFIX = ".safetensors"


def is_weight_file(out: Path) -> bool:
    """Whether a name means a weight file, and not the folder of an exported model."""
    return out.suffix.lower() == SUFFIX


def exported_model(backbone: str, weights: Path | None) -> Artefact:
    """The exported model that gets another calibration.

    Raises:
        UsageError: The weights are no exported model.
        MissingError: None comes with the backbone.
    """
    if weights is not None:
        if not is_artefact(weights):
            raise UsageError(
                f"{weights} is no exported model, and the output is a folder",
                remedy=f"Give the output a name that ends in {SUFFIX}.",
            )
        return read_artefact(weights)
    spec = model_spec(backbone)
    folder = None if spec.weights is None else located_export(spec.weights)
    if folder is None:
        raise MissingError(
            f"no exported model comes with {backbone}",
            remedy=f"Give the output a name that ends in {SUFFIX}.",
        )
    return read_artefact(folder)


def write_weights(
    source: Path, out: Path, calibration: Calibration, provenance: Mapping[str, Any]
) -> None:
    """Write a weight file with another calibration in its header, and where it comes from.

    Args:
        source: Weights with the header that is kept.
        out: The file.
        calibration: The calibration.
        provenance: Plain data.

    Raises:
        OutputError: It cannot be written.
    """
    from synctool.training.checkpoint import metadata, save_weights
    from synctool.weights.files import load_weights

    loaded = load_weights(source)
    facts = {"calibration": calibration.to_dict(), ADAPTED: dict(provenance)}
    # What sets of offsets promise, they promise for the scores and people of the weights before.
    kept = {name: value for name, value in loaded.metadata.items() if name != "offset_sets"}
    save_weights(out, loaded.state, metadata({**kept, **facts}))


def write_exported(
    artefact: Artefact, out: Path, calibration: Calibration, provenance: Mapping[str, Any]
) -> None:
    """Write an exported model anew with another calibration; the graphs are copied.

    Args:
        artefact: The model.
        out: The folder; it is new, or holds an adapted model.
        calibration: The calibration.
        provenance: Plain data.

    Raises:
        OutputError: It cannot be written.
    """
    checks = {**artefact.checks, ADAPTED: json.loads(json.dumps(dict(provenance)))}
    calibrated = replace(
        artefact, calibration=calibration.to_dict(), offset_sets=None, checks=checks
    )
    make_folder(out.parent)
    try:
        with temporary_beside(out, folder=True) as beside:
            new = beside / "new"
            new.mkdir()
            for part in artefact.parts.values():
                source = artefact.folder / part.file
                copy = shutil.copytree if source.is_dir() else shutil.copyfile
                copy(source, new / part.file)
            write_manifest(calibrated, new)
            if out.exists():
                out.rename(beside / "old")
            new.rename(out)
    except OSError as error:
        raise output_error(out, error) from error


def check_output(out: Path) -> None:
    """Refuse a folder that holds something else than an adapted model.

    Raises:
        OutputError: It does.
    """
    if is_weight_file(out) or not out.exists():
        return
    if not (is_artefact(out) and ADAPTED in read_artefact(out).checks):
        raise OutputError(
            f"{out} exists, and is no adapted model", remedy="Give another name with -o."
        )
