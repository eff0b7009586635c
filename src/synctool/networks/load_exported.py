"""The one door through which graphs of exported models are opened.

Whoever opens one comes through here: the bytes are read once, compared with the manifest, checked for what
could run code, let pass only if they are data or trusted, and these bytes are what is loaded. Imports no
PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from synctool.errors import MissingError, UsageError
from synctool.networks.formats import installing, status
from synctool.plugins import registry
from synctool.plugins.specs import ExporterSpec
from synctool.runtimes.graphs import SafeGraph
from synctool.runtimes.protocol import Graph
from synctool.runtimes.trust import admit_model, checksums, model_checksum
from synctool.weights.artefact import Artefact, graph_files
from synctool.weights.graph_files import GraphFiles


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
    check_runs(spec)
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


def check_runs(spec: ExporterSpec) -> None:
    """Make sure that models of a format can run here.

    Raises:
        UsageError: Nothing runs it from Python, or not on this system.
        MissingError: A package is not installed.
    """
    found = status(spec)
    if found.lacks_to_run:
        raise MissingError(
            f"running {spec.name} takes {', '.join(found.lacks_to_run)}, not installed here",
            remedy=f"Install with: {installing(spec)}",
        )
    if found.cannot_run_because:
        raise UsageError(
            f"this model cannot be run here: {found.cannot_run_because}",
            remedy="Export to another format, such as onnx.",
        )


def _same(files: dict[str, GraphFiles], written: Artefact | None) -> bool:
    parts = {} if written is None else written.parts
    return all(n in parts and parts[n].sha256 == graph.sha256 for n, graph in files.items())


def _opened(spec: ExporterSpec, graph: GraphFiles, threads: int) -> Graph:
    read: Callable[..., Graph] = registry.imported(spec.reader)
    if spec.in_memory:
        return read(graph, threads=threads)
    with graph.private_copy() as path:
        return read(path, threads=threads)
