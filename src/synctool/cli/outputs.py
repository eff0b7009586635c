"""Where the results of ``synctool detect`` go: the terminal, JSON, CSV, plots, a page."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synctool.cli.places import STANDARD_OUTPUT, check_places, is_plot_folder

if TYPE_CHECKING:
    from synctool.report.html.pictures import Shot
    from synctool.report.outcome import Outcome
    from synctool.report.stream import GrowingReport

_LONGEST_NAME_BYTES = 255
_ROOM_BYTES = 16  # for a number and the suffix


class Outputs:
    """Writes what became of the films.

    Args:
        films: Names of all films.
        one: Whether the user named a single film: one JSON object, and the plot is a file. Otherwise
            JSON Lines, and the plots go into a folder, however many films there are.
        json: Path or ``-`` or None.
        csv: The same.
        plot: A file or a folder.
        html: Path of a page or ``-`` or None.
        command: The words of the command, for the page.
        quiet: Whether to print nothing for people.
    """

    def __init__(
        self,
        films: Sequence[str],
        *,
        one: bool,
        json: str | None,
        csv: str | None,
        plot: str | None,
        html: str | None = None,
        command: Sequence[str] = (),
        quiet: bool,
    ) -> None:
        self._films, self._one = films, one
        self._json, self._csv = json, csv
        self._html, self._command = html, command
        self._growing: dict[str, GrowingReport] = {}
        self._for_people = not quiet and STANDARD_OUTPUT not in (json, csv, html)
        self._plot = None if plot is None else Path(plot)
        self._plot_folder = is_plot_folder(plot, one=one)
        self._drawn: set[str] = set()

    def check(self) -> None:
        """Find out before the work whether the results can be written.

        Raises:
            OutputError: One cannot.
            UsageError: Two would go to one place, or one would replace a video.
        """
        check_places(
            {"--json": self._json, "--csv": self._csv, "--html": self._html},
            kept=self._films,
            plot=None if self._plot is None else os.fspath(self._plot),
            plot_folder=self._plot_folder,
        )

    @property
    def wants_pictures(self) -> bool:
        """Whether small pictures of the videos are wanted."""
        return self._html is not None

    def stream(self, outcome: Outcome) -> None:
        """Write at once what need not wait for the other videos: JSON Lines, and rows of CSV.

        Raises:
            OutputError: It cannot be written.
        """
        if self._one:
            return
        from synctool.report import csv_out, json_out

        if self._json is not None:
            line = json_out.to_json_line(outcome).encode("utf-8")
            self._report(self._json).write(line)
        if self._csv is not None:
            first = self._csv not in self._growing
            row = csv_out.row(outcome)
            self._report(self._csv).write(csv_out.heading() + row if first else row)

    def _report(self, target: str) -> GrowingReport:
        from synctool.report.stream import GrowingReport

        return self._growing.setdefault(target, GrowingReport(target))

    def draw(self, outcome: Outcome) -> None:
        """Draw the plot of a film.

        Raises:
            OutputError: It cannot be written.
        """
        from synctool.report.outcome import Failure

        if self._plot is not None and not isinstance(outcome, Failure):
            from synctool.report.plots import write_plot

            write_plot(outcome, self._plot_path(outcome.input))

    def all_done(self, outcomes: Sequence[Outcome], shots: Mapping[str, Sequence[Shot]]) -> None:
        """Print and write the rest.

        Args:
            outcomes: Of all videos, or those before the work was stopped; each is read several times.
            shots: Small pictures by video, for the page.

        Raises:
            OutputError: It cannot be written.
        """
        for report in self._growing.values():
            report.close()
        from synctool.report import csv_out, json_out, terminal
        from synctool.report.outcome import Failure

        if self._for_people and len(self._films) > 1:
            terminal.print_summary(outcomes)
        elif self._for_people and not isinstance(outcomes[0], Failure):
            terminal.print_result(outcomes[0])
        if self._one and self._json is not None:
            json_out.write_json(outcomes, self._json, lines=False)
        if self._one and self._csv is not None:
            csv_out.write_csv(outcomes, self._csv)
        if self._html is not None:
            from synctool.report.html.pages import detect_page, write_html

            page = detect_page(outcomes, command=shlex.join(self._command), thumbnails=shots)
            write_html(page, self._html)

    def _plot_path(self, film: str) -> Path:
        if not self._plot_folder:
            return self._plot
        stem, number = Path(film).name or "film", 1
        raw = os.fsencode(stem)
        if len(raw) > _LONGEST_NAME_BYTES - _ROOM_BYTES:
            stem = raw[: _LONGEST_NAME_BYTES - _ROOM_BYTES].decode("utf-8", "ignore")
        name = f"{stem}.png"
        while name.casefold() in self._drawn:  # films of one name from several folders
            number += 1
            name = f"{stem}-{number}.png"
        self._drawn.add(name.casefold())
        return self._plot / name
