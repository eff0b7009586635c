"""Where a comparison goes: the terminal, JSON, CSV, plots, a page."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synctool.cli.places import STANDARD_OUTPUT, check_places, is_plot_folder
from synctool.errors import EXIT_MISSING, EXIT_OK, EXIT_UNEXPECTED

if TYPE_CHECKING:
    from synctool.comparison.entries import Entry
    from synctool.comparison.run import FilmFacts
    from synctool.comparison.series_store import SeriesStore
    from synctool.report.compare_out import Metric
    from synctool.report.html.pictures import Shot
    from synctool.report.stream import GrowingReport
    from synctool.types import Trial

THUMBNAILS = 6
"""Pictures of a film on the page."""
_MOST_FILMS_WITH_PICTURES = 40
"""A page with the pictures of more films is too large to be opened."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Paths, ``-`` for the standard output, None for what is not wanted.

    Attributes:
        json: One object.
        trials: JSON Lines.
        csv: A row a trial.
        metrics_csv: A row a metric.
        plot: A file for one film, else a folder.
        report: A page.
        journal: Where a run goes on; written by the engine.
    """

    json: str | None = None
    trials: str | None = None
    csv: str | None = None
    metrics_csv: str | None = None
    plot: str | None = None
    report: str | None = None
    journal: str | None = None


class CompareOutputs:
    """Collects the trials of a comparison, but for their series per frame, which stay on the disk, and writes
    what was asked for.

    Args:
        entries: What is compared.
        targets: Where the results go.
        one: Whether the user named a single film: its plot is a file, and else a folder.
        read: Further files that are read, which no result may replace.
        command: What was typed.
        settings: What the models were given, for the JSON object.
        by: Groups that metrics are wanted of.
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
        settings: Mapping[str, Any],
        by: Sequence[str],
        quiet: bool,
    ) -> None:
        self._entries, self._targets, self._read = entries, targets, read
        self._command, self._settings, self._by = command, settings, by
        others = (targets.json, targets.trials, targets.csv, targets.metrics_csv, targets.report)
        self._for_people = not quiet and STANDARD_OUTPUT not in others
        self._folder = is_plot_folder(targets.plot, one=one)
        self._trials: list[Trial] = []
        self._shared_s: dict[str, float] = {}
        self._pictures: dict[str, Sequence[Shot]] = {}
        self._store: SeriesStore | None = None
        self._lines: GrowingReport | None = None
        self._told: set[tuple[str, str]] = set()

    @property
    def thumbnails(self) -> int:
        """How many pictures of a film are wanted."""
        few = len(self._entries) <= _MOST_FILMS_WITH_PICTURES
        return THUMBNAILS if self._targets.report is not None and few else 0

    @property
    def exit_code(self) -> int:
        """0 where every trial ran, whatever it found; 5 where films are missing; else 1."""
        failed = {trial.film for trial in self._trials if trial.error is not None}
        films = {entry.name for entry in self._entries if entry.clip is None}
        if not failed:
            return EXIT_OK
        missing = all(film in films and not os.path.lexists(film) for film in failed)
        return EXIT_MISSING if missing else EXIT_UNEXPECTED

    def check(self) -> None:
        """Find out before the work whether the results can be written.

        Raises:
            OutputError: One cannot.
            UsageError: Two would go to one place, or one would replace what is read.
        """
        own = self._targets
        places = {
            "--json": own.json, "--trials": own.trials, "--csv": own.csv,
            "--metrics-csv": own.metrics_csv, "--report": own.report, "--journal": own.journal,
        }  # fmt: skip
        films = [entry.name for entry in self._entries if entry.clip is None]
        kept = [*films, *self._read]
        check_places(places, kept=kept, plot=own.plot, plot_folder=self._folder)

    def film(self, facts: FilmFacts) -> None:
        """Take what a film's trials do not hold: what reading it cost, and its pictures."""
        self._shared_s[facts.film] = facts.shared_s
        if facts.thumbnails:
            from synctool.report.html.pictures import shots

            self._pictures[facts.film] = shots(facts.thumbnails)

    def stream(self, trial: Trial) -> None:
        """Take a trial, write at once what need not wait, and tell on stderr why one failed.

        Raises:
            OutputError: It cannot be written.
        """
        from synctool.comparison.series_store import SeriesStore
        from synctool.report.compare_out import trial_line
        from synctool.report.stream import GrowingReport

        self._store = self._store or SeriesStore()
        self._trials.append(self._store.stored(trial))
        if self._targets.trials is not None:
            self._lines = self._lines or GrowingReport(self._targets.trials)
            self._lines.write(trial_line(trial).encode("utf-8", "backslashreplace"))
        if trial.error is not None and (trial.film, trial.error) not in self._told:
            self._told.add((trial.film, trial.error))
            _tell(trial)

    def all_done(self) -> None:
        """Work out the metrics, print and write the rest; nothing where nothing was measured.

        Raises:
            OutputError: It cannot be written.
        """
        if self._lines is not None:
            self._lines.close()
        if not self._trials:
            return
        from synctool.comparison.run import summarise

        metrics = summarise(self._trials, by=self._by)
        if self._for_people:
            from synctool.report.compare_table import print_compare

            print_compare(self._trials, metrics, shared_s=self._shared_s)
        self._write_data(metrics)
        if self._targets.plot is not None:
            self._draw(self._targets.plot, metrics)
        if self._targets.report is not None:
            self._write_page(metrics)

    def _write_data(self, metrics: Sequence[Metric]) -> None:
        from synctool.report import compare_out as out

        own, trials = self._targets, self._trials
        if own.json is not None:
            parts = out.compare_json_parts(
                trials, metrics, command=self._command, settings=self._settings
            )
            out.write_parts(parts, own.json)
        if own.csv is not None:
            out.write_text(out.trials_csv(trials), own.csv)
        if own.metrics_csv is not None:
            out.write_text(out.metrics_csv(metrics), own.metrics_csv)

    def _draw(self, target: str, metrics: Sequence[Metric]) -> None:
        from synctool.report.compare_rows import plain_trials
        from synctool.report.plots import write_compare_plot, write_compare_plots

        if self._folder:
            write_compare_plots(self._trials, metrics, target)
            return
        first = next(iter(plain_trials(self._trials).values()), self._trials[:1])
        write_compare_plot(first, target)

    def _write_page(self, metrics: Sequence[Metric]) -> None:
        from synctool.report.compare_out import versions
        from synctool.report.html.pages import CompareReport, compare_page, write_html

        models = len({(trial.backbone, trial.weights) for trial in self._trials})
        films = len({trial.film for trial in self._trials})
        page = CompareReport(
            title=f"{_counted(models, 'model')}, {_counted(films, 'film')}",
            command=self._command,
            trials=self._trials,
            metrics=metrics,
            thumbnails=self._pictures,
            versions=versions(),
            shared_s=self._shared_s,
        )
        write_html(compare_page(page), self._targets.report)


def _tell(trial: Trial) -> None:
    from synctool.report.text import printable

    film, cause = printable(trial.film), printable(trial.error or "")
    base = printable(os.path.basename(trial.film))
    named = cause if base and base in cause else f"{film}: {cause}"
    print(f"error: {named}", file=sys.stderr)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
