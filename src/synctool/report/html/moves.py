"""Shifts and pieces on the page of ``compare``: what models measure of audio that is moved."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from synctool.evaluation.consistency import pieces_agree, shift_errors
from synctool.evaluation.trial_columns import Kept
from synctool.report.charts.curves import moves_chart
from synctool.report.charts.description import Chart
from synctool.report.compare_rows import Models, is_within, model_of
from synctool.report.tables import Column, Table, model_cell, number_cell, share_cell
from synctool.types import FRAME_MS, Trial

_MOST_MOVES = 21
"""Of more different amounts there is no table, only the chart."""
_MOST_POINTS = 2000
_EXACT_FRAMES = 0.5


def shift_parts(trials: Sequence[Trial], models: Models) -> tuple[Table | None, list[Chart]]:
    """How well moves of the audio are measured: a table by amount, and a chart per model."""
    errors: dict[str, list[tuple[Trial, float | None]]] = {}
    for model, name in models.names.items():
        own = [t for t in trials if model_of(t) == model and t.condition.kind in ("plain", "shift")]
        found = zip(own, shift_errors([_kept(t) for t in own]))
        errors[name] = [(t, error) for t, error in found if t.condition.kind == "shift"]
    charts = []
    for name, found in errors.items():
        points = [
            (t.condition.moved_frames, t.condition.moved_frames + error)
            for t, error in found
            if error is not None
        ]
        if points:
            shown = points[:: -(-len(points) // _MOST_POINTS)]
            charts.append(moves_chart(shown, name, models.numbers[name]))
    return _shift_table(errors, models), charts


def pieces_table(trials: Sequence[Trial], models: Models) -> Table | None:
    """How well pieces of a video agree with each other, None without pieces."""
    if not any(t.condition.kind == "piece" for t in trials):
        return None
    columns = [
        Column("Model"),
        Column("Pieces", True),
        Column("Failed", True),
        Column("Answered", True),
        Column("Agree", True, "within a frame of the median of the video's pieces"),
        Column("Answered ones agree", True),
        Column("Mean error, ms", True, "against the truth, where it is known"),
    ]
    rows = []
    for model, name in models.names.items():
        own = [t for t in trials if model_of(t) == model and t.condition.kind == "piece"]
        agreed = pieces_agree([_kept(t) for t in own])
        ran = [t for t in own if t.error is None]
        errors = [abs(t.error_frames) * FRAME_MS for t in ran if t.error_frames is not None]
        rows.append(
            [
                model_cell(name, models.numbers[name]),
                number_cell(len(own), 0),
                number_cell(len(own) - len(ran), 0),
                number_cell(sum(t.answered for t in ran), 0),
                share_cell(_mean([a for a in agreed if a is not None])),
                share_cell(_mean([a for t, a in zip(own, agreed) if a is not None and t.answered])),
                number_cell(_mean(errors), 0),
            ]
        )
    return Table("pieces", "Pieces", columns, rows, sortable=len(rows) > 1)


def move_digits(amount_frames: float) -> int:
    """Digits behind the point that an amount of frames needs."""
    return 0 if amount_frames == round(amount_frames) else 3


def _shift_table(
    errors: dict[str, list[tuple[Trial, float | None]]], models: Models
) -> Table | None:
    amounts = sorted({t.condition.moved_frames for found in errors.values() for t, _ in found})
    if not 0 < len(amounts) <= _MOST_MOVES:
        return None
    columns = [
        Column("Moved, frames", True),
        Column("Model"),
        Column("Videos", True),
        Column("Compared", True, "videos whose best match is known before and after the move"),
        Column("Measured, median", True),
        Column("Mean error, ms", True),
        Column("Within half a frame", True),
        Column("Answered", True),
    ]
    rows = []
    for amount in amounts:
        for name, found in errors.items():
            own = [(t, error) for t, error in found if t.condition.moved_frames == amount]
            wrong = [error for _, error in own if error is not None]
            rows.append(
                [
                    number_cell(amount, move_digits(amount), sign=True),
                    model_cell(name, models.numbers[name]),
                    number_cell(len(own), 0),
                    number_cell(len(wrong), 0),
                    number_cell(amount + median(wrong) if wrong else None, 2, sign=True),
                    number_cell(_mean([abs(error) * FRAME_MS for error in wrong]), 1),
                    share_cell(_mean([is_within(error, _EXACT_FRAMES) for error in wrong])),
                    number_cell(sum(t.answered for t, _ in own), 0),
                ]
            )
    return Table("shift-table", "By amount", columns, rows, choices=(1,))


def _kept(trial: Trial) -> Kept:
    """What the measures of consistency need of a trial."""
    failed = trial.error is not None
    return Kept(
        trial.film,
        trial.condition,
        model_of(trial),
        failed=failed,
        offset_frames=None if failed else trial.offset_frames,
        reach_frames=len(trial.curve) // 2 or None,
        answered=trial.answered,
    )


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
