"""Exported models against PyTorch: size, time, difference and agreement, by format and precision.

Three models: the default one; SyncNet with random weights, as the published ones are not part of the package
(its answers mean nothing, but they must come out the same); and a pair of two encoders with the default
model's halves and a fresh head. Each is exported by ``synctool.exporting.run`` in every format whose tool
is installed, and compared on windows of real videos.

    python benchmarks/exports.py [--formats onnx openvino ...] [--models fcn-cls syncnet ...]
                                 [--windows 100] [--processed FOLDER] [--docs] [--json FILE]

With ``--processed``, a folder of ``synctool preprocess`` with its split, the default model's accuracy on
held-out people is measured before and after as well. ``--docs`` writes the tables of docs/export.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
from rich.console import Console
from tables import Table, around_section, write_section

from synctool.errors import ExportError, SyncToolError
from synctool.exporting.formats.checks import ExportReport
from synctool.exporting.run import export
from synctool.networks.build import build, load_pretrained
from synctool.networks.load_torch import training_facts
from synctool.plugins import registry
from synctool.settings.export import ExportSettings
from synctool.training.checkpoint import save_weights
from synctool.types import Precision
from videos import ROOT, shared

SCRIPT = "benchmarks/exports.py"
PAGE = ROOT / "docs" / "export.md"
MODELS = ("fcn-cls", "syncnet", "fcn-mouth+fcn-mel")
RANDOM = ("syncnet",)
SLOW = {"syncnet": {"onnx": ("float32", "int8-static")}}
"""What is written of a model that takes a tenth of a second a frame, so that the whole ends today."""


def main(words: Sequence[str] | None = None) -> int:
    """Export, compare, print the tables, write the page."""
    given = _arguments().parse_args(words)
    show, notes = Console(width=170), Console(stderr=True)
    reports: list[ExportReport] = []
    try:
        if given.docs:
            around_section(PAGE, script=SCRIPT)  # missing markers are said before the work
        with tempfile.TemporaryDirectory() as work:
            for settings in _wanted(given, Path(work)):
                what = f"{settings.backbone} {settings.format} {settings.precision}"
                notes.print(what, style="dim", highlight=False)
                try:
                    reports.append(export(settings))
                except ExportError as error:
                    notes.print(f"{what}: {error}", style="red", highlight=False, markup=False)
                    if getattr(error, "report", None) is not None:
                        reports.append(error.report)
        tables = [export_table(reports)]
        if any(report.accuracy for report in reports):
            tables.append(accuracy_table(reports))
        for table in tables:
            table.show(show)
        if given.json:
            given.json.write_text(json.dumps([r.to_dict() for r in reports], indent=1) + "\n")
        if given.docs:
            write_section(PAGE, "\n".join(t.markdown() for t in tables), script=SCRIPT)
    except SyncToolError as error:
        notes.print(f"error: {error}", style="red", highlight=False, markup=False)
        return error.exit_code
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--formats", nargs="+", help="all that are installed unless given")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--clips", type=Path, default=shared("clips"), help="videos for windows")
    parser.add_argument("--windows", type=int, default=100)
    parser.add_argument("--processed", type=Path, help="labelled set for the accuracy")
    parser.add_argument("--limit", type=int, default=0, help="clips of each source of it; 0: all")
    parser.add_argument("--constants", type=Path, help="its constant offsets")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--docs", action="store_true", help="write docs/export.md")
    return parser


def _wanted(given: argparse.Namespace, work: Path) -> Iterator[ExportSettings]:
    """All exports, the models' weights made where they are needed."""
    for model in given.models:
        weights = None if model == MODELS[0] else made_weights(model, work)
        for spec in registry.exporters.all():
            if given.formats and spec.name not in given.formats:
                continue
            if not all(find_spec(module) for module in spec.writes_with):
                continue
            wanted = SLOW.get(model, {}).get(spec.name, () if model in SLOW else spec.precisions)
            for precision in wanted:
                settings = ExportSettings(
                    out=work / "-".join([model, spec.name, precision]),
                    backbone=model,
                    weights=weights,
                    format=spec.name,
                    precision=precision,
                    clips=(str(given.clips),),
                    windows=given.windows,
                )
                if given.processed and model == MODELS[0] and spec.name == "onnx":
                    settings = replace(
                        settings,
                        dataset=str(given.processed),
                        limit=given.limit,
                        constants=given.constants,
                    )
                yield settings


