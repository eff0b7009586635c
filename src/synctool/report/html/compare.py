"""What the page of ``compare`` says of models and videos, as plain data for its template."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from synctool.evaluation.agreement import Agreement
from synctool.report.charts.description import Chart
from synctool.report.charts.offsets import compare_chart
from synctool.report.compare_rows import (
    AGREED_FRAMES,
    Models,
    agrees_with_others,
    is_right,
    is_within,
    model_of,
    plain_trials,
)
from synctool.report.html.moves import move_digits
from synctool.report.html.shots import Shot, Thumbnail, drawn, shots
from synctool.report.outcome import beside_name
from synctool.report.tables import (
    UNKNOWN,
    Cell,
    Column,
    Table,
    model_cell,
    name_cell,
    number_cell,
    offset_cell,
    share_cell,
    verdict_cell,
    words_cell,
)
from synctool.report.text import NOTHING, clock, counted, known, plain, printable
from synctool.scoring.verdict import in_words
from synctool.types import FRAME_MS, VIDEO_FPS, Trial

MOST_VIDEOS = 30
"""Of more videos only the worst are drawn; the table has all."""
_MOST_SHOTS = 6
_MOST_POINTS = 400


@dataclass(frozen=True)
class VideoDetail:
    """One video through all models."""

    id: str
    name: str
    chart: Chart | None
    shots: Sequence[tuple[Markup, str]]
    table: Table
    moves: Table | None
    truth: str


def headline(trials: Sequence[Trial], models: Models) -> str:
    """What came of it, in a sentence or two."""
    videos = plain_trials(trials)
    words = []
    spreads = [max(o) - min(o) for o in map(_offsets, videos.values()) if len(o) > 1]
    if spreads:
        same = sum(is_within(spread, AGREED_FRAMES) for spread in spreads)
        words.append(f"The models agree within a frame on {_of(same, len(spreads), 'video')}.")
    labelled = [t for found in videos.values() for t in found if t.truth_frames is not None]
    right = []
    for model, name in models.names.items():
        own = [t for t in labelled if model_of(t) == model]
        if own:
            right.append(f"{printable(name)} {_of(sum(map(is_right, own)), len(own), '')}".strip())
    if right:
        words.append(f"Within a frame of the truth: {', '.join(right)}.")
    failed = sum(t.error is not None for found in videos.values() for t in found)
    if failed:
        words.append(f"{counted(failed, 'measurement')} failed; the table says why.")
    if len(words) < 1 + bool(failed):  # no truth, and no other model
        words.insert(0, _answers(videos, models))
    return " ".join(words)


def models_table(trials: Sequence[Trial], models: Models) -> Table:
    """One row per model: what it answered, how long it took."""
    columns = [Column("Model"), Column("Weights"), Column("Videos", True), Column("Answered", True)]
    columns += [Column("Failed", True), Column("Seconds per video", True)]
    columns += [
        Column("Speed", True, "length of the videos by the time of the model alone"),
        Column("Memory", True),
    ]
    rows = []
    for model, name in models.names.items():
        own = [t for t in trials if model_of(t) == model and t.condition.kind == "plain"]
        ran = [t for t in own if t.error is None]
        seconds, length = sum(t.seconds for t in ran), sum(t.duration_s for t in ran)
        memory = max((t.memory_mb for t in ran if known(t.memory_mb)), default=None)
        speed = length / seconds if seconds > 0 else None
        rows.append(
            [
                model_cell(name, models.numbers[name]),
                Cell(printable(model[1]) or NOTHING, kind="code"),
                number_cell(len(own), 0),
                number_cell(sum(t.answered for t in ran), 0),
                number_cell(len(own) - len(ran), 0),
                number_cell(seconds / len(ran) if ran else None, 2),
                number_cell(speed, 1 if speed is not None and speed < 100 else 0, " ×"),
                number_cell(memory, 0, " MiB"),
            ]
        )
    return Table("models", "Models", columns, rows, sortable=len(rows) > 1)


def videos_table(trials: Sequence[Trial], models: Models, linked: Mapping[str, str]) -> Table:
    """One row per video and model.

    Args:
        trials: All.
        models: Their models.
        linked: Anchors of the videos that have a section.
    """
    videos = plain_trials(trials)
    rows = []
    for video, found in videos.items():
        rows += [
            [name_cell(video, link=linked.get(video)), *_found_cells(trial, found, models)]
            for trial in found
        ]
    table = Table("videos", "Videos", [Column("Video"), *_FOUND], rows, choices=(1, 2))
    return table.trimmed()


def chosen_videos(trials: Sequence[Trial]) -> list[str]:
    """The videos that are drawn: all, or of very many the worst."""
    videos = plain_trials(trials)
    if len(videos) <= MOST_VIDEOS:
        return list(videos)
    worst = set(
        sorted(videos, key=lambda video: _badness(videos[video]), reverse=True)[:MOST_VIDEOS]
    )
    return [video for video in videos if video in worst]


def video_details(
    trials: Sequence[Trial],
    models: Models,
    linked: Mapping[str, str],
    thumbnails: Mapping[str, Sequence[Thumbnail | Shot]],
    shared_s: Mapping[str, float],
) -> list[VideoDetail]:
    """The videos with a section."""
    videos = plain_trials(trials)
    moved: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.film in linked and trial.condition.kind in ("shift", "piece"):
            moved.setdefault(trial.film, []).append(trial)
    made = []
    for video, anchor in linked.items():
        found = videos[video]
        length = max((t.duration_s for t in found), default=0.0)
        chosen = shots(thumbnails.get(video, ()))[:_MOST_SHOTS]
        shared = shared_s.get(video)
        truth = found[0].truth_frames
        failed = all(trial.error is not None for trial in found)
        made.append(
            VideoDetail(
                id=anchor,
                name=printable(video),
                chart=None
                if failed
                else compare_chart(found, models.names, most_points=_MOST_POINTS),
                shots=[(drawn(shot), clock(shot.frame_index / VIDEO_FPS)) for shot in chosen],
                table=Table(
                    f"{anchor}-models",
                    "Models",
                    _FOUND,
                    [_found_cells(trial, found, models) for trial in found],
                    sortable=len(found) > 1,
                ).trimmed(),
                moves=_moves(anchor, found, moved.get(video, ()), models),
                truth="failed"
                if failed
                else "; ".join(
                    [
                        clock(length),
                        *(
                            []
                            if truth is None
                            else [f"true offset {plain(truth, 2, sign=True)} frames"]
                        ),
                        *([] if shared is None else [f"{shared:.2f} s shared by all models"]),
                    ]
                ),
            )
        )
    return made


def agreement_table(pairs: Sequence[Agreement], brief: Mapping[str, str]) -> Table | None:
    """How often two models agree, for every pair; None for a model alone."""
    if not pairs:
        return None
    columns = [Column("Model"), Column("Other model"), Column("Trials within a frame", True)]
    columns += [
        Column("Trials", True),
        Column("Frames within a frame", True),
        Column("Frames", True),
    ]
    rows = [
        [
            Cell(brief.get(pair.first, pair.first)),
            Cell(brief.get(pair.second, pair.second)),
            share_cell(pair.trials),
            number_cell(pair.trial_count, 0),
            share_cell(pair.frames),
            number_cell(pair.frame_count, 0),
        ]
        for pair in pairs
    ]
    return Table("agreement", "Agreement", columns, rows, sortable=len(rows) > 1)


# ---------------------------------------------------------------------------------- parts of them

_FOUND = (
    Column("Model"),
    Column("Verdict"),
    Column("Audio", True),
    Column("Error, ms", True, "best match minus truth"),
    Column("Confidence", True),
    Column("Agrees with", True, "other models within a frame"),
    Column("Frames agree", True, "share of frames within a frame of the other models"),
    Column("Seconds", True, "of this model alone"),
    Column("Memory, MiB", True),
    Column("Remark"),
)


def _found_cells(trial: Trial, found: Sequence[Trial], models: Models) -> list[Cell]:
    """What one model found in a video, beside what the others did."""
    if trial.error is not None:
        failed = words_cell(beside_name(trial.error, trial.film))
        return [_model_cell(trial, models), verdict_cell("failed"), *[UNKNOWN] * 7, failed]
    error = trial.error_frames
    own, others = trial.offset_frames, _offsets(t for t in found if model_of(t) != model_of(trial))
    agreed = UNKNOWN
    if others and own is not None:
        near = sum(is_within(own - other, AGREED_FRAMES) for other in others)
        agreed = Cell(f"{near} of {len(others)}", sort=near / len(others), kind="number")
    return [
        _model_cell(trial, models),
        verdict_cell(trial.verdict),
        _offset_cell(trial),
        number_cell(None if error is None else error * FRAME_MS, 0, sign=True),
        number_cell(trial.confidence, 2),
        agreed,
        share_cell(agrees_with_others(trial, found)),
        number_cell(trial.seconds, 2),
        number_cell(trial.memory_mb, 0),
        words_cell(trial.reason or ""),
    ]


def _model_cell(trial: Trial, models: Models) -> Cell:
    name = models.name(trial)
    return model_cell(name, models.numbers[name])


def _offset_cell(trial: Trial) -> Cell:
    """The best match; in brackets where it is too weak to be an answer."""
    cell = offset_cell(trial.offset_frames)
    if trial.answered or trial.offset_frames is None:
        return cell
    return Cell(f"({cell.text})", sort=cell.sort, kind="number unsure")


def _moves(
    anchor: str, found: Sequence[Trial], moved: Sequence[Trial], models: Models
) -> Table | None:
    """Shifts and pieces of one video."""
    if not moved:
        return None
    columns = [Column("Model"), Column("Segment"), Column("Moved, frames", True)]
    columns += [Column("Best match, frames", True), Column("Minus the move", True)]
    columns += [Column("Confidence", True), Column("Verdict")]
    rows = []
    for trial in moved:
        condition, offset = trial.condition, trial.offset_frames
        segment = "whole video"
        if condition.start_s is not None and condition.end_s is not None:
            segment = f"{clock(condition.start_s)} to {clock(condition.end_s)}"
        start = condition.start_s if condition.start_s is not None else -1.0
        amount = condition.moved_frames
        rows.append(
            [
                _model_cell(trial, models),
                Cell(segment, sort=start),
                number_cell(amount, move_digits(amount), sign=True),
                number_cell(offset, 2, sign=True),
                number_cell(None if offset is None else offset - amount, 2, sign=True),
                number_cell(None if trial.error else trial.confidence, 2),
                verdict_cell("failed" if trial.error else trial.verdict),
            ]
        )
    return Table(f"{anchor}-moves", "Shifts and pieces", columns, rows, choices=(0,))


def _badness(found: Sequence[Trial]) -> float:
    """How much a video deserves a look: failures, errors, disagreement, no answer."""
    offsets = _offsets(found)
    spread = max(offsets) - min(offsets) if offsets else 0.0
    wrong = max((abs(t.error_frames) for t in found if t.error_frames is not None), default=0.0)
    silent = sum(not t.answered for t in found)
    return max(spread, wrong) + 0.5 * silent + sum(t.error is not None for t in found)


def _offsets(found: Iterable[Trial]) -> list[float]:
    return [
        t.offset_frames
        for t in found
        if t.error is None and t.offset_frames is not None and math.isfinite(t.offset_frames)
    ]


def _of(part: int, whole: int, what: str) -> str:
    return f"{part} of {counted(whole, what) if what else whole}"


def _answers(videos: Mapping[str, Sequence[Trial]], models: Models) -> str:
    """What models said of a video, or of how many videos they said anything."""
    ran = [t for found in videos.values() for t in found if t.error is None]
    if len(videos) == 1 and ran:
        said = [
            f"{models.name(t)}: audio {in_words(FRAME_MS * t.offset_frames)}"
            if t.answered and t.offset_frames is not None
            else f"{models.name(t)}: inconclusive"
            for t in ran
        ]
        return f"{'; '.join(said)}."
    counts = []
    for model, name in models.names.items():
        own = [t for t in ran if model_of(t) == model]
        counts.append(f"{name} answers {_of(sum(t.answered for t in own), len(videos), 'video')}.")
    return " ".join(counts)
