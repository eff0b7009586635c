"""Exported models, and the one door through which their graphs are opened.

Whoever opens a graph comes through here: the bytes are read once, compared with the manifest, checked for
what could run code, let pass only if they are data or trusted, and these bytes are what is loaded. Imports
no PyTorch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace

from synctool.cores import usable_cores
from synctool.errors import UsageError
from synctool.networks.formats import check_runs, status
from synctool.networks.loaded import LoadedModel, of_header
from synctool.plugins import registry
from synctool.plugins.specs import ExporterSpec
from synctool.runtimes.graphs import GraphRuntime, SafeGraph
from synctool.runtimes.protocol import Graph
from synctool.runtimes.trust import admit_model, checksums, model_checksum
from synctool.weights.artefact import Artefact, graph_files
from synctool.weights.graph_files import GraphFiles

GRAPHS = ("video", "audio", "head")
"""Graphs of an exported model that measuring takes."""


def open_artefact(
    artefact: Artefact,
    *,
    device: str = "auto",
    threads: int | None = None,
    label: str = "",
    trust: str | Iterable[str] | None = None,
    own: bool = False,
    just_written: Artefact | None = None,
) -> LoadedModel:
    """Open an exported model.

    Args:
        artefact: What its manifest says.
        device: ``auto`` or ``cpu``.
        threads: Most that its graphs compute with; half of the cores are left to other work.
        label: What results call its weights; else that of the artefact.
        trust: See ``load_model``.
        own: Whether it came with this package, which may be installed as links.
        just_written: See ``open_graphs``.

    Raises:
        MissingError: A graph, or what should run it, is not here.
        UntrustedError: It could run code, and is not trusted.
        WeightsError: It has changed, or is damaged.
        UsageError: It cannot run on that device, or its format cannot run from Python.
    """
    if device not in ("auto", "cpu"):
        raise UsageError(
            f"exported models run on the CPU here, not on {device}",
            remedy="Use --device cpu, or --runtime torch with the weight file.",
        )
    half = max(1, usable_cores() // 2)
    count = half if threads is None else max(1, min(threads, half))
    graphs = open_graphs(
        artefact, GRAPHS, threads=count, trust=trust, own=own, just_written=just_written
    )
    facts = {"zero_frames": str(artefact.zero_frames)}
    if artefact.calibration is not None:
        facts["calibration"] = json.dumps(dict(artefact.calibration))
    if artefact.offset_sets is not None:
        facts["offset_sets"] = json.dumps(dict(artefact.offset_sets))
    calibration, zero_frames = of_header(facts, artefact.folder)
    return LoadedModel(
        spec=artefact.spec(),
        runtime=GraphRuntime(
            name=artefact.format,
            margin=artefact.margin,
            reach=artefact.reach,
            threads=count,
            **graphs,
        ),
        weights=label or artefact.label,
        calibration=calibration,
        zero_frames=zero_frames,
    )


def open_graphs(
    artefact: Artefact,
    names: Iterable[str],
    *,
    threads: int,
    trust: str | Iterable[str] | None = None,
    own: bool = False,
    just_written: Artefact | None = None,
) -> dict[str, Graph]:
    """Open graphs of an exported model.

    Args:
        artefact: What its manifest says.
        names: Of the graphs.
        threads: Most that they compute with.
        trust: Checksums of models that are trusted from now on.
        own: Whether it came with this package.
        just_written: What this process itself has written there: files that are still the same need no trust.

    Raises:
        MissingError: A graph, or what should run it, is not here.
        UntrustedError: The format can run code, and the files are not trusted.
        WeightsError: A graph has changed, is damaged, or holds what could run code.
        UsageError: The format cannot run from Python.
    """
    given = checksums(trust)
    spec = registry.exporters.get(artefact.format)
    check_runs(status(spec))
    files = {name: graph_files(artefact, name, links=own) for name in names}
    if own or _same(files, just_written):
        files = {name: replace(graph, trusted=True) for name, graph in files.items()}
    elif not spec.data_only:
        files = admit_model(files, format=spec.name, trust=given)
    return {
        name: SafeGraph(_opened(spec, graph, threads), artefact.folder / graph.path.name)
        for name, graph in files.items()
    }


def trust_needed(artefact: Artefact, names: Iterable[str]) -> str:
    """The checksum to trust before a model can be opened; "" where its format is data."""
    spec = registry.exporters.get(artefact.format)
    if spec.data_only:
        return ""
    sums = {artefact.parts[n].file: artefact.parts[n].sha256 for n in names}
    return model_checksum(sums, format=spec.name)


def _same(files: dict[str, GraphFiles], written: Artefact | None) -> bool:
    parts = {} if written is None else written.parts
    return all(n in parts and parts[n].sha256 == graph.sha256 for n, graph in files.items())


def _opened(spec: ExporterSpec, graph: GraphFiles, threads: int) -> Graph:
    read: Callable[..., Graph] = registry.imported(spec.reader)
    if spec.in_memory:
        return read(graph, threads=threads)
    with graph.private_copy() as path:
        return read(path, threads=threads)
