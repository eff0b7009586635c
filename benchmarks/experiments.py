"""Small training experiments on real videos, by the product's own code: all figures of docs/experiments.md.

    python benchmarks/experiments.py --processed DIR [--only collapse,early] [--out DIR] [--json OUT] [--docs]

collapse   a regression of the offset against the choice among candidates: same clips, same first weights
early      a run on a few clips of one person, judged on others: what early stopping keeps
transfer   a few clips of another collection, begun with nothing, a task without labels, or trained weights

DIR is a folder of synctool preprocess with the split.json of synctool pairs. Runs and figures are kept in
--out, so that a killed run goes on where it was; --docs writes them into the page. Two runs on one machine
give the same figures.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from experiment_parts import PARTS
from experiment_plots import PLOTS
from experiment_runs import Plan, Runs
from experiment_tables import TABLES
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from small_network import EMBEDDING, WIDTH, small, small_network

from synctool.errors import MissingError, SyncToolError
from synctool.files import write_text

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "experiments.md"
_INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for."""
    given = _arguments(words)
    logging.basicConfig(level=logging.ERROR)  # that most runs have nobody to validate with is meant
    show, notes = Console(width=160), Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    try:
        with small_network(), Progress(*columns, TimeRemainingColumn(), console=notes) as progress:
            runs = Runs(
                given.processed,
                given.out,
                _plan(given),
                progress=progress,
                split=given.split,
                constants=given.constants,
                workers=given.workers,
            )
            runs.claim()
            if given.docs:
                for name in given.only:
                    _section(given.page, name)  # missing markers are said before the work
            results = {}
            task = progress.add_task("experiments", total=len(given.only))
            for name in given.only:
                results[name] = _figures(name, runs)
                progress.advance(task)
        for name, figures in results.items():
            for table in TABLES[name](figures):
                table.show(show)
                if table.after:
                    show.print(table.after.replace("`", ""), highlight=False, markup=False)
            PLOTS[name](given.out / f"{name}.png", figures)
            if given.docs:
                _document(given, name, figures)
        if given.json:
            write_text(given.json, json.dumps(results, indent=1) + "\n")
    except SyncToolError as error:
        notes.print(f"error: {error}", style="red", highlight=False, markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        notes.print("stopped; the same command goes on from here")
        return _INTERRUPTED
    return 0


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    plan = Plan()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processed", type=Path, default=ROOT / "processed", help="of preprocess")
    parser.add_argument("--split", type=Path, help="split.json, unless it lies in --processed")
    parser.add_argument("--constants", type=Path, help="of benchmarks/source_constants.py")
    parser.add_argument("--out", type=Path, default=Path("runs/experiments"), help="kept here")
    parser.add_argument("--only", type=_parts, default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--source", default=plan.source, help="collection to learn on")
    parser.add_argument("--target", default=plan.target, help="collection to carry over to")
    for name, least, text in (
        ("steps", 1, "of a whole run"),
        ("batch", 2, "windows in a batch"),
        ("frames", 5, "length of a window"),
        ("seed", 0, "of everything"),
        ("few-clips", 1, "clips of one person, for early"),
        ("target-clips", 1, "clips of --target to learn on"),
        ("patience", 1, "epochs without a better score"),
    ):
        default = getattr(plan, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=_at_least(least), default=default, help=text)
    parser.add_argument("--learning-rate", type=float, default=plan.learning_rate)
    parser.add_argument("--augment", type=float, default=plan.augment, help="strength, 0 to 1")
    parser.add_argument(
        "--loss", choices=("mse", "l1"), default=plan.loss, help="of the regression"
    )
    parser.add_argument("--pretext", choices=("retrieval", "avc"), default=plan.pretext)
    parser.add_argument("--workers", type=_at_least(0), default=1, help="making batches")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--docs", action="store_true", help="write the page and its frames")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page")
    return parser.parse_args(words)


def _parts(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no such part: {unknown[0]} (there are {', '.join(PARTS)})"
        )
    return [name for name in PARTS if name in names]


def _at_least(least: int) -> Any:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


def _plan(given: argparse.Namespace) -> Plan:
    return Plan(**{f.name: getattr(given, f.name) for f in fields(Plan)})


def _figures(name: str, runs: Runs) -> dict[str, Any]:
    """The figures of a part: those that are kept, or new ones."""
    kept = runs.out / f"{name}.json"
    if kept.is_file():
        return json.loads(kept.read_text("utf-8"))
    figures = PARTS[name](runs)
    write_text(kept, json.dumps(figures, indent=1) + "\n")
    return json.loads(kept.read_text("utf-8"))


def _markers(name: str) -> tuple[str, str]:
    stem = f"<!-- written by benchmarks/experiments.py: {name}:"
    return f"{stem} begin -->", f"{stem} end -->"


def _section(page: Path, name: str) -> tuple[str, str]:
    """What stands before and behind a part's place on the page, its markers included.

    Raises:
        MissingError: There is no such place.
    """
    begin, end = _markers(name)
    text = page.read_text("utf-8") if page.is_file() else ""
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise MissingError(
            f"{page} has no place for {name}",
            remedy=f"Put these two lines where its figures shall stand:\n{begin}\n{end}",
        )
    return text[: text.index(begin)] + begin, text[text.index(end) :]


def _document(given: argparse.Namespace, name: str, figures: dict[str, Any]) -> None:
    before, after = _section(given.page, name)
    plot = given.page.with_name(f"experiments-{name}.png")
    shutil.copyfile(given.out / f"{name}.png", plot)
    plan, usual = _plan(given), Plan()
    words = [
        f"--{f.name.replace('_', '-')} {getattr(plan, f.name)}"
        for f in fields(Plan)
        if getattr(plan, f.name) != getattr(usual, f.name)
    ]
    words += ["--constants constants.json"] if given.constants else []
    command = " ".join(
        ["python benchmarks/experiments.py --processed PROCESSED --only", name, *words, "--docs"]
    )
    size = sum(p.numel() for p in small().parameters())
    head = (
        f"Made by `{command}`: {plan.steps} steps of {plan.batch} windows of {plan.frames} frames a "
        f"run, networks of width {WIDTH} and embedding {EMBEDDING} ({size / 1000:.0f} thousand weights)."
    )
    tables = "\n".join(table.markdown() for table in TABLES[name](figures)).strip()
    image = f"![{name}]({plot.name})"
    write_text(given.page, "\n\n".join([before, head, tables, image, after]))


if __name__ == "__main__":
    sys.exit(main())
