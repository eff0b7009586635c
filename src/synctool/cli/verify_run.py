"""The work of ``synctool verify``: one video after the other, one that fails never stops the rest."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from synctool.cli.outputs import Outputs
from synctool.cli.progress import progress_bar
from synctool.cli.video_bars import VideoBars
from synctool.cli.video_errors import named, say, severity
from synctool.errors import EXIT_OK, EXIT_OUT_OF_TOLERANCE, SyncToolError

if TYPE_CHECKING:
    from rich.progress import Progress

    from synctool.measure.detect import Detector
    from synctool.measure.verify import Verification
    from synctool.report.outcome import Failure
    from synctool.settings.verify import VerifySettings

    Verified = Verification | Failure

JSON, HTML = "--json", "--html"
_NOT_NATURAL = ("offset", "dubbed", "reanimated")


class VerifyOutputs(Outputs):
    """Writes what became of the videos.

    Args:
        videos: Names of all videos.
        targets: ``--json`` and ``--html`` -> path, ``-`` for the standard output, None for what is not
            wanted.
        plot: A file or a folder.
        one: Whether the user named a single video.
        command: The words of the command, for the page.
        quiet: Whether to print nothing for people.
    """

    def __init__(
        self,
        videos: Sequence[str],
        targets: Mapping[str, str | None],
        *,
        plot: str | None,
        one: bool,
        command: Sequence[str],
        quiet: bool,
    ) -> None:
        super().__init__(targets, plot=plot, one=one, kept=videos, quiet=quiet)
        self._one, self._command = one, command

    @property
    def wants_thumbnails(self) -> bool:
        """Whether small images of the videos are wanted."""
        return self.target(HTML) is not None

    def add(self, outcome: Verified) -> None:
        """Write what need not wait for the other videos.

        Raises:
            OutputError: It cannot be written.
        """
        from synctool.report import json_out, verification
        from synctool.report.outcome import Failure

        if not self._one:
            self.append(JSON, json_out.to_json_line(outcome).encode("utf-8"))
        if not isinstance(outcome, Failure) and (path := self.plot_path(outcome.input)):
            verification.write_plot(outcome, path)

    def all_done(self, outcomes: Sequence[Verified]) -> None:
        """Print and write the rest.

        Raises:
            OutputError: It cannot be written.
        """
        from synctool.report import json_out, verification
        from synctool.report.outcome import Failure

        self.close()
        if self.for_people and len(outcomes) > 1:
            verification.print_summary(outcomes)
        elif self.for_people and not isinstance(outcomes[0], Failure):
            verification.print_result(outcomes[0])
        if self._one and (target := self.target(JSON)) is not None:
            json_out.write_json(outcomes, target, lines=False)
        if (target := self.target(HTML)) is not None:
            from synctool.report.html.pages import write_html
            from synctool.report.html.verify import verify_page

            write_html(verify_page(outcomes, command=shlex.join(self._command)), target)


class VerifyRun:
    """Verifies videos and writes what was asked for.

    Args:
        names: The videos.
        outputs: Where the results go.
        settings: How to measure.
        fail: Whether what is not natural ends with exit code 4.
        quiet: Whether to print errors only.
    """

    def __init__(
        self,
        names: Sequence[str],
        outputs: VerifyOutputs,
        settings: VerifySettings,
        *,
        fail: bool,
        quiet: bool,
    ) -> None:
        self._names, self._outputs, self._settings = names, outputs, settings
        self._fail, self._quiet = fail, quiet

    def __call__(self) -> int:
        """Run; returns the exit code, that of the worst video.

        Raises:
            OutputError: A result cannot be written.
        """
        from synctool.measure.detect import Detector

        detector = Detector(self._settings.measuring)  # what is missing is told first
        outcomes: list[Verified] = []
        with progress_bar(quiet=self._quiet) as bar:
            bars = VideoBars(bar, self._names)
            for name in self._names:
                outcomes.append(self._verified(name, detector, bar, bars))
                self._outputs.add(outcomes[-1])
        self._outputs.all_done(outcomes)
        return max(map(self._code, outcomes), key=severity, default=EXIT_OK)

    def _verified(self, name: str, detector: Detector, bar: Progress, bars: VideoBars) -> Verified:
        from synctool.measure.verify import verify
        from synctool.report.outcome import Failure

        bars.begin(name)
        try:
            return verify(
                name,
                detector=detector,
                thumbnails=self._outputs.wants_thumbnails,
                on_progress=partial(bars.show, name),
            )
        except Exception as error:  # also a bug with one video must not cost the others
            if len(self._names) == 1 and not isinstance(error, SyncToolError):
                raise
            told = named(error, name)
            say(error, told, bar)
            return Failure.of(name, told)
        finally:
            bars.done(name)

    def _code(self, outcome: Verified) -> int:
        from synctool.report.outcome import Failure

        if isinstance(outcome, Failure):
            return outcome.exit_code
        if self._fail and outcome.authenticity.verdict in _NOT_NATURAL:
            return EXIT_OUT_OF_TOLERANCE
        return outcome.exit_code
