"""The work of ``synctool demo``: the video is made, measured by one model or compared by several."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctool.cli.common import print_text
from synctool.cli.detect_outputs import DetectOutputs
from synctool.cli.outputs import Outputs
from synctool.cli.places import STANDARD_OUTPUT
from synctool.cli.progress import progress_bar
from synctool.settings.compare import CompareSettings
from synctool.settings.demo import DemoSettings
from synctool.settings.detect import DetectSettings
from synctool.types import FRAME_MS

if TYPE_CHECKING:
    from synctool.report.outcome import Outcome

SYNTHETIC = (
    "The face is drawn and the voice synthesized: figures on them say little about real faces."
)


@dataclass(frozen=True)
class Targets:
    """Paths, ``-`` for the standard output, None for what is not wanted.

    Attributes:
        json: The result.
        plot: The plot.
        html: The page.
    """

    json: str | None
    plot: str | None
    html: str | None


class DemoRun:
    """Makes the video, measures it, and shows what came of it.

    Args:
        settings: What the video shows, and what measures it.
        out: The video.
        targets: Where the results go.
        command: What was typed.
        open_page: Whether to open the page in the browser when run on a terminal.
        quiet: Whether to print nothing for people.
    """

    def __init__(
        self,
        settings: DemoSettings,
        out: str,
        targets: Targets,
        *,
        command: Sequence[str],
        open_page: bool,
        quiet: bool,
    ) -> None:
        self._settings, self._out, self._targets = settings, out, targets
        self._command, self._quiet = list(command), quiet
        page = targets.html
        at_terminal = sys.stdout.isatty() and not quiet
        self._open = open_page and at_terminal and page not in (None, STANDARD_OUTPUT)

    def __call__(self) -> int:
        """Run, and return the exit code.

        Raises:
            SyncToolError: The video cannot be made, measured, or a result cannot be written.
        """
        names = ",".join(self._settings.backbones)
        several = "," in names or "=" in names
        code = self._compare() if several else self._detect()
        if self._open and self._targets.html is not None:
            import webbrowser

            webbrowser.open(Path(self._targets.html).resolve().as_uri())
        return code

    def _render(self, outputs: Outputs) -> None:
        """Check where results go, and make the video."""
        from synctool.synthetic.demo import write_demo
        from synctool.synthetic.video import check_name

        check_name(self._out)
        outputs.check()

        with progress_bar(quiet=self._quiet) as bar:
            task = bar.add_task("Rendering", total=1.0, speed="")
            write_demo(
                self._settings,
                self._out,
                on_progress=lambda share: bar.update(task, completed=share),
            )

    def _detect(self) -> int:
        from synctool.cli.detect_run import BatchRun
        from synctool.report.outcome import Failure

        (backbone,) = self._settings.backbones
        settings = DetectSettings(backbone=backbone, **self._measuring())
        outputs = _KeptResult(
            [self._out],
            {
                "--json": self._targets.json,
                "--csv": None,
                "--html": self._targets.html,
                "--rttm": None,
            },
            settings,
            one=True,
            plot=self._targets.plot,
            command=self._command,
            quiet=self._quiet,
        )
        self._render(outputs)
        run = BatchRun([self._out], settings, outputs, limit=None, fresh=False, quiet=self._quiet)
        code = run([self._out])
        found = outputs.found
        if outputs.for_people and found is not None and not isinstance(found, Failure):
            frames = found.offset_frames
            self._tell_truth(None if frames is None else frames * FRAME_MS)
        return code

    def _compare(self) -> int:
        from synctool.cli.compare import measure_and_write
        from synctool.cli.compare_outputs import CompareOutputs
        from synctool.cli.compare_outputs import Targets as CompareTargets
        from synctool.comparison.entries import Entry
        from synctool.types import Label

        settings = CompareSettings(backbones=self._settings.backbones, **self._measuring())
        truth = Label(offset_frames=self._settings.offset_ms / FRAME_MS, source="synthetic")
        entries = [Entry(self._out, truth)]
        outputs = CompareOutputs(
            entries,
            CompareTargets(
                json=self._targets.json, plot=self._targets.plot, html=self._targets.html
            ),
            one=True,
            read=[],
            command=shlex.join(self._command),
            settings=settings,
            quiet=self._quiet,
        )
        self._render(outputs)
        measure_and_write(entries, settings, outputs, journal=None, quiet=self._quiet)
        if outputs.for_people:
            self._tell_truth()
        return outputs.exit_code

    def _measuring(self) -> dict[str, Any]:
        return {"device": self._settings.device, "max_offset": self._settings.max_offset}

    def _tell_truth(self, measured_ms: float | None = None) -> None:
        """Say what the offset is in truth, and that nothing of it is real."""
        from synctool.scoring.verdict import in_words

        true_ms = self._settings.offset_ms
        told = f"True offset: the audio is {in_words(true_ms)}"
        if measured_ms is not None:
            told += f"; the measured one is {abs(measured_ms - true_ms):.0f} ms off"
        print_text(f"\n{told}. {SYNTHETIC}")


class _KeptResult(DetectOutputs):
    """The outputs of ``detect``, which keep what was found."""

    found: Outcome | None = None

    def draw(self, outcome: Outcome) -> None:
        """See ``DetectOutputs.draw``."""
        self.found = outcome
        super().draw(outcome)
