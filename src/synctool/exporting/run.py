"""``export``: a trained network as a folder of graphs that run without PyTorch, with the proof that they
answer the same.

The model is written into a folder beside the wanted one, opened again as its users will open it, and
compared with PyTorch. Only then it takes its place; a model that does not pass is kept under a name that
says so.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from synctool.comparison.entries import Entry, dataset_entries
from synctool.errors import ExportError, UsageError, described
from synctool.exporting.check import Check
from synctool.exporting.event import ExportEvent, Tell
from synctool.exporting.folder import (
    check_folder,
    failed_place,
    folder_beside,
    put,
    real_place,
)
from synctool.exporting.formats.checks import ExportReport
from synctool.exporting.formats.parts import head_margin
from synctool.exporting.requirements import check_settings
from synctool.exporting.windows import Windows, made_up_windows, real_windows
from synctool.exporting.write import write_model
from synctool.files import output_error
from synctool.networks import formats as export_formats
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.plugins import registry
from synctool.settings.export import ExportSettings
from synctool.types import DEFAULT_MAX_OFFSET
from synctool.weights.artefact import is_artefact, write_manifest

__all__ = ["CheckFailed", "ExportEvent", "ExportReport", "export"]

_CALIBRATION_WINDOWS = 48
_PRUNED = "-pruned"
"""Ending of the folder beside the exported model in which a pruned network is trained."""
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO}


class CheckFailed(ExportError):
    """An exported model that does not answer as PyTorch does.

    Args:
        report: What was measured.
    """

    def __init__(self, report: ExportReport) -> None:
        super().__init__(
            f"{report.backbone} in {report.format} ({report.precision}) did not pass the check: "
            + "; ".join(report.problems),
            remedy=f"It is kept in {report.folder} to be looked at, and is not to be used.",
        )
        self.report = report


def export(
    settings: ExportSettings | None = None,
    *,
    on_event: Tell | None = None,
    **changes: Any,
) -> ExportReport:
    """Export a trained model, and check what came out.

    Args:
        settings: What to export, where to, and how to check it; None for the defaults.
        on_event: Called as the work goes on.
        changes: Settings by name that differ from ``settings``: see ``ExportSettings``.

    Returns:
        The report of a model that passed, or that cannot be run on this machine; see ``checked``.

    Raises:
        CheckFailed: It does not answer as PyTorch does; its ``report`` says how.
        ExportError: The network, or a part of it, cannot be written in this format.
        UsageError: No such format or network, settings that make no sense, or a folder that holds
            something else.
        MissingError: Weights, clips or the format's tool are not here.
        WeightsError: The weights do not fit.
        OutputError: The folder cannot be written.
    """
    settings = ExportSettings.of(settings, changes)
    tell = on_event or (lambda event: None)
    spec = registry.exporters.get(settings.format)
    check_settings(settings, spec)
    export_formats.check_writes(export_formats.status(spec))
    wanted = _place(settings)
    check_folder(wanted)
    entries = _entries(settings)
    tell(ExportEvent("loading the network"))
    original = _loaded(settings)
    model, kept = _smaller(original, settings, tell)
    windows = _windows(model, settings, tell)
    with folder_beside(wanted) as folder, _words_for_the_disk(wanted):
        began = time.perf_counter()
        artefact = write_model(model, settings, spec, windows, folder, tell)
        seconds = time.perf_counter() - began
        work = Check(original, model, settings, spec, windows, entries, tell)
        report = replace(work.report(artefact), seconds=seconds)
        place = failed_place(wanted) if report.problems else wanted
        report = replace(report, folder=str(place), notes=(*report.notes, *kept))
        write_manifest(replace(artefact, checks=report.checks()), folder)
        put(folder, place)
    if report.problems:
        raise CheckFailed(report)
    return report


# --------------------------------------------------------------------------- what is exported


def _place(settings: ExportSettings) -> Path:
    if settings.out is None:
        raise UsageError("--out is missing", remedy="Give a folder for the exported model.")
    return settings.out


def _entries(settings: ExportSettings) -> list[Entry]:
    if settings.dataset is None:
        return []
    return dataset_entries(settings.dataset, constants=settings.constants, limit=settings.limit)


def _loaded(settings: ExportSettings) -> LoadedModel:
    weights = settings.weights
    if weights is not None and is_artefact(weights):
        raise UsageError(
            f"{weights} is an exported model already",
            remedy="Give the weight file that it was made of; synctool.json names it.",
        )
    return load_model(settings.backbone, weights=weights, device="cpu", runtime="torch")


def _smaller(
    model: LoadedModel, settings: ExportSettings, tell: Tell
) -> tuple[LoadedModel, list[str]]:
    """The network with channels taken out, and trained again, if that is wanted; and what to say of it."""
    if not settings.prune:
        return model, []
    tell(ExportEvent("pruning"))
    from synctool.exporting.pruning import fine_tune, prune_weights

    pruned = prune_weights(
        settings.backbone, settings.prune, _pruned_folder(settings), weights=settings.weights
    )
    if settings.fine_tune is None:
        less = load_model(pruned.backbone, weights=pruned.path, device="cpu", runtime="torch")
        return replace(less, weights=pruned.label), [
            f"the weights of the pruned network are {pruned.path}",
            f"train them again with: {pruned.command(steps=settings.steps)}",
        ]
    weights = fine_tune(
        pruned,
        settings.fine_tune,
        steps=settings.steps,
        constants=settings.constants,
        on_progress=lambda p: tell(ExportEvent("training what is left", p.step, p.steps)),
    )
    return load_model(pruned.backbone, weights=weights, device="cpu", runtime="torch"), [
        f"the weights of the pruned network are in {_pruned_folder(settings)}"
    ]


def _pruned_folder(settings: ExportSettings) -> Path:
    place = real_place(_place(settings))
    return place.with_name(place.name + _PRUNED)


def _windows(model: LoadedModel, settings: ExportSettings, tell: Tell) -> Windows:
    rows = DEFAULT_MAX_OFFSET + head_margin(model.network)
    if not settings.clips:
        return made_up_windows(model.spec, rows=rows, count=settings.windows, seed=settings.seed)
    tell(ExportEvent("cutting windows"))
    return real_windows(
        settings.clips,
        model.spec,
        rows=rows,
        count=settings.windows,
        calibration=_CALIBRATION_WINDOWS if settings.precision == "int8-static" else 0,
        detector=settings.detector,
        allow_external=settings.allow_external,
        on_video=lambda video: tell(ExportEvent(f"reading {Path(video).name}")),
    )


@contextmanager
def _words_for_the_disk(out: Path) -> Iterator[None]:
    """What the operating system refuses while a tool writes, in words."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise ExportError(
                f"{out} cannot be written: {described(error)}",
                remedy="Run again with --debug to see where.",
            ) from error
        raise output_error(out, error) from error
