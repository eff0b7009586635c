"""Pages for people: one self-contained HTML file for ``detect``, and one for ``compare``.

A page loads nothing, opens from the disk, has light and dark colours, can be used without a mouse,
and can be printed. The results are in it for programs, too: as JSON in ``script`` elements.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synctool._version import __version__
from synctool.comparison.degradations import DEGRADATIONS
from synctool.evaluation.metric_specs import Metric
from synctool.report.charts.curves import context_chart, reliability_charts, robustness_charts
from synctool.report.charts.description import models_key
from synctool.report.compare_rows import Models
from synctool.report.html import compare as compared
from synctool.report.html import detect as detected
from synctool.report.html.metrics import breakdowns, definitions, metric_families
from synctool.report.html.moves import pieces_table, shift_parts
from synctool.report.html.page import embedded_json, render
from synctool.report.html.player import Copy
from synctool.report.html.shots import Shot, Thumbnail
from synctool.report.outcome import Outcome
from synctool.report.stream import send
from synctool.report.text import counted, printable
from synctool.types import DetectResult, Trial

REPORT_SCHEMA = "synctool.compare-report/1"


@dataclass(frozen=True, kw_only=True)
class CompareReport:
    """What the page of ``compare`` shows.

    Attributes:
        title: For example "2 models, 12 videos".
        command: The command that made it.
        trials: Of all conditions.
        metrics: As ``summarise`` gives them, of all groups.
        thumbnails: Thumbnails by video.
        versions: Versions of what took part, by name.
        shared_s: Seconds by video that all models shared (decoding, faces).
    """

    title: str
    command: str
    trials: Sequence[Trial]
    metrics: Sequence[Metric] = ()
    thumbnails: Mapping[str, Sequence[Thumbnail | Shot]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    shared_s: Mapping[str, float] = field(default_factory=dict)


def detect_page(
    outcomes: Sequence[Outcome],
    *,
    command: str,
    thumbnails: Mapping[str, Sequence[Thumbnail | Shot]] | None = None,
    copies: Callable[[Sequence[DetectResult]], Mapping[str, Copy]] | None = None,
) -> str:
    """The page of one video or of several.

    Args:
        outcomes: Results and failures, at least one; each is read when it is needed, so they may come from
            the disk.
        command: The command that made them.
        thumbnails: Thumbnails by ``input``.
        copies: Makes small copies of the videos that get a section, for players; None for no players.
    """
    videos = detected.overview(outcomes)
    made = {} if copies is None else copies(detected.Chosen(outcomes, videos.chosen))
    sections = detected.sections(outcomes, videos.chosen, thumbnails or {}, made)
    single = len(outcomes) == 1 and bool(sections)
    return render(
        "detect.html.j2",
        title=sections[0].name if single else counted(len(outcomes), "video"),
        single=single,
        sections=sections,
        has_player=any(section.player for section in sections),
        summary=None if single else detected.videos_table(videos),
        counts=videos.counts,
        left_out=videos.measured - len(sections),
        command=printable(command),
        version=__version__,
    )


def compare_page(report: CompareReport) -> str:
    """The page of a comparison."""
    from synctool.evaluation.metrics import agreement, reliability

    trials = list(report.trials)
    models = Models.of(trials)
    chosen = compared.chosen_videos(trials)
    linked = {video: f"video-{number}" for number, video in enumerate(chosen, 1)}
    pairs = agreement(trials) if len(models.names) > 1 else []
    bins = reliability(trials)
    metrics = models.named(report.metrics)
    brief = models.brief()
    shift_table, shift_charts = shift_parts(trials, models)
    names = list(models.names.values())
    return render(
        "compare.html.j2",
        title=printable(report.title),
        headline=compared.headline(trials, models),
        keys=models_key(names),
        models=compared.models_table(trials, models),
        videos=compared.videos_table(trials, models, linked),
        agreement=compared.agreement_table(pairs, brief),
        families=metric_families(metrics, models.numbers),
        context=context_chart(metrics, names),
        reliability=reliability_charts(
            {brief.get(name, name): b for name, b in bins.items()}, names
        ),
        robustness=[
            (chart, spec.summary if (spec := DEGRADATIONS.get(chart.name)) else "")
            for chart in robustness_charts(metrics, names)
        ],
        shift_table=shift_table,
        shift_charts=shift_charts,
        pieces=pieces_table(trials, models),
        breakdowns=breakdowns(metrics, models.numbers),
        details=compared.video_details(trials, models, linked, report.thumbnails, report.shared_s),
        left_out=len(compared.plain_trials(trials)) - len(linked),
        definitions=definitions(metrics),
        command=printable(report.command),
        versions=[(printable(k), printable(v)) for k, v in _versions(report).items()],
        weights=[(printable(name), printable(w)) for (_, w), name in models.names.items()],
        json=embedded_json(_data(report, pairs)),
        version=__version__,
    )


def write_html(text: str, path: str | os.PathLike[str]) -> None:
    """Write a page to a file, atomically, or for ``-`` to the standard output.

    Raises:
        OutputError: It cannot be written.
    """
    send(path, text.encode("utf-8", "backslashreplace"))


def _versions(report: CompareReport) -> dict[str, str]:
    return {"synctool": __version__, **report.versions}


def _data(report: CompareReport, pairs: Sequence[Any]) -> str:
    """The figures for programs; the trials themselves are in the JSON of the command."""
    data = {
        "schema": REPORT_SCHEMA,
        "title": report.title,
        "command": report.command,
        "versions": _versions(report),
        "metrics": [metric.to_dict() for metric in report.metrics if metric.defined],
        "agreement": [
            {
                "models": [pair.first, pair.second],
                "trials": None if pair.trials != pair.trials else round(pair.trials, 4),
                "frames": None if pair.frames != pair.frames else round(pair.frames, 4),
            }
            for pair in pairs
        ],
    }
    return json.dumps(data, separators=(",", ":"))
