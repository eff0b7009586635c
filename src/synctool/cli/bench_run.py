"""The work of ``synctool bench``: run it with a bar, show and write the card; or show two cards."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from synctool.cli.outputs import Outputs
from synctool.cli.progress import progress_bar
from synctool.errors import no_effect

if TYPE_CHECKING:
    from synctool.bench.run import BenchProgress
    from synctool.settings.bench import BenchSettings

JSON, HTML, JOURNAL = "--json", "--html", "--journal"
_STOPPED = {
    True: "Stopped. Run the same command again to go on.",
    False: "Stopped. With --journal FILE a run can go on later.",
}
"""After Ctrl-C, by whether there is a journal."""


class BenchRun:
    """Runs the bench and writes what was asked for.

    Args:
        settings: What is tested, and by what.
        targets: ``--json``, ``--html`` and ``--journal`` -> path, None for what is not wanted.
        command: The words of the command, for the page.
        quiet: Whether to print errors only.
    """

    def __init__(
        self,
        settings: BenchSettings,
        targets: Mapping[str, str | None],
        *,
        command: Sequence[str],
        quiet: bool,
    ) -> None:
        self._settings, self._command, self._quiet = settings, command, quiet
        kept = [str(path) for path in (settings.weights, settings.constants) if path is not None]
        self._outputs = Outputs(targets, plot=None, one=True, kept=kept, quiet=quiet)

    def __call__(self) -> None:
        """Run.

        Raises:
            SyncToolError: See ``run_bench``; or a result cannot be written.
        """
        self._outputs.check()
        from synctool.bench.run import run_bench
        from synctool.report import bench_card, json_out

        journal = self._outputs.target(JOURNAL)
        try:
            with progress_bar(quiet=self._quiet) as bar:
                task = bar.add_task("bench", total=None, speed="")

                def tell(progress: BenchProgress) -> None:
                    bar.update(
                        task,
                        completed=progress.done,
                        total=progress.total,
                        description=f"{progress.done}/{progress.total} {progress.part}".rstrip(),
                        speed=_told(progress),
                    )

                card = run_bench(self._settings, journal=journal, on_progress=tell)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(_STOPPED[journal is not None]) from stop
        if self._outputs.for_people:
            bench_card.print_card(card)
        if (target := self._outputs.target(JSON)) is not None:
            json_out.write_json([card], target, lines=False)
        if (target := self._outputs.target(HTML)) is not None:
            from synctool.report.html.bench import bench_page
            from synctool.report.html.pages import write_html

            write_html(bench_page(card, command=shlex.join(self._command)), target)


def compare_files(
    first: str,
    second: str,
    targets: Mapping[str, str | None],
    *,
    asked: Collection[str],
    command: Sequence[str],
    quiet: bool,
) -> None:
    """Show two score cards beside each other.

    Args:
        first: A file that ``--json`` wrote.
        second: Another.
        targets: See ``BenchRun``; only ``--html`` can be written.
        asked: Names of settings that were given.
        command: The words of the command, for the page.
        quiet: Whether to print errors only.

    Raises:
        UsageError: The cards cannot be compared, or something else was asked for with it.
        MissingError: There is no such file.
        OutputError: The page cannot be written.
    """
    idle = [f"--{name.replace('_', '-')}" for name in asked]
    idle += [option for option in (JSON, JOURNAL) if targets[option] is not None]
    if idle:
        raise no_effect(idle[0], "with --compare")
    outputs = Outputs(targets, plot=None, one=True, kept=[first, second], quiet=quiet)
    outputs.check()
    from synctool.bench.card import read_card
    from synctool.bench.comparing import compare_cards
    from synctool.report import bench_card

    compared = compare_cards(read_card(first), read_card(second))
    if outputs.for_people:
        bench_card.print_compared(compared)
    if (target := outputs.target(HTML)) is not None:
        from synctool.report.html.bench import compared_page
        from synctool.report.html.pages import write_html

        write_html(compared_page(compared, command=shlex.join(command)), target)


def _told(progress: BenchProgress) -> str:
    wrong = f"{progress.wrong} wrong" if progress.wrong else ""
    failed = f"{progress.failed} failed" if progress.failed else ""
    return ", ".join(filter(None, [wrong, failed]))
