"""The work of ``synctool detect``: one video after the other, what is finished kept on the disk."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from synctool.cli.common import show_error, show_traceback
from synctool.cli.outcomes import Outcomes
from synctool.cli.progress import progress_bar
from synctool.errors import (
    EXIT_INCONCLUSIVE,
    EXIT_MISSING,
    EXIT_OK,
    EXIT_OUT_OF_TOLERANCE,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    OutputError,
    SyncToolError,
    described,
)
from synctool.settings.detect import VERDICTS

if TYPE_CHECKING:
    from rich.progress import Progress

    from synctool.cli.detect_outputs import DetectOutputs
    from synctool.journal import Journal
    from synctool.measure.detect import Detector
    from synctool.report.html.shots import Shot
    from synctool.report.outcome import Outcome
    from synctool.types import DetectResult, Verdict

_WORST_LAST = (
    EXIT_OK,
    EXIT_INCONCLUSIVE,
    EXIT_OUT_OF_TOLERANCE,
    EXIT_MISSING,
    EXIT_USAGE,
    EXIT_UNEXPECTED,
)
_LONGEST_SHOWN = 30
_BUG = "Run this video alone with --debug to see where."


class BatchRun:
    """Measures videos and writes what was asked for.

    Args:
        names: The videos.
        detector: What measures them.
        outputs: Where the results go.
        limit: Of ``--fail-over``: a verdict, milliseconds, or None.
        fresh: Whether to measure again what an earlier run has noted.
        quiet: Whether to print errors only.
    """

    def __init__(
        self,
        names: Sequence[str],
        detector: Detector,
        outputs: DetectOutputs,
        *,
        limit: Verdict | float | None,
        fresh: bool,
        quiet: bool,
    ) -> None:
        self._names, self._detector, self._outputs = names, detector, outputs
        self._limit: Verdict | float | None = limit
        self._fresh, self._quiet = fresh, quiet

    def __call__(self, words: Sequence[str]) -> int:
        """Run.

        Args:
            words: What was named on the command line: it tells one batch from another.

        Returns:
            The exit code: that of the worst video.

        Raises:
            OutputError: A result cannot be written.
        """
        if len(self._names) == 1:
            code, _ = self._measure_all(Outcomes())
            return code
        from synctool.measure.result_journal import result_journal

        settings = {**self._detector.decides, "pictures": self._outputs.wants_pictures}
        with result_journal(words, settings, fresh=self._fresh) as journal:
            outcomes = Outcomes(journal)
            self._tell_resumed(outcomes, journal)
            with self._told_when_stopped(outcomes, journal):
                code, written = self._measure_all(outcomes)
            if written:
                journal.remove()
            return code

    def _measure_all(self, outcomes: Outcomes) -> tuple[int, bool]:
        """Measure all videos; returns the exit code, and whether everything is written."""
        worst, written = EXIT_OK, True
        try:
            with progress_bar(quiet=self._quiet) as bar:
                for outcome in self._measured(outcomes, bar):
                    self._outputs.stream(outcome)
                    drawn = self._drawn(outcome, bar)
                    written = written and drawn == EXIT_OK
                    worst = max(worst, _code(outcome, self._limit), drawn, key=severity)
        finally:
            # Stopped work keeps what is done.
            if outcomes:
                self._outputs.all_done(outcomes, outcomes.shots)
        return worst, written

    def _measured(self, outcomes: Outcomes, bar: Progress) -> Iterator[Outcome]:
        """One video after the other; one that fails becomes a failure and the rest goes on."""
        for number, name in enumerate(self._names, 1):
            key = outcomes.key(name)
            outcome: Outcome | None = outcomes.finished(key)
            if outcome is not None:
                outcomes.add(outcome, key, noted=True)
                yield outcome
                continue
            shots: list[Shot] = []
            count = f"{number}/{len(self._names)} " if len(self._names) > 1 else ""
            with task(bar, f"{count}{short_name(name)}") as show:
                outcome = self._one(name, show, shots, bar)
            outcomes.add(outcome, key, shots=shots)
            yield outcome

    def _one(
        self, name: str, show: Callable[[Any], None], shots: list[Shot], bar: Progress
    ) -> Outcome:
        """Measure a video, and put its small pictures into a list if they are wanted."""
        from synctool.report.outcome import Failure

        more: dict[str, Any] = {}
        if self._outputs.wants_pictures:
            from synctool.report.html.shots import shots as encoded

            more["on_thumbnails"] = lambda thumbnails: shots.extend(encoded(thumbnails))
        try:
            return self._detector.detect(name, on_progress=show, **more)
        except Exception as error:  # also a bug with one video must not cost the others
            if len(self._names) == 1 and not isinstance(error, SyncToolError):
                raise
            told = named(error, name)
            say(error, told, bar)
            return Failure.of(name, told)

    def _drawn(self, outcome: Outcome, bar: Progress) -> int:
        """Draw the plot of a video; one that cannot be written must not cost the other videos."""
        try:
            self._outputs.draw(outcome)
        except OutputError as error:
            return say(error, error, bar)
        return EXIT_OK

    def _tell_resumed(self, outcomes: Outcomes, journal: Journal[DetectResult]) -> None:
        if not len(journal) or self._quiet:
            return
        known = sum(outcomes.key(name) in journal for name in self._names)
        if known:
            typer.echo(
                f"An earlier run has measured {known} of {len(self._names)} videos; this one goes on "
                "from there (--fresh measures all).",
                err=True,
            )

    @contextmanager
    def _told_when_stopped(
        self, outcomes: Outcomes, journal: Journal[DetectResult]
    ) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            if journal.lasting and len(journal):
                typer.echo(
                    f"Stopped after {len(outcomes)} of {len(self._names)} videos. The same command "
                    "goes on from there.",
                    err=True,
                )
            raise


@contextmanager
def task(bar: Progress, title: str) -> Iterator[Callable[[Any], None]]:
    """A line of the progress bar for one video, and what moves it."""
    from synctool.types import VIDEO_FPS

    made = bar.add_task(title, total=None, speed="")
    started = time.monotonic()

    def show(progress: Any) -> None:
        pace = progress.ticks_done / VIDEO_FPS / max(time.monotonic() - started, 1e-3)
        bar.update(
            made,
            completed=progress.ticks_done,
            total=progress.ticks_total,
            speed=f"{pace:.1f}x" if progress.ticks_done else "",
        )

    try:
        yield show
    finally:
        bar.remove_task(made)


def named(error: Exception, video: str) -> SyncToolError:
    """The error with the name of its video, and what to do about a bug."""
    from synctool.report.text import printable
    from synctool.report.wording import named_cause

    if not isinstance(error, SyncToolError):
        return SyncToolError(f"{printable(video)}: {described(error)}", remedy=_BUG)
    told = SyncToolError(named_cause(error.cause, video), remedy=error.remedy)
    told.exit_code = error.exit_code
    return told


def say(error: Exception, told: SyncToolError, bar: Progress) -> int:
    """Show an error above the progress bar, and return the exit code."""
    bar.stop()  # or the panel would tear the line of the bar
    if logging.getLogger("synctool").isEnabledFor(logging.DEBUG):
        show_traceback(error)
    code = show_error(told, debug=False)
    bar.start()
    return code


def short_name(name: str) -> str:
    from synctool.report.text import printable, shortened

    return shortened(printable(os.path.basename(name) or name), _LONGEST_SHOWN)


def _code(outcome: Outcome, limit: Verdict | float | None) -> int:
    from synctool.report.outcome import Failure
    from synctool.scoring.verdict import worst_ms

    if isinstance(outcome, Failure):
        return outcome.exit_code
    if outcome.verdict == "inconclusive":
        return EXIT_INCONCLUSIVE
    if isinstance(limit, float):
        return EXIT_OUT_OF_TOLERANCE if worst_ms(outcome) > limit else EXIT_OK
    failing = () if limit is None else VERDICTS[VERDICTS.index(limit) :]
    return EXIT_OUT_OF_TOLERANCE if outcome.verdict in failing else EXIT_OK


def severity(code: int) -> int:
    return _WORST_LAST.index(code) if code in _WORST_LAST else len(_WORST_LAST)
