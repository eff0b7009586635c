"""``synctool export``: a trained model for players, phones and browsers, checked against PyTorch."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from synctool.cli.compare_completion import complete_backbones
from synctool.cli.export_completion import INT8, complete_format, complete_int8, complete_parts
from synctool.cli.options import Given, Quiet, result_option, settings_options
from synctool.cli.places import check_places
from synctool.errors import UsageError
from synctool.extras import require
from synctool.settings.export import ExportSettings
from synctool.types import Precision


@settings_options(
    ExportSettings,
    {"backbone": complete_backbones, "format": complete_format, "parts": complete_parts},
)
def export(
    given: Given[ExportSettings],
    half: Annotated[
        bool, typer.Option("--half", help="Short for --precision float16: weights in 16 bits.")
    ] = False,
    int8: Annotated[
        str | None,
        typer.Option(
            metavar="MODE",
            help="Short for --precision int8-MODE: encoders in 8 bits, quantization static (calibrated on "
            "--clips) or dynamic.",
            autocompletion=complete_int8,
        ),
    ] = None,
    list_formats: Annotated[
        bool,
        typer.Option("--list-formats", help="List the formats and what is installed of them."),
    ] = False,
    json: Annotated[str | None, result_option("--json", "Report as JSON; - for stdout.")] = None,
    quiet: Quiet = False,
) -> None:
    """Export a trained model to a format that runs elsewhere, and check that it answers the same.

    The model is written, opened again in its own runtime and compared with PyTorch: largest and mean
    difference, agreement of the offsets, speed, and with --dataset accuracy before and after.

    Examples:

      synctool export --out fcn-cls-onnx --clips processed/

      synctool export --format openvino --half --out fcn-cls-ov --clips talk.mp4

      synctool export --int8 static --clips processed/ --out fcn-cls-int8

      synctool export --backbone syncnet --parts video,audio --out syncnet-onnx

      synctool detect talk.mp4 --weights fcn-cls-onnx

    Exit codes: 0 exported, and answers as PyTorch does (or cannot run here, which is said); 1 it does not,
    and is kept as OUT.failed-check; 2 usage; 5 a tool, weights or clips are missing.
    """
    if list_formats:
        from synctool.cli.export_text import show_formats

        show_formats(json)
        return
    precision = _precision(half=half, int8=int8)
    if precision is not None and "precision" in given.names:
        raise UsageError("--precision, --half and --int8 are one thing", remedy="Give one of them.")
    more: dict[str, Any] = {} if precision is None else {"precision": precision}
    settings = given.settings(**more)
    if settings.out is None:
        raise UsageError("--out is missing", remedy="Give a folder for the exported model.")
    require("export", "exporting a model", "torch")
    read = [*settings.clips, settings.weights, settings.constants]
    check_places({"--json": json}, kept=[str(name) for name in read if name is not None])
    _run(settings, json=json, quiet=quiet)


def _precision(*, half: bool, int8: str | None) -> Precision | None:
    if half and int8 is not None:
        raise UsageError("--half and --int8 are two precisions", remedy="Give one of them.")
    if int8 is None:
        return "float16" if half else None
    if int8 not in INT8:
        raise UsageError(f"no quantization mode {int8!r}", remedy=f"It is {' or '.join(INT8)}.")
    return "int8-static" if int8 == "static" else "int8-dynamic"


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
