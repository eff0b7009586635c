"""What ``synctool compare`` writes: the terminal, JSON, CSV, plots, a page."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synctool.cli.outputs import Outputs
from synctool.errors import EXIT_MISSING, EXIT_OK, EXIT_UNEXPECTED

if TYPE_CHECKING:
    from synctool.comparison.entries import Entry
    from synctool.comparison.run import VideoFacts
    from synctool.comparison.series_store import SeriesStore
    from synctool.report.compare_out import Metric
    from synctool.report.html.shots import Shot
    from synctool.settings.compare import CompareSettings
    from synctool.types import Trial

_GROUPS = ("condition", "perturbation")
THUMBNAILS = 6
"""Thumbnails of a video on the page."""
_MOST_VIDEOS_WITH_THUMBNAILS = 40
"""A page with the thumbnails of more videos is too large to be opened."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Paths, ``-`` for the standard output, None for what is not wanted.

    Attributes:
        json: One object.
        trials: JSON Lines.
        csv: A row a trial.
        metrics_csv: A row a metric.
        plot: A file for one video, else a folder.
        html: A page.
        journal: Where a run goes on; written by the engine.
    """

    json: str | None = None
    trials: str | None = None
    csv: str | None = None
    metrics_csv: str | None = None
    plot: str | None = None
    html: str | None = None
    journal: str | None = None


class CompareOutputs(Outputs):
    """Collects the trials of a comparison, but for their series per frame, which stay on the disk, and writes
    what was asked for.

    Args:
        entries: What is compared.
        targets: Where the results go.
        one: Whether the user named a single video: its plot is a file, and else a folder.
        read: Further files that are read, which no result may replace.
        command: What was typed.
        settings: What is compared, and how.
        quiet: Whether to print nothing for people.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        targets: Targets,
        *,
        one: bool,
        read: Sequence[str],
        command: str,
        settings: CompareSettings,
        quiet: bool,
    ) -> None:
        videos = {entry.name for entry in entries if entry.clip is None}
        super().__init__(
            {
                "--json": targets.json,
                "--trials": targets.trials,
                "--csv": targets.csv,
                "--metrics-csv": targets.metrics_csv,
                "--html": targets.html,
                "--journal": targets.journal,
            },
            plot=targets.plot,
            one=one,
            kept=[*videos, *read],
            quiet=quiet,
        )
        self._entries, self._videos = entries, videos
        self._command, self._settings = command, settings
        self._trials: list[Trial] = []
        self._shared_s: dict[str, float] = {}
        self._thumbnails: dict[str, Sequence[Shot]] = {}
        self._store: SeriesStore | None = None
        self._told: set[tuple[str, str]] = set()

    @property
    def thumbnails(self) -> int:
        """How many thumbnails of a video are wanted."""
        few = len(self._entries) <= _MOST_VIDEOS_WITH_THUMBNAILS
        return THUMBNAILS if self.target("--html") is not None and few else 0

    @property
    def exit_code(self) -> int:
        """0 where every trial ran, whatever it found; 5 where videos are missing; else 1."""
        failed = {trial.film for trial in self._trials if trial.error is not None}
        if not failed:
            return EXIT_OK
        missing = all(video in self._videos and not os.path.lexists(video) for video in failed)
        return EXIT_MISSING if missing else EXIT_UNEXPECTED

    def video(self, facts: VideoFacts) -> None:
        """Take what a video's trials do not hold: what reading it cost, and its thumbnails."""
        self._shared_s[facts.video] = facts.shared_s
        if facts.thumbnails:
            from synctool.report.html.shots import shots

            self._thumbnails[facts.video] = shots(facts.thumbnails)

    def stream(self, trial: Trial) -> None:
        """Take a trial, write at once what need not wait, and tell on stderr why one failed.

        Raises:
            OutputError: It cannot be written.
        """
        from synctool.comparison.series_store import SeriesStore
        from synctool.report.compare_out import trial_line

        self._store = self._store or SeriesStore()
        self._trials.append(self._store.stored(trial))
        self.append("--trials", trial_line(trial).encode("utf-8", "backslashreplace"))
        if trial.error is not None and (trial.film, trial.error) not in self._told:
            self._told.add((trial.film, trial.error))
            _tell(trial)

    def all_done(self) -> None:
        """Work out the metrics, print and write the rest; nothing where nothing was measured.

        Raises:
            OutputError: It cannot be written.
        """
        self.close()
        if not self._trials:
            return
        from synctool.comparison.run import summarise

        metrics = summarise(self._trials, by=groups(self._settings))
        if self.for_people:
            from synctool.report.compare_table import print_compare

            print_compare(self._trials, metrics, shared_s=self._shared_s)
        self._write_data(metrics)
        self._draw(metrics)
        self._write_page(metrics)

    def _write_data(self, metrics: Sequence[Metric]) -> None:
        from synctool.report import compare_out as out

        json, csv, metrics_csv = map(self.target, ("--json", "--csv", "--metrics-csv"))
        if json is not None:
            parts = out.compare_json_parts(
                self._trials, metrics, command=self._command, settings=self._settings.plain()
            )
            out.write_parts(parts, json)
        if csv is not None:
            out.write_text(out.trials_csv(self._trials), csv)
        if metrics_csv is not None:
            out.write_text(out.metrics_csv(metrics), metrics_csv)

    def _draw(self, metrics: Sequence[Metric]) -> None:
        from synctool.report.compare_rows import plain_trials
        from synctool.report.plots import write_compare_plot, write_compare_plots

        if self.plot_folder is not None:
            write_compare_plots(self._trials, metrics, self.plot_folder)
        elif path := self.plot_path(self._trials[0].film):
            write_compare_plot(
                next(iter(plain_trials(self._trials).values()), self._trials[:1]), path
            )

    def _write_page(self, metrics: Sequence[Metric]) -> None:
        target = self.target("--html")
        if target is None:
            return
        from synctool.report.compare_out import versions
        from synctool.report.html.pages import CompareReport, compare_page, write_html
        from synctool.report.text import counted

        models = len({(trial.backbone, trial.weights) for trial in self._trials})
        videos = len({trial.film for trial in self._trials})
        page = CompareReport(
            title=f"{counted(models, 'model')}, {counted(videos, 'video')}",
            command=self._command,
            trials=self._trials,
            metrics=metrics,
            thumbnails=self._thumbnails,
            versions=versions(),
            shared_s=self._shared_s,
        )
        write_html(compare_page(page), target)


def groups(settings: CompareSettings) -> list[str]:
    """The groups of metrics that are asked for, and those that the conditions make."""
    shifted = bool(settings.shift or settings.pieces)
    own = [name for name, made in zip(_GROUPS, (shifted, settings.perturb)) if made]
    return list(dict.fromkeys([*settings.by, *own]))


def _tell(trial: Trial) -> None:
    from synctool.report.wording import named_cause

    print(f"error: {named_cause(trial.error or '', trial.film)}", file=sys.stderr)
