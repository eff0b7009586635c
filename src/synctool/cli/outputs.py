"""Where the results of a command go: checked before the work, written at once or at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctool.cli.places import STANDARD_OUTPUT, check_places, is_plot_folder
from synctool.errors import UsageError
from synctool.files import check_writable, make_folder

if TYPE_CHECKING:
    from synctool.report.plots import PlotNames
    from synctool.report.stream import GrowingReport

JSON = "--json"


class Outputs:
    """The targets of a command's results; a command adds what is written to them.

    Args:
        targets: Option -> path, ``-`` for the standard output, None for what is not wanted.
        plot: A file or a folder for plots, None where none is wanted.
        one: Whether the user named a single video: its plot is a file, and else a folder.
        kept: Files that are read, which no result may replace.
        quiet: Whether to print nothing for people.
    """

    def __init__(
        self,
        targets: Mapping[str, str | None],
        *,
        plot: str | None,
        one: bool,
        kept: Iterable[str],
        quiet: bool,
    ) -> None:
        self._targets, self._kept = dict(targets), list(kept)
        self._plot, self._plots = plot, VideoFiles(plot, one=one, suffix=".png")
        self._growing: dict[str, GrowingReport] = {}
        self.for_people = not quiet and STANDARD_OUTPUT not in self._targets.values()

    def check(self) -> None:
        """Find out before the work whether the results can be written.

        Raises:
            OutputError: One cannot.
            UsageError: Two would go to one place, or one would replace what is read.
            MissingError: A plot is wanted, and nothing to draw it with is installed.
        """
        check_places(
            self._targets,
            kept=self._kept,
            plot=self._plot,
            plot_folder=self._plots.folder is not None,
        )

    def target(self, option: str) -> str | None:
        """Where the result of an option goes."""
        return self._targets[option]

    def append(self, option: str, line: bytes, *, heading: bytes = b"") -> None:
        """Write a line at once, where it is wanted; the first one below a heading.

        Raises:
            OutputError: It cannot be written.
        """
        from synctool.report.stream import GrowingReport

        target = self._targets[option]
        if target is None:
            return
        if option not in self._growing:
            self._growing[option] = GrowingReport(target)
            line = heading + line
        self._growing[option].write(line)

    def close(self) -> None:
        """Close what was written line by line.

        Raises:
            OutputError: It has not arrived on the disk.
        """
        for report in self._growing.values():
            report.close()

    @property
    def plot_folder(self) -> Path | None:
        """The folder of the plots, None where they go into a file or are not wanted."""
        return self._plots.folder

    def plot_path(self, video: str) -> Path | None:
        """The file for the plot of a video, None where none is wanted."""
        return self._plots.path(video)


class JsonOutput(Outputs):
    """The output of a command with ``--json`` and no other result; checked when it is made.

    Args:
        json: Path, ``-`` for the standard output, None where no JSON is wanted.
        quiet: Whether to print nothing for people.

    Raises:
        OutputError: The file cannot be written.
    """

    def __init__(self, json: str | None, *, quiet: bool = False) -> None:
        super().__init__({JSON: json}, plot=None, one=True, kept=(), quiet=quiet)
        self.check()

    def write(self, data: Any) -> None:
        """Write plain data, where that is wanted.

        Raises:
            OutputError: It cannot be written.
        """
        from synctool.report.json_out import clean, dump
        from synctool.report.stream import send

        if (target := self.target(JSON)) is not None:
            send(target, f"{dump(clean(data), indent=2)}\n".encode())


class VideoFiles:
    """A file for each video: the one that an option names, or one in the folder that it names.

    Args:
        place: What the option names; None where nothing is wanted.
        one: Whether the user named a single video.
        suffix: What the names of the files in a folder end in.
    """

    def __init__(self, place: str | None, *, one: bool, suffix: str) -> None:
        self._place, self._suffix = place, suffix
        self.folder = Path(place) if place is not None and is_plot_folder(place, one=one) else None
        self._names: PlotNames | None = None

    def check(self) -> None:
        """Make the folder, and find out whether files can be written there.

        Raises:
            OutputError: They cannot.
            UsageError: The standard output is no place for several files.
        """
        if self.folder is not None:
            if self._place == STANDARD_OUTPUT:
                raise UsageError(
                    "the files of several videos cannot go to stdout", remedy="Give a folder."
                )
            make_folder(self.folder)
            check_writable(self.folder / f"a{self._suffix}")

    def path(self, video: str) -> Path | None:
        """The file of a video, None where none is wanted; ``-`` stays as it is."""
        if self.folder is None:
            return None if self._place is None else Path(self._place)
        if self._names is None:
            from synctool.report.plots import PlotNames

            self._names = PlotNames(self.folder, suffix=self._suffix)
        return self._names.path(video)
