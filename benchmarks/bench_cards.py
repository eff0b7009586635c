"""Score cards of ``synctool bench`` for models and commands that ought to do well, badly, and not at all.

    python benchmarks/bench_cards.py [--quick] [--cards FOLDER] [--subjects NAME ...] [--docs] [--json FILE]

Cards and journals stay in the folder, so that a stopped run goes on. With ``--docs`` it writes the table of
docs/bench.md, that of ``--quick`` or that of the whole bench.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oracle import save_random
from rich.console import Console
from tables import Table, published

from synctool.bench.card import Card
from synctool.bench.items import VERSION
from synctool.bench.run import BenchProgress, run_bench
from synctool.report.bench_card import figure
from synctool.report.json_out import write_json
from synctool.settings.bench import BenchSettings
from videos import ROOT, arguments

SCRIPT = "benchmarks/bench_cards.py"
PAGE = ROOT / "docs" / "bench.md"
SUBJECTS = ("fcn-cls", "graph-cls", "syncnet", "detect", "zero")
NAMES = {
    "fcn-cls": "`fcn-cls`",
    "graph-cls": "`graph-cls` (plugin)",
    "syncnet": "`syncnet`, random weights",
    "detect": "command: `synctool detect`",
    "zero": "command that always prints 0",
}
_PARTS = ("offsets", "short", "drift", "faces", "timing", "degraded", "foreign")


def main(words: Sequence[str] | None = None) -> int:
    """Make the cards, print the table, write the page and the figures."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="as for synctool bench")
    parser.add_argument("--cards", type=Path, help="keep cards and journals here")
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=SUBJECTS)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--docs", action="store_true", help="write its table of docs/bench.md")
    given = parser.parse_args(words)
    script = f"{SCRIPT} --quick" if given.quick else SCRIPT

    def rows() -> list[dict[str, Any]]:
        with tempfile.TemporaryDirectory() as scratch:
            folder = given.cards or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            return [_row(name, folder, given) for name in given.subjects]

    return published(given, rows, lambda found: table_of(found, given), page=PAGE, script=script)


def settings_of(subject: str, folder: Path, **more: Any) -> BenchSettings:
    """What tests a subject."""
    python = shlex.quote(sys.executable)
    if subject == "syncnet":
        weights = folder / "syncnet-random.safetensors"
        save_random(weights, seed=0, backbone="syncnet")
        return BenchSettings(backbone="syncnet", weights=weights, **more)
    if subject == "detect":
        command = f"{python} -m synctool detect {{video}} --quiet --json -"
        return BenchSettings(command=command, answer_key="offset_ms", **more)
    if subject == "zero":
        return BenchSettings(command=f'{python} -S -E -c "print(0)" {{video}}', **more)
    return BenchSettings(backbone=subject, **more)


def _row(subject: str, folder: Path, given: Any) -> dict[str, Any]:
    settings = settings_of(subject, folder, quick=given.quick, jobs=given.jobs)
    stem = f"{subject}{'-quick' if given.quick else ''}"
    notes = Console(stderr=True)

    def tell(progress: BenchProgress) -> None:
        if progress.done % 10 == 0:
            notes.print(f"{stem} {progress.done}/{progress.total}", style="dim", highlight=False)

    card = run_bench(settings, journal=folder / f"{stem}.jsonl", on_progress=tell)
    write_json([card], folder / f"{stem}.json", lines=False)
    return row_of(subject, card)


def row_of(subject: str, card: Card) -> dict[str, Any]:
    """What the table says of a card."""
    speed, ratio = (card.metric(name, "speed") for name in ("real_time", "decode_ratio"))
    row: dict[str, Any] = {"subject": subject, "score": figure(card.metric("score"))}
    for part in _PARTS:
        found = card.metric("right", part)
        row[part] = None if found is None else round(found.value, 4)
    for name, metric, group in (
        ("false_answers", "false_answers", "foreign"),
        ("error_ms", "mean_error_ms", "offsets"),
        ("windows_5", "windows@5", "offsets"),
        ("windows_15", "windows@15", "offsets"),
    ):
        found = card.metric(metric, group)
        row[name] = None if found is None else round(found.value, 4)
    row["failures"] = sum(card.failures.values())
    row["speed"] = None if speed is None else round(speed.value, 2)
    row["decode_ratio"] = None if ratio is None else round(ratio.value, 1)
    row["videos"] = len(card.answers)
    return row


def table_of(rows: list[dict[str, Any]], given: Any) -> Table:
    """A row for each subject."""
    quick = ", quick" if given.quick else ""
    table = Table(
        f"{VERSION}{quick}",
        [
            *("", "score", *_PARTS, "false answers", "mean error", "windows 5 / 15"),
            *("failed", "real time", "× decoding"),
        ],
        note=f"{rows[0]['videos']} videos. Parts: share right, %. Mean error and windows (5 and 15 frames) "
        "are those of the part offsets. Speeds are those of a busy machine.",
    )
    for row in rows:
        windows = "-"
        if row["windows_5"] is not None:
            windows = f"{row['windows_5']:.2f} / {row['windows_15']:.2f}"
        table.rows.append(
            [
                NAMES[row["subject"]],
                row["score"],
                *("-" if row[part] is None else f"{100 * row[part]:.0f}" for part in _PARTS),
                f"{100 * row['false_answers']:.0f} %",
                "-" if row["error_ms"] is None else f"{row['error_ms']:.0f} ms",
                windows,
                f"{row['failures']}",
                "-" if row["speed"] is None else f"{row['speed']:g}",
                "-" if row["decode_ratio"] is None else f"{row['decode_ratio']:g}",
            ]
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
