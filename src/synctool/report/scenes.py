"""What videos are like, from results of ``detect``: tables by video and by folder, CSV, charts."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synctool.errors import SyncToolError
from synctool.report.charts.description import Axis, Bars, Chart, Look, Panel, nice_ticks
from synctool.report.tables import Cell, Column, Table, name_cell, number_cell
from synctool.report.text import known
from synctool.types import DETECT_SCHEMA, DetectResult
from synctool.untrusted.documents import parse_json
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import read_regular

SCHEMA = "synctool.stats/1"
_REMEDY = "Give files that synctool detect --json wrote."
_LARGEST = 1 << 30
_BARS = 12


@dataclass(frozen=True)
class Statistic:
    """A figure of a video.

    Attributes:
        name: Its key in JSON and CSV.
        title: Heading of its column.
        of: Takes it from a result; None where it is not known.
        digits: Decimals in tables.
        percent: Whether it is a share, shown in percent.
    """

    name: str
    title: str
    of: Callable[[DetectResult], float | None]
    digits: int = 1
    percent: bool = False


def _scene(name: str) -> Callable[[DetectResult], float | None]:
    return lambda result: None if result.scene is None else getattr(result.scene, name)


STATISTICS = (
    Statistic("duration_s", "Length, s", lambda r: r.source.duration_s),
    Statistic("width_px", "Width", lambda r: r.source.width_px, 0),
    Statistic("height_px", "Height", lambda r: r.source.height_px, 0),
    Statistic("video_fps", "fps", lambda r: r.source.video_fps, 2),
    Statistic("cuts_per_min", "Cuts/min", _scene("cuts_per_min")),
    Statistic("shot_s", "Shot, s", _scene("shot_s")),
    Statistic("faces", "Faces", _scene("faces"), 2),
    Statistic("face_px", "Face, px", _scene("face_px"), 0),
    Statistic("face_share", "of image, %", _scene("face_share"), 0, percent=True),
    Statistic("turned_share", "Turned, %", _scene("turned_share"), 0, percent=True),
    Statistic("speech_share", "Speech, %", _scene("speech_share"), 0, percent=True),
    Statistic(
        "visible_speech_share", "In view, %", _scene("visible_speech_share"), 0, percent=True
    ),
    Statistic("voiced_share", "Voiced, %", _scene("voiced_share"), 0, percent=True),
    Statistic("loudness_lufs", "LUFS", _scene("loudness_lufs")),
    Statistic("snr_db", "SNR, dB", _scene("snr_db")),
)
"""What is told of every video, in the order of columns; docs/stats.md says what each is."""
_CHARTS = ("shot_s", "faces", "face_px", "visible_speech_share", "loudness_lufs", "snr_db")


def read_results(paths: Sequence[str]) -> list[DetectResult]:
    """The results in files of JSON or JSON Lines; videos that failed are left out.

    Raises:
        MissingError: There is no such file, or it cannot be read.
        SyncToolError: It holds something else.
    """
    found: list[DetectResult] = []
    for path in paths:
        origin = Origin(path, remedy=_REMEDY, words="holds no results of detect")
        with origin.reading(
            "file of results", path, missing="Make it with synctool detect --json."
        ):
            data = read_regular(Path(path), most=_LARGEST)
            found += [r for entry in _entries(data) if (r := _result(entry)) is not None]
    if not found:
        raise SyncToolError("there is no result in these files", remedy=_REMEDY)
    return found


def _entries(data: bytes) -> list[Any]:
    lines = [line for line in data.splitlines() if line.strip()]
    try:
        return [parse_json(line, most=_LARGEST) for line in lines]
    except MalformedError:
        return [parse_json(data, most=_LARGEST)]  # one object, laid out over lines


def _result(entry: Any) -> DetectResult | None:
    if not isinstance(entry, dict):
        raise MalformedError("an entry is no object")
    if "error" in entry and "source" not in entry:
        return None
    if entry.get("schema") != DETECT_SCHEMA:
        raise MalformedError(f"an entry is no {DETECT_SCHEMA}")
    try:
        return DetectResult.from_dict(entry)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedError(str(error)) from error


def rows_of(results: Sequence[DetectResult]) -> list[dict[str, Any]]:
    """Plain data by video."""
    return [{"video": r.input, **{s.name: s.of(r) for s in STATISTICS}} for r in results]


def folders_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Plain data by folder: medians over its videos; the last row is of all."""
    by_folder: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_folder.setdefault(os.path.dirname(row["video"]) or ".", []).append(row)
    groups = [*sorted(by_folder.items())]
    if len(groups) != 1:
        groups.append(("all", list(rows)))
    return [
        {
            "folder": name,
            "videos": len(own),
            "total_s": sum(row["duration_s"] for row in own),
            **{s.name: _median([row[s.name] for row in own]) for s in STATISTICS},
        }
        for name, own in groups
    ]


def to_dict(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All as plain data for JSON."""
    return {"schema": SCHEMA, "videos": list(rows), "folders": folders_of(rows)}


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """A row for each video, as ``csv_out`` writes them."""
    text = io.StringIO()
    table = csv.DictWriter(text, ["video", *(s.name for s in STATISTICS)], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def videos_table(rows: Sequence[dict[str, Any]]) -> Table:
    """A row for each video."""
    columns = [Column("Video"), *(Column(s.title, True) for s in STATISTICS)]
    return Table("", "Videos", columns, [[name_cell(r["video"]), *_cells(r)] for r in rows])


def folders_table(rows: Sequence[dict[str, Any]]) -> Table:
    """A row for each folder: medians over its videos."""
    columns = [Column("Folder"), Column("Videos", True), Column("In all, min", True)]
    columns += [Column(s.title, True) for s in STATISTICS]
    body = [
        [
            name_cell(row["folder"]),
            number_cell(row["videos"], 0),
            number_cell(row["total_s"] / 60, 1),
            *_cells(row),
        ]
        for row in folders_of(rows)
    ]
    return Table("", "Folders, medians over videos", columns, body)


def distribution_charts(rows: Sequence[dict[str, Any]]) -> list[Chart]:
    """Histograms of what varies most: how many videos have which value."""
    charts = []
    for statistic in STATISTICS:
        values = [row[statistic.name] for row in rows if known(row[statistic.name])]
        if statistic.name in _CHARTS and values:
            charts.append(
                _histogram(statistic, np.array(values) * (100 if statistic.percent else 1))
            )
    return charts


def _histogram(statistic: Statistic, values: np.ndarray) -> Chart:
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, _BARS, (low, high))
    ticks = tuple((x, f"{x:g}") for x in nice_ticks(low, high, 5))
    tall = tuple((x, f"{x:g}") for x in nice_ticks(0, float(counts.max()), 4) if x == int(x))
    bars = tuple((float(a), float(b), float(n)) for a, b, n in zip(edges, edges[1:], counts) if n)
    return Chart(
        title=statistic.title,
        description=f"{len(values)} videos, median {np.median(values):.4g}, {low:.4g} to {high:.4g}",
        x=Axis(low, high, ticks, statistic.title),
        panels=(
            Panel(
                Axis(0.0, float(counts.max()), tall, "videos"),
                (Bars(bars, Look("count", 0)),),
                height=150,
            ),
        ),
        width=330,
        name=statistic.title,
        caption="How many videos have which value",
    )


def _cells(row: dict[str, Any]) -> list[Cell]:
    return [
        number_cell(
            row[s.name] * 100 if s.percent and row[s.name] is not None else row[s.name], s.digits
        )
        for s in STATISTICS
    ]


def _median(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if known(value)]
    return round(float(np.median(there)), 4) if there else None