def made_weights(model: str, folder: Path) -> Path:
    """A weight file for a model that comes without: random, or of the default model's encoders."""
    plain, _ = build(model)
    torch.manual_seed(0)
    spec, network = build(model)
    if model not in RANDOM:
        load_pretrained(spec, network, required=True)
    path = folder / f"{model}.safetensors"
    facts = training_facts(spec, plain)
    save_weights(path, network.state_dict(), {k: str(v) for k, v in facts.items()})
    return path


def export_table(reports: Sequence[ExportReport]) -> Table:
    """Everything but the accuracy."""
    real = {report.windows for report in reports if report.real and report.checked}
    return Table(
        title="Exported models",
        columns=[
            "model",
            "format",
            "precision",
            "MB",
            "of float32",
            "ms per s of video",
            "PyTorch ms",
            "largest difference",
            "relative",
            "same offset",
        ],
        rows=[_row(report, reports) for report in reports],
        note=f"Windows of real videos: {max(real, default=0)}. Size of all graphs together, also in "
        "relation to the same format in float32. Time of both encoders for 25 frames of one face and "
        "their audio, one thread, medians, PyTorch's in the same run. Differences from PyTorch's "
        "embeddings, of single numbers, and of whole embeddings in relation to their length, the "
        "largest of all windows. Same offset: share of the windows in which both find the same.",
    )


def _row(report: ExportReport, reports: Sequence[ExportReport]) -> list[str]:
    precision: Precision = "float32"
    same = (report.backbone, report.format, precision)
    full = next((r for r in reports if (r.backbone, r.format, r.precision) == same), report)
    name = f"{report.backbone} (random)" if report.backbone in RANDOM else report.backbone
    row = [name, report.format, report.precision]
    row += [f"{report.bytes / 1e6:.1f}", f"{report.bytes / full.bytes:.0%}"]
    speeds = [s for s in report.speeds if s.threads == 1 and s.graph in ("video", "audio")]
    if speeds:
        row += [f"{sum(s.export_ms for s in speeds):.1f}", f"{sum(s.torch_ms for s in speeds):.1f}"]
    else:
        row += ["-", "-"]
    if not report.checked:
        return [*row, "not checked here", "-", "-"]
    found = [
        d
        for graph in report.graphs
        for output, d in graph.differences.items()
        if output in ("video", "audio")
    ]
    agreement = "-" if report.agreement is None else f"{report.agreement:.0%}"
    failed = " (refused)" if report.problems else ""
    largest = f"{max(d.maximum for d in found):.1e}" if found else "-"
    relative = f"{max(d.relative for d in found):.1e}" if found else "-"
    return [*row, largest, relative, agreement + failed]


def accuracy_table(reports: Sequence[ExportReport]) -> Table:
    """What is right within a frame before and after."""
    rows = [
        [
            report.format,
            report.precision,
            f"windows of {change.frames} frames" if change.of == "windows" else "whole clips",
            f"{change.before.mean:.3f}",
            f"{change.after.mean:.3f}",
            f"{change.change.mean:+.4f} [{change.change.low:+.4f}, {change.change.high:+.4f}]",
            f"{change.clips} of {change.people}",
        ]
        for report in reports
        for change in report.accuracy
    ]
    return Table(
        title="Accuracy of the default model before and after",
        columns=["format", "precision", "of", "PyTorch", "exported", "change", "clips of people"],
        rows=rows,
        note="Share right within a frame among 31 candidates, people never trained on, with the 95 % "
        "interval of the change, clip by clip.",
    )


if __name__ == "__main__":
    sys.exit(main())
