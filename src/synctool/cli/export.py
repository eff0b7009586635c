"""``synctool export``: a trained network for players, phones and browsers, checked against PyTorch."""

from __future__ import annotations

from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synctool.cli.common import setting_option
from synctool.cli.compare_completion import complete_backbones
from synctool.cli.export_completion import INT8, complete_format, complete_int8, complete_parts
from synctool.cli.places import check_places
from synctool.errors import UsageError
from synctool.extras import require
from synctool.settings import table as config

if TYPE_CHECKING:
    from synctool.exporting.settings import ExportSettings
    from synctool.plugins.specs import Precision

_EXAMPLES = """Examples:

  synctool export --out fcn-cls-onnx --clips processed/

  synctool export --format openvino --half --out fcn-cls-ov --clips talk.mp4

  synctool export --int8 static --clips processed/ --dataset processed/ --out fcn-cls-int8

  synctool export --backbone syncnet --parts video,audio --out syncnet-onnx

  synctool detect talk.mp4 --weights fcn-cls-onnx

Exit codes: 0 exported, and answers as PyTorch does (or cannot run here, which is said); 1 it does not, and
is kept as OUT.failed-check; 2 usage; 5 a tool, weights or clips are missing."""


def export(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the exported model.")
    ] = None,
    backbone: Annotated[
        str | None, setting_option("export", "backbone", "-b", autocompletion=complete_backbones)
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weight file in place of the backbone's own.")
    ] = None,
    format: Annotated[
        str | None, setting_option("export", "format", "-f", autocompletion=complete_format)
    ] = None,
    parts: Annotated[
        str | None, setting_option("export", "parts", autocompletion=complete_parts)
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Keep weights in 16 bits.")] = False,
    int8: Annotated[
        str | None,
        typer.Option(
            help="Encoders in 8 bits: static (ranges found on --clips) or dynamic.",
            autocompletion=complete_int8,
        ),
    ] = None,
    clips: Annotated[
        list[str] | None,
        typer.Option(help="Processed folder, or films, to compare on; may be given again."),
    ] = None,
    windows: Annotated[int | None, setting_option("export", "windows")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Largest relative difference, in place of the precision's.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Accuracy before and after on this, as in compare.")
    ] = None,
    constants: Annotated[
        Path | None,
        typer.Option(help="Constant offsets of --dataset and --fine-tune, JSON in frames."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Most clips of each source of --dataset, 0 for all.")
    ] = None,
    prune: Annotated[
        float | None, typer.Option(help="Take out this share of the channels first, such as 0.3.")
    ] = None,
    fine_tune: Annotated[
        Path | None, typer.Option(help="Train the pruned network on this processed folder.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of --fine-tune (default 400).")
    ] = None,
    detector: Annotated[str | None, setting_option("export", "detector")] = None,
    allow_external: Annotated[bool | None, setting_option("export", "allow_external")] = None,
    seed: Annotated[int | None, setting_option("export", "seed")] = None,
    list_formats: Annotated[
        bool, typer.Option("--list-formats", help="List the formats and what is here of them.")
    ] = False,
    json: Annotated[
        str | None, typer.Option(help="Write the report as JSON; - for stdout.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Export a trained network to a format that runs elsewhere, and prove that it answers the same.

    The model is written, opened again in its own runtime and compared with PyTorch: largest and mean
    difference, agreement of the offsets, speed, and with --dataset accuracy before and after.
    """
    from synctool.cli.export_text import show_formats

    if list_formats:
        show_formats(json)
        return
    settings = _settings(context.params)
    require("export", "exporting a model", "torch")
    _check_places(settings, json)
    _run(settings, json=json, quiet=quiet)


export.__doc__ = f"{cleandoc(export.__doc__ or '')}\n\n{_EXAMPLES}"


def _settings(given: dict[str, Any]) -> ExportSettings:
    """What is asked for, and the checks that need nothing else."""
    names = [setting.name for setting in config.SECTIONS["export"]]
    wanted = config.resolve("export", {name: given[name] for name in names})
    if given["out"] is None:
        raise UsageError("--out is missing", remedy="Give a folder for the exported model.")
    from synctool.exporting.settings import ExportSettings, parse_parts

    same = ("out", "weights", "tolerance", "dataset", "constants", "limit", "prune")
    same += ("fine_tune", "steps")
    return ExportSettings(
        **{name: given[name] for name in same if given[name] is not None},
        **{name: getattr(wanted, name) for name in names if name != "parts"},
        parts=parse_parts(wanted.parts),
        precision=_precision(half=given["half"], int8=given["int8"]),
        clips=tuple(given["clips"] or ()),
    )


def _precision(*, half: bool, int8: str | None) -> Precision:
    if half and int8 is not None:
        raise UsageError("--half and --int8 are two precisions", remedy="Give one of them.")
    if int8 is not None and int8 not in INT8:
        raise UsageError(f"no such way to eight bits: {int8}", remedy=f"It is {' or '.join(INT8)}.")
    return f"int8-{int8}" if int8 else "float16" if half else "float32"


def _check_places(settings: ExportSettings, json: str | None) -> None:
    read = [*settings.clips, settings.weights, settings.constants]
    check_places({"--json": json}, kept=[str(name) for name in read if name is not None])


def _run(settings: ExportSettings, *, json: str | None, quiet: bool) -> None:
    """Export, and show the report; also of a model that did not pass."""
    from synctool.cli.export_text import ExportBar, show_report
    from synctool.exporting.run import CheckFailed, export

    try:
        with ExportBar(quiet=quiet) as bar:
            report = export(settings, on_event=bar)
    except CheckFailed as failed:
        show_report(failed.report, json=json, quiet=quiet)
        raise
    show_report(report, json=json, quiet=quiet)
