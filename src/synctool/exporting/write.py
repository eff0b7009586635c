"""Writing a network's graphs, with the facts that are needed to run them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from synctool._version import __version__
from synctool.errors import ExportError, MissingError, SyncToolError, described
from synctool.exporting.event import ExportEvent, Tell
from synctool.exporting.formats.graph import GraphPart
from synctool.exporting.formats.parts import graph_parts, head_margin, head_reach
from synctool.exporting.requirements import ENCODERS
from synctool.exporting.windows import Inputs, Windows
from synctool.networks import formats as export_formats
from synctool.networks.load_torch import training_facts
from synctool.networks.loaded import LoadedModel
from synctool.networks.names import model_spec
from synctool.plugins import registry
from synctool.plugins.specs import ExporterSpec, Precision
from synctool.scoring.confidence import UNCALIBRATED
from synctool.settings.export import ExportSettings
from synctool.types import AUDIO_HZ, VIDEO_FPS
from synctool.weights.artefact import (
    CLASS_TO_OFFSET,
    Artefact,
    ArtefactPart,
    digest,
    size,
    write_manifest,
)


def write_model(
    model: LoadedModel,
    settings: ExportSettings,
    spec: ExporterSpec,
    windows: Windows,
    folder: Path,
    tell: Tell,
) -> Artefact:
    """Write all graphs and the manifest."""
    artefact = _artefact(model, settings, spec, folder)
    parts = graph_parts(model.spec, model.network, parts=settings.parts)
    written: dict[str, ArtefactPart] = {}
    for number, part in enumerate(parts):
        tell(ExportEvent(f"writing {part.name}", number, len(parts)))
        precision = _precision_of(part.name, settings.precision)
        path = folder / f"{part.name}{spec.suffix}"
        axes = _call_writer(
            spec,
            part,
            path,
            precision=precision,
            metadata=_metadata(artefact, part, precision),
            clips=Inputs(windows.calibration, part.name) if precision == "int8-static" else None,
        )
        written[part.name] = ArtefactPart(
            file=path.name,
            sha256=digest(path),
            bytes=size(path),
            inputs={i.name: tuple(axes.get(i.name, i.axes)) for i in part.inputs},
            outputs=part.outputs,
        )
    artefact = replace(artefact, parts=written)
    write_manifest(artefact, folder)
    return artefact


def _artefact(
    model: LoadedModel, settings: ExportSettings, spec: ExporterSpec, folder: Path
) -> Artefact:
    """The facts about a model, without its graphs."""
    network, known = model.spec, replace(model.calibration, sets=None) != UNCALIBRATED
    return Artefact(
        format=spec.name,
        precision=settings.precision,
        backbone=network.full_name,
        weights=model.weights,
        embedding_size=network.embedding_size,
        receptive_field_frames=network.receptive_field_frames,
        audio_receptive_field_frames=network.audio_receptive_field_frames,
        bounded=network.bounded,
        video=network.video,
        audio=network.audio,
        margin=head_margin(model.network),
        reach=head_reach(model.network),
        zero_frames=model.zero_frames,
        calibration=model.calibration.to_dict() if known else None,
        offset_sets=model.calibration.sets and model.calibration.sets.to_dict(),
        licence=_licence(model, settings),
        parts={},
        options=training_facts(network, model_spec(network.full_name)).get("options", {}),
        synctool=__version__,
        folder=folder,
    )


def _licence(model: LoadedModel, settings: ExportSettings) -> str:
    own = model.spec.weights
    if settings.weights is None and own is not None:
        return own.licence
    return f"not known to synctool; ask whoever trained {settings.weights}"


def _precision_of(part: str, wanted: Precision) -> Precision:
    """Only encoders are brought to eight bits: a head is small, and every bit of it counts."""
    return wanted if part in ENCODERS or not wanted.startswith("int8") else "float32"


def _metadata(artefact: Artefact, part: GraphPart, precision: Precision) -> dict[str, str]:
    """What a graph is told of itself, for formats that can keep texts."""
    facts = artefact.to_dict()
    for later in ("parts", "checks"):
        del facts[later]
    return {
        "synctool": json.dumps(facts, ensure_ascii=False),
        "synctool_version": artefact.synctool,
        "graph": part.name,
        "precision": precision,
        "backbone": artefact.backbone,
        "weights": artefact.weights,
        "licence": artefact.licence,
        "video_fps": str(VIDEO_FPS),
        "audio_hz": str(AUDIO_HZ),
        "class_to_offset": CLASS_TO_OFFSET,
    }


def _call_writer(
    spec: ExporterSpec, part: GraphPart, path: Path, **given: Any
) -> Mapping[str, Sequence[int | str]]:
    """Let the format write a graph; gives the axes that it made fixed."""
    told = f"{spec.name} cannot write the {part.name} graph"
    try:
        axes = registry.imported(spec.writer)(part, path, **given)
    except SyncToolError as error:
        refused = _of_the_system(error)
        if refused is None:
            raise
        raise refused from error
    except OSError:
        raise
    except ImportError as error:
        raise MissingError(
            f"{told}: {described(error)}",
            remedy=f"Install with: {export_formats.installing_writer(spec)}",
        ) from error
    except MemoryError as error:
        raise ExportError(
            f"{told}: there is not enough memory", remedy="Close other programs."
        ) from error
    except Exception as error:  # a plugin's writer may fail in any way
        raise ExportError(
            f"{told}: {described(error)}",
            remedy="Try another format, or tell the authors of this one.",
        ) from error
    if not path.exists() or not size(path):
        raise ExportError(
            f"{told}: it left no file behind", remedy="Tell the authors of this format."
        )
    return axes if isinstance(axes, Mapping) else {}


def _of_the_system(error: BaseException) -> OSError | None:
    """What the operating system refused, where a format made an error of its own of that."""
    below = error.__cause__ or error.__context__
    if below is None or isinstance(below, OSError):
        return below
    return _of_the_system(below)
