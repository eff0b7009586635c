"""The work of ``synctool fix``: one video after the other, one that fails never stops the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctool.cli.outputs import Outputs
from synctool.cli.progress import progress_bar
from synctool.cli.stopping import terminated_by_signal
from synctool.cli.video_bars import VideoBars
from synctool.cli.video_errors import named, say, severity
from synctool.errors import EXIT_OK, SyncToolError, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress

    from synctool.measure.detect import Detector
    from synctool.report.repairs import FixOutcome
    from synctool.settings.fix import FixSettings
    from synctool.types import DetectResult

JSON = "--json"


class Targets:
    """The file of every repaired video.

    Args:
        out: What ``--out`` says.
        names: The videos.
        one: Whether the user named a single one: then ``out`` is a file, unless it is a folder that is
            there or ends in a slash.
        given: What the user named: a video of a folder keeps its place below that folder.

    Raises:
        UsageError: There are several videos, and ``out`` is a file.
        OutputError: The folder cannot be made.
    """

    def __init__(
        self, out: str, names: Sequence[str], *, one: bool, dry_run: bool, given: Sequence[str] = ()
    ) -> None:
        self._dry_run = dry_run
        self._below = [name for name in given if os.path.isdir(name)]
        ends_so = out.endswith(tuple(filter(None, (os.sep, os.altsep))))
        self._folder = Path(out) if not one or ends_so or os.path.isdir(out) else None
        self._file, self._taken = out, set[str]()
        if self._folder is None:
            return
        if os.path.isfile(out):
            raise UsageError(
                f"{out} is a file, and several videos need a folder",
                remedy="Give the name of a folder.",
            )
        if not dry_run:
            from synctool.files import make_folder

            make_folder(self._folder)

    def check(self, name: str, *, overwrite: bool) -> None:
        """See, before any work, whether the only video can be repaired to its place.

        Raises:
            SyncToolError: See ``synctool.repairing.run.check_target``.
        """
        from synctool.repairing.run import check_target

        check_target(name, self._file_of(name), overwrite=overwrite)

    def is_there(self, name: str) -> bool:
        """Whether there is a file for a video already."""
        return os.path.lexists(self._file_of(name))

    def _file_of(self, name: str) -> str | Path:
        return self._file if self._folder is None else self._folder / self._place(name)

    def of(self, name: str) -> str:
        """The file for a video.

        Raises:
            UsageError: Another video has taken its name.
            OutputError: Its folder cannot be made.
        """
        if self._folder is None:
            return self._file
        file = self._folder / self._place(name)
        if str(file).casefold() in self._taken:
            raise UsageError(
                f"another video of this run goes to {file}, too",
                remedy="Repair it by itself, or into another folder.",
            )
        self._taken.add(str(file).casefold())
        if not self._dry_run and file.parent != self._folder:
            from synctool.files import make_folder

            make_folder(file.parent)
        return str(file)

    def _place(self, name: str) -> str:
        """Where a video lies below the folder that the user named; its bare name where none was.

        What cannot be written in its own container becomes Matroska.
        """
        from synctool.repairing.containers import SUFFIXES

        below = (os.path.relpath(name, folder) for folder in self._below)
        inside = (place for place in below if not place.startswith(os.pardir))
        place = next(inside, os.path.basename(name))
        stem, ending = os.path.splitext(place)
        return place if ending.lower() in SUFFIXES else f"{stem}.mkv"


class Repairs:
    """Repairs one video after the other; one that fails becomes a failure.

    Args:
        targets: Where the repaired ones go.
        settings: How to measure, and what to move.
        names: All videos.
        detector: Gives what measures; asked only if something is measured.
        options: Keywords of ``synctool.fix``.
    """

    def __init__(
        self,
        targets: Targets,
        settings: FixSettings,
        names: Sequence[str],
        detector: Callable[[], Detector],
        options: dict[str, Any],
    ) -> None:
        self._targets, self._settings, self._names = targets, settings, names
        self._detector, self._options = detector, options

    def __call__(
        self, name: str, bar: Progress, bars: VideoBars, before: DetectResult | None = None
    ) -> FixOutcome:
        """Repair a video.

        Args:
            name: The video.
            bar: The progress bar.
            bars: Its lines.
            before: What was measured of it; None to measure it.
        """
        from synctool.repairing.fix import fix
        from synctool.report.outcome import Failure

        show = partial(bars.show, name)
        bars.begin(name)
        try:
            with terminated_by_signal(KeyboardInterrupt):  # or half a video would be left behind
                return fix(
                    name,
                    self._targets.of(name),
                    self._settings,
                    measure=lambda path: self._detector().detect(path, on_progress=show),
                    before=before,
                    **self._options,
                )
        except Exception as error:  # also a bug with one video must not cost the others
            if len(self._names) == 1 and not isinstance(error, SyncToolError):
                raise
            told = named(error, name)
            say(error, told, bar)
            return Failure.of(name, told)
        finally:
            bars.done(name)


class FixRun:
    """Repairs videos and writes what was asked for.

    Args:
        names: The videos.
        targets: Where the repaired ones go.
        outputs: Where the reports go.
        settings: How to measure, and what to move.
        one: Whether the user named a single video: one JSON object, else JSON Lines.
        quiet: Whether to print errors only.
        options: Keywords of ``synctool.fix``.
    """

    def __init__(
        self,
        names: Sequence[str],
        targets: Targets,
        outputs: Outputs,
        settings: FixSettings,
        *,
        one: bool,
        quiet: bool,
        options: dict[str, Any],
    ) -> None:
        self._names, self._targets, self._outputs = names, targets, outputs
        self._one, self._quiet, self._options = one, quiet, options
        self._settings = settings
        self._detector: Detector | None = None

    def __call__(self) -> int:
        """Run; returns the exit code, that of the worst video.

        Raises:
            OutputError: A report cannot be written.
        """
        from synctool.report import json_out
        from synctool.report.outcome import Failure
        from synctool.report.repairs import print_repair, print_repairs

        repairs = Repairs(self._targets, self._settings, self._names, self._loaded, self._options)
        outcomes: list[FixOutcome] = []
        try:
            with progress_bar(quiet=self._quiet) as bar:
                bars = VideoBars(bar, self._names)
                for name in self._names:
                    outcomes.append(repairs(name, bar, bars))
                    if not self._one:
                        line = json_out.to_json_line(outcomes[-1])
                        self._outputs.append(JSON, line.encode("utf-8"))
        except KeyboardInterrupt as stop:
            if self._one:
                raise
            told = (
                f"Stopped after {len(outcomes)} of {len(self._names)} videos; repaired files stay. "
                "With --skip-existing the same command goes on."
            )
            raise KeyboardInterrupt(told) from stop
        finally:
            self._outputs.close()
            if self._outputs.for_people and len(self._names) > 1 and outcomes:
                print_repairs(outcomes)
        only = outcomes[0]
        if self._outputs.for_people and len(outcomes) == 1 and not isinstance(only, Failure):
            print_repair(only)
        if self._one and (target := self._outputs.target(JSON)) is not None:
            json_out.send(target, json_out.to_json(only).encode("utf-8"))
        return max((outcome.exit_code for outcome in outcomes), key=severity, default=EXIT_OK)

    def _loaded(self) -> Detector:
        """The detector, which is loaded once, and only if something is measured."""
        from synctool.measure.detect import Detector

        self._detector = self._detector or Detector(self._settings.measuring)
        return self._detector
