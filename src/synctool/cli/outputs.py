"""Where the results of ``synctool detect`` go: the terminal, JSON, CSV, plots."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synctool.errors import UsageError

if TYPE_CHECKING:
    from synctool.report.outcome import Outcome

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
        quiet: bool,
    ) -> None:
        self._films, self._one = films, one
        self._json, self._csv = json, csv
        self._for_people = not quiet and "-" not in (json, csv)
        self._plot = None if plot is None else Path(plot)
        # A folder is meant, too, where there is one or the name ends in a slash.
        seps = tuple(filter(None, (os.sep, os.altsep)))
        self._plot_folder = plot is not None and (
            not one or plot.endswith(seps) or os.path.isdir(plot)
        )
        self._drawn: set[str] = set()

    def check(self) -> None:
        """Find out before the work whether the results can be written.

        Raises:
            OutputError: One cannot.
            UsageError: Two would go to one place, or one would replace a film.
        """
        from synctool.files import check_writable, make_folder
        from synctool.report.plot import check_format

        if self._json == "-" and self._csv == "-":
            raise UsageError("JSON and CSV cannot both go to stdout", remedy="Give one a file.")
        files = [name for name in (self._json, self._csv) if name not in (None, "-")]
        if self._plot is not None and not self._plot_folder:
            check_format(self._plot)
            files.append(os.fspath(self._plot))
        self._check_places(files)
        for name in files:
            check_writable(name)
        if self._plot_folder:
            make_folder(self._plot)
            check_writable(self._plot / "a.png")

    def _check_places(self, files: list[str]) -> None:
        places = [os.path.realpath(name) for name in files]
        films = {os.path.realpath(film) for film in self._films}
        for number, place in enumerate(places):
            if place in films and os.path.isfile(place):
                raise UsageError(
                    f"{files[number]} is one of the films and would be overwritten",
                    remedy="Give the result another name.",
                )
            ordinary = os.path.isfile(place) or not os.path.exists(place)
            if place in places[:number] and ordinary:
                raise UsageError(
                    f"two results cannot both go to {files[number]}",
                    remedy="Give each its own name.",
                )

    def stream(self, outcome: Outcome) -> None:
        """Write at once what need not wait for the other films: a line of JSON on stdout.

        Raises:
            OutputError: It cannot be written.
        """
        from synctool.report import json_out

        if self._json == "-" and not self._one:
            json_out.write_json([outcome], "-", lines=True)

    def draw(self, outcome: Outcome) -> None:
        """Draw the plot of a film.

        Raises:
            OutputError: It cannot be written.
        """
        from synctool.report.outcome import Failure
        from synctool.report.plot import write_plot

        if self._plot is not None and not isinstance(outcome, Failure):
            write_plot(outcome, self._plot_path(outcome.input))

    def all_done(self, outcomes: Sequence[Outcome]) -> None:
        """Print and write the rest.

        Raises:
            OutputError: It cannot be written.
        """
        from synctool.report import csv_out, json_out, terminal
        from synctool.report.outcome import Failure

        if self._for_people and len(self._films) > 1:
            terminal.print_summary(outcomes)
        elif self._for_people and not isinstance(outcomes[0], Failure):
            terminal.print_result(outcomes[0])
        if self._json is not None and (self._one or self._json != "-"):
            json_out.write_json(outcomes, self._json, lines=not self._one)
        if self._csv is not None:
            csv_out.write_csv(outcomes, self._csv)

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
