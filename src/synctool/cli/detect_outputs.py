"""What ``synctool detect`` writes: the terminal, JSON, CSV, plots, captions, a page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from synctool.cli.outputs import Outputs, VideoFiles
from synctool.cli.progress import progress_bar

if TYPE_CHECKING:
    from synctool.cli.markers_output import MarkersOutput
    from synctool.report.html.player import Copy
    from synctool.report.html.shots import Shot
    from synctool.report.outcome import Outcome
    from synctool.report.repairs import FixOutcome
    from synctool.settings.detect import DetectSettings
    from synctool.types import DetectResult


class DetectOutputs(Outputs):
    """Writes what became of the videos.

    Args:
        videos: Names of all videos.
        targets: ``--json``, ``--csv``, ``--html`` and ``--rttm`` -> path, ``-`` for the standard output, None
            for what is not wanted.
        settings: How they are measured.
        one: Whether the user named a single video: one JSON object, and plot and captions are files.
            Otherwise JSON Lines, and they go into folders, however many videos there are.
        plot: A file or a folder.
        webvtt: The same for captions.
        markers: Writes the markers.
        command: The words of the command, for the page.
        quiet: Whether to print nothing for people.
    """

    def __init__(
        self,
        videos: Sequence[str],
        targets: Mapping[str, str | None],
        settings: DetectSettings,
        *,
        one: bool,
        plot: str | None = None,
        webvtt: str | None = None,
        markers: MarkersOutput | None = None,
        command: Sequence[str] = (),
        quiet: bool,
    ) -> None:
        self._captions = VideoFiles(webvtt, one=one, suffix=".vtt")
        if self._captions.folder is None:
            targets = {**targets, "--webvtt": webvtt}
        if markers is not None:
            targets = {**targets, "--markers": markers.file}
        super().__init__(targets, plot=plot, one=one, kept=videos, quiet=quiet)
        self._videos, self._one, self._command = videos, one, command
        self._settings, self._quiet, self._markers = settings, quiet, markers

    def check(self) -> None:
        """See ``Outputs.check``."""
        super().check()
        self._captions.check()
        if self._markers is not None:
            self._markers.check()

    @property
    def wants_thumbnails(self) -> bool:
        """Whether thumbnails of the videos are wanted."""
        return self.target("--html") is not None

    def stream(self, outcome: Outcome) -> None:
        """Write at once what need not wait for the other videos: JSON Lines, and rows of CSV.

        Raises:
            OutputError: It cannot be written.
        """
        if self._one:
            return
        from synctool.report import csv_out, json_out

        self.append("--json", json_out.to_json_line(outcome).encode("utf-8"))
        self.append("--csv", csv_out.row(outcome), heading=csv_out.heading())

    def draw(self, outcome: Outcome) -> None:
        """Draw the plot of a video, and write its captions and markers.

        Raises:
            OutputError: One cannot be written.
            UsageError: The timecode of the markers is none of the video's frame rate.
        """
        from synctool.report.outcome import Failure

        if isinstance(outcome, Failure):
            return
        if captions := self._captions.path(outcome.input):
            from synctool.report.speaker_files import write_webvtt

            write_webvtt(outcome, captions)
        if path := self.plot_path(outcome.input):
            from synctool.report.plots import write_plot

            write_plot(outcome, path)
        if self._markers is not None:
            self._markers.write(outcome)

    def show_repairs(self, repaired: Sequence[FixOutcome]) -> None:
        """Print what became of the repairs."""
        from synctool.report.outcome import Failure
        from synctool.report.repairs import print_repair, print_repairs

        if not self.for_people:
            return
        if len(self._videos) > 1:
            print_repairs(repaired)
        elif not isinstance(repaired[0], Failure):
            print_repair(repaired[0])

    def all_done(
        self,
        outcomes: Sequence[Outcome],
        shots: Mapping[str, Sequence[Shot]],
        *,
        stopped: bool = False,
    ) -> None:
        """Print and write the rest.

        Args:
            outcomes: Of all videos, or those before the work was stopped; each is read several times.
            shots: Thumbnails by video, for the page.
            stopped: Whether the work was stopped: then the videos are not read again for players.

        Raises:
            OutputError: It cannot be written.
        """
        self.close()
        from synctool.report import csv_out, json_out, terminal
        from synctool.report.outcome import Failure

        if self.for_people and len(self._videos) > 1:
            terminal.print_summary(outcomes)
        elif self.for_people and not isinstance(outcomes[0], Failure):
            terminal.print_result(outcomes[0])
        json, csv, html = map(self.target, ("--json", "--csv", "--html"))
        if self._one and json is not None:
            json_out.write_json(outcomes, json, lines=False)
        if self._one and csv is not None:
            csv_out.write_csv(outcomes, csv)
        if (rttm := self.target("--rttm")) is not None:
            from synctool.report.speaker_files import write_rttm

            write_rttm(outcomes, rttm)
        if html is not None:
            from synctool.report.html.pages import detect_page, write_html

            wanted = self._settings.player_mb > 0 and not stopped
            page = detect_page(
                outcomes,
                command=shlex.join(self._command),
                thumbnails=shots,
                copies=self._copies if wanted else None,
            )
            write_html(page, html)

    def _copies(self, results: Sequence[DetectResult]) -> Mapping[str, Copy]:
        """Make the small copies of the videos for their players."""
        from synctool.report.html.player import copies

        with progress_bar(quiet=self._quiet) as bar:
            task = bar.add_task("Making players", total=None, speed="")

            def show(name: str, done_s: float, length_s: float) -> None:
                bar.update(task, description=f"Player of {name}", completed=done_s, total=length_s)

            return copies(results, self._settings, on_progress=show)
