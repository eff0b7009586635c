"""The work of ``synctool detect``: one video after the other or several at a time, results kept on disk."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import typer

from synctool.cli.fix_run import Repairs, Targets
from synctool.cli.outcomes import Outcomes
from synctool.cli.progress import progress_bar
from synctool.cli.video_bars import VideoBars
from synctool.cli.video_errors import named, say, severity
from synctool.cores import usable_cores
from synctool.errors import (
    EXIT_INCONCLUSIVE,
    EXIT_OK,
    EXIT_OUT_OF_TOLERANCE,
    OutputError,
    SyncToolError,
    UsageError,
    no_effect,
)
from synctool.media.locating import is_pipe
from synctool.settings.detect import VERDICTS

if TYPE_CHECKING:
    from rich.progress import Progress

    from synctool.cli.detect_outputs import DetectOutputs
    from synctool.journal import Journal
    from synctool.measure.detect import Detector
    from synctool.measure.video_work import Measured
    from synctool.report.html.shots import Shot
    from synctool.report.outcome import Outcome
    from synctool.report.repairs import FixOutcome
    from synctool.settings.detect import DetectSettings
    from synctool.types import DetectResult, Verdict

_KILLER = (
    "Run it alone, or use fewer --jobs; a damaged file that crashes a decoder is a bug: report it."
)


class BatchRun:
    """Measures videos and writes what was asked for.

    Args:
        names: The videos.
        settings: How to measure; ``jobs`` videos at a time.
        outputs: Where the results go.
        limit: Of ``--fail-over``: a verdict, milliseconds, or None.
        fresh: Whether to measure again what an earlier run has noted.
        quiet: Whether to print errors only.
        fixed: Where repaired videos go, None where none are wanted.
        overwrite: Whether repaired videos that are there are replaced.
        sets_wanted: Whether sets of offsets were asked for.
    """

    def __init__(
        self,
        names: Sequence[str],
        settings: DetectSettings,
        outputs: DetectOutputs,
        *,
        limit: Verdict | float | None,
        fresh: bool,
        quiet: bool,
        fixed: Targets | None = None,
        overwrite: bool = False,
        sets_wanted: bool = False,
    ) -> None:
        self._names, self._settings, self._outputs = names, settings, outputs
        self._jobs = min(settings.jobs or usable_cores(), len(names))
        self._detector: Detector | None = None
        self._limit: Verdict | float | None = limit
        self._fresh, self._quiet, self._sets_wanted = fresh, quiet, sets_wanted
        self._repairs: Repairs | None = None
        if fixed is not None:
            from synctool.settings.fix import FixSettings

            options = {"overwrite": overwrite}
            fix_settings = FixSettings.taken_from(settings)
            self._repairs = Repairs(fixed, fix_settings, names, self._loaded, options)

    def __call__(self, words: Sequence[str]) -> int:
        """Run.

        Args:
            words: What was named on the command line: it tells one batch from another.

        Returns:
            The exit code: that of the worst video.

        Raises:
            OutputError: A result cannot be written.
            UsageError: Sets of offsets were asked for, and the model makes none.
        """
        loaded = self._loaded()  # what is missing is told first
        if self._sets_wanted and not loaded.makes_sets:
            raise no_effect(
                "--set-coverage", f"on {loaded.weights}, which has no thresholds for sets"
            )
        if len(self._names) == 1:
            code, _ = self._measure_all(Outcomes())
            return code
        from synctool.measure.result_journal import result_journal

        decides = {**self._loaded().decides, "pictures": self._outputs.wants_thumbnails}
        if self._jobs > 1:
            self._detector = None  # workers have their own
        with result_journal(words, decides, fresh=self._fresh) as journal:
            outcomes = Outcomes(journal)
            self._tell_resumed(outcomes, journal)
            with self._told_when_stopped(outcomes, journal):
                code, written = self._measure_all(outcomes)
            if written:
                journal.remove()
            return code

    def _loaded(self) -> Detector:
        """What measures in this process."""
        from synctool.measure.detect import Detector

        self._detector = self._detector or Detector(self._settings)
        return self._detector

    def _measure_all(self, outcomes: Outcomes) -> tuple[int, bool]:
        """Measure all videos; returns the exit code, and whether everything is written."""
        worst, written = EXIT_OK, True
        repaired: list[FixOutcome] = []
        try:
            with (
                progress_bar(quiet=self._quiet) as bar,
                closing(self._measured(outcomes, bar)) as measured,
            ):
                for outcome in measured:
                    self._outputs.stream(outcome)
                    drawn = self._drawn(outcome, bar)
                    written = written and drawn == EXIT_OK
                    worst = max(worst, _code(outcome, self._limit), drawn, key=severity)
                    if (done := self._repaired(outcome, bar)) is not None:
                        repaired.append(done)
                        worst = max(worst, done.exit_code, key=severity)
        except BaseException:
            # Stopped work keeps what is done.
            if outcomes:
                self._outputs.all_done(outcomes, outcomes.shots, stopped=True)
            raise
        if outcomes:
            self._outputs.all_done(outcomes, outcomes.shots)
        if repaired:
            self._outputs.show_repairs(repaired)
        return worst, written

    def _repaired(self, outcome: Outcome, bar: Progress) -> FixOutcome | None:
        """Repair a video that was measured, where that is wanted."""
        from synctool.report.outcome import Failure

        if self._repairs is None or isinstance(outcome, Failure):
            return None
        return self._repairs(outcome.input, bar, VideoBars(bar, self._names), outcome)

    def _measured(self, outcomes: Outcomes, bar: Progress) -> Generator[Outcome]:
        """The outcomes in the order of the videos; one that fails becomes a failure and the rest goes on."""
        from synctool.report.outcome import Failure

        bars = VideoBars(bar, self._names)
        keys = {name: outcomes.key(name) for name in self._names}
        early: dict[str, Failure] = {}  # results that come before their turn are in the journal
        with closing(self._as_done(outcomes, keys, bars)) as as_done:
            for name in self._names:
                outcome: Outcome | None = early.pop(name, None) or outcomes.finished(keys[name])
                while outcome is None:
                    # There is always a next one, unless the journal was damaged meanwhile.
                    done, measured = next(as_done, None) or (name, self._here(name, bars))
                    found = self._judged(done, measured, outcomes, keys[done], bar)
                    bars.done(done)
                    if done == name:
                        outcome = found
                    elif isinstance(found, Failure):
                        early[done] = found
                outcomes.add(outcome, keys[name])
                yield outcome

    def _as_done(
        self, outcomes: Outcomes, keys: Mapping[str, str], bars: VideoBars
    ) -> Generator[tuple[str, Measured]]:
        """The videos that no earlier run has finished, as they are done."""
        waiting = [name for name in self._names if outcomes.finished(keys[name]) is None]
        # Workers have neither the standard input nor other pipes of this process.
        here = [name for name in waiting if self._jobs == 1 or is_pipe(name)]
        for name in here:
            yield name, self._here(name, bars)
        if others := [name for name in waiting if name not in here]:
            yield from self._by_workers(others, bars)

    def _here(self, name: str, bars: VideoBars) -> Measured:
        from synctool.measure.video_work import VideoWork

        work = VideoWork(self._loaded(), thumbnails=self._outputs.wants_thumbnails)
        return work(name, partial(bars.show, name))

    def _by_workers(self, names: Sequence[str], bars: VideoBars) -> Generator[tuple[str, Measured]]:
        from synctool.measure.video_work import Measured, video_worker
        from synctool.workers import Died, core_share, in_workers

        jobs = min(self._jobs, len(names))
        make = partial(
            video_worker, self._settings, self._outputs.wants_thumbnails, core_share(jobs)
        )
        for name, measured in in_workers(make, names, workers=jobs, on_told=bars.show):
            if isinstance(measured, Died):
                measured = Measured(SyncToolError(measured.reason, remedy=_KILLER))
            yield name, measured

    def _judged(
        self, name: str, measured: Measured, outcomes: Outcomes, key: str, bar: Progress
    ) -> Outcome:
        """Note a result, or tell why there is none."""
        from synctool.report.outcome import Failure

        if not isinstance(measured.outcome, Exception):
            outcomes.note(measured.outcome, key, shots=self._shots(measured))
            return measured.outcome
        error = measured.outcome
        if len(self._names) == 1 and not isinstance(error, SyncToolError):
            raise error
        told = named(error, name)
        say(error, told, bar)
        return Failure.of(name, told)

    def _shots(self, measured: Measured) -> Sequence[Shot]:
        if not measured.thumbnails:
            return ()
        from synctool.report.html.shots import shots

        return shots(measured.thumbnails)

    def _drawn(self, outcome: Outcome, bar: Progress) -> int:
        """Write the files of one video; one that cannot be written must not cost the other videos."""
        try:
            self._outputs.draw(outcome)
        except (OutputError, UsageError) as error:
            return say(error, error, bar)
        return EXIT_OK

    def _tell_resumed(self, outcomes: Outcomes, journal: Journal[DetectResult]) -> None:
        if not len(journal) or self._quiet:
            return
        if known := self._known(outcomes, journal):
            typer.echo(
                f"An earlier run has measured {known} of {len(self._names)} videos; this one goes on "
                "from there (--fresh measures all).",
                err=True,
            )

    def _known(self, outcomes: Outcomes, journal: Journal[DetectResult]) -> int:
        """How many results are in the journal."""
        return sum(outcomes.key(name) in journal for name in self._names)

    @contextmanager
    def _told_when_stopped(
        self, outcomes: Outcomes, journal: Journal[DetectResult]
    ) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt as stop:
            if journal.lasting and len(journal):
                raise KeyboardInterrupt(
                    f"Stopped after {self._known(outcomes, journal)} of {len(self._names)} videos. The "
                    "same command goes on from there."
                ) from stop
            raise


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
