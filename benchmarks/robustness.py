"""How well the default network holds out when videos get worse, perturbation by perturbation.

The first seconds of the known clips, reduced to a common size, go through ``synctool.compare`` under
every degradation. Few of their offsets are published: the network is held against its own answer to
the video as it is.

    python benchmarks/robustness.py [--perturb all] [--levels 1 3 5] [--seconds 8] [--jobs 2]
                                    [--docs] [--json FILE]

With ``--docs`` it writes the table of docs/robustness.md and docs/robustness.png.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from tables import Table, around_section, write_section

import synctool
from synctool.comparison.degradations import DEGRADATIONS, parse_degradations
from synctool.comparison.run import CompareProgress, Comparison
from synctool.errors import MediaError, MissingError, SyncToolError
from synctool.evaluation.metrics import Metric
from synctool.media.frame_reader import Planes
from synctool.media.frames import Frame
from synctool.media.rewrite import rewrite
from synctool.report.plots import metric_charts, write_charts
from synctool.types import AUDIO_HZ
from videos import ROOT, arguments, shared

SCRIPT = "benchmarks/robustness.py"
PAGE = ROOT / "docs" / "robustness.md"
CLIPS = ("example.avi", "demo1_video.mp4", "demo2_video.mp4", "demo3_video.mp4")
WINDOWS, ANSWERS, SHOWN = "accuracy_1_frame@15", "accuracy_1", "inconclusive_rate"


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the page and the figures."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, default=shared("clips"), help="where they are")
    parser.add_argument("--perturb", default="all", help="as for synctool compare")
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 3, 5], help="1 to 5")
    parser.add_argument("--seconds", type=float, default=8.0, help="length taken of each clip")
    parser.add_argument("--side", type=int, default=640, help="longest side of the frames, px")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--docs", action="store_true", help="write docs/robustness.md and .png")
    given = parser.parse_args(words)
    show, notes = Console(width=160), Console(stderr=True)
    started = time.monotonic()
    try:
        if given.docs:
            around_section(PAGE, script=SCRIPT)  # missing markers are said before the work
        wanted = [pair for pair in parse_degradations(given.perturb) if pair[1] in given.levels]
        if not wanted:
            parser.error("none of --perturb is of one of --levels")
        with tempfile.TemporaryDirectory() as work:
            videos = [
                prepared(video, Path(work), given.seconds, given.side)
                for video in known_clips(given.clips)
            ]
            network = f"{given.backbone}={given.weights}" if given.weights else given.backbone
            found = synctool.compare(
                videos,
                backbones=[network],
                labels=own_answers(videos, network, Path(work)),
                perturb=",".join(f"{name}:{level}" for name, level in wanted),
                device="cpu",
                seed=given.seed,
                jobs=given.jobs,
                by=("perturbation",),
                on_progress=_telling(notes),
            )
        table = robustness_table(found, wanted, given.seconds, given.side)
        table.show(show)
        notes.print(f"{time.monotonic() - started:.0f} s", style="dim", highlight=False)
        if given.json:
            given.json.write_text(json.dumps(figures(found), indent=1) + "\n")
        if given.docs:
            heading, charts = metric_charts(found.trials, found.metrics)["metrics-robustness"]
            write_charts(charts, PAGE.with_suffix(".png"), heading)
            write_section(PAGE, table.markdown(), script=SCRIPT)
    except SyncToolError as error:
        notes.print(f"error: {error}", style="red", highlight=False, markup=False)
        return error.exit_code
    return 0


def known_clips(folder: Path) -> list[Path]:
    """The clips that are there.

    Raises:
        MissingError: None of them.
    """
    found = [folder / name for name in CLIPS if (folder / name).is_file()]
    if not found:
        raise MissingError(
            f"no clips: {folder} has none of {', '.join(CLIPS)}",
            remedy="Give their folder with --clips, or set SYNCTOOL_CLIPS.",
        )
    return found


def prepared(video: Path, folder: Path, seconds: float, side_px: int) -> Path:
    """The beginning of a video, at most so large, nearly without loss."""

    def beginning(frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if frame.time_s < seconds:
                yield frame.changed(lambda planes: _reduced(planes, side_px))

    def first(audio: np.ndarray) -> np.ndarray:
        return audio[: round(seconds * AUDIO_HZ)]

    target = folder / f"{video.stem}.mkv"
    rewrite(video, target, frames=beginning, audio=first)
    return target


def own_answers(videos: Sequence[Path], network: str, folder: Path) -> Path:
    """A file of labels: what the network says of the videos undisturbed."""
    plain = synctool.compare(videos, backbones=[network], device="cpu")
    path = folder / "truth.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "offset_frames", "person"])
        for trial in plain.trials:
            if trial.offset_frames is None:
                raise MediaError(
                    f"{Path(trial.film).name} cannot be measured as it is: {trial.reason or trial.error}",
                    remedy="Take more of it with --seconds, or other clips with --clips.",
                )
            table.writerow([trial.film, repr(trial.offset_frames), Path(trial.film).stem])
    return path


def robustness_table(
    found: Comparison, wanted: Sequence[tuple[str, int]], seconds: float, side_px: int
) -> Table:
    """A row for each degradation, a column for each level."""
    levels = sorted({level for _, level in wanted})
    plain = _cell(found.metrics, "perturbation=none level=0")
    videos = list(dict.fromkeys(trial.film for trial in found.trials))
    model = found.trials[0]
    table = Table(
        f"`{model.backbone}`, {len(videos)} clips of {seconds:g} s",
        ["perturbation", "unit", *(f"level {level}" for level in levels)],
        note=f"Each cell: the level's value: share of windows of 15 frames within a frame of the truth / "
        f"share of videos whose best match is / share answered. Undisturbed: {plain}. The truth of a "
        f"video is the network's best match with it undisturbed. Frames of at most {side_px} px. Weights: "
        f"`{model.weights}`. So few videos tell which perturbations hurt, and not by how much.",
        after="![Robustness by perturbation](robustness.png)",
    )
    for name in dict.fromkeys(name for name, _ in wanted):
        row = DEGRADATIONS[name]
        cells = [
            f"{row.value(level):g}: {_cell(found.metrics, f'perturbation={name} level={level}')}"
            if (name, level) in wanted
            else "-"
            for level in levels
        ]
        table.rows.append([f"`{name}`", row.unit, *cells])
    failed = dict.fromkeys(
        f"{Path(t.film).stem}, {t.condition.perturbation} {t.condition.level}: {t.error}"
        for t in found.trials
        if t.error
    )
    if failed:
        table.note += f" Could not be measured: {'; '.join(failed)}."
    return table


def figures(found: Comparison) -> list[dict[str, object]]:
    """All that was measured, for a machine."""
    return [
        {"group": m.group, "name": m.name, "value": m.value, "count": m.count}
        for m in found.metrics
        if m.name in (WINDOWS, ANSWERS, SHOWN) and m.group.startswith("perturbation=") and m.defined
    ]


def _cell(metrics: Sequence[Metric], group: str) -> str:
    values = {m.name: m.value for m in metrics if m.group == group and m.defined}
    shown = 1 - values[SHOWN] if SHOWN in values else None
    parts = (values.get(WINDOWS), values.get(ANSWERS), shown)
    return " / ".join("-" if part is None else f"{part:.2f}" for part in parts)


def _reduced(planes: Planes, side_px: int) -> Planes:
    height, width = planes[0].shape
    share = side_px / max(height, width)
    if share >= 1:
        return planes
    half = (round(width * share / 2), round(height * share / 2))
    sizes = ((2 * half[0], 2 * half[1]), half, half)
    return tuple(
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane, size in zip(planes, sizes)
    )


def _telling(notes: Console) -> Callable[[CompareProgress], None]:
    """Says now and then how far it is."""
    told = time.monotonic()

    def tell(progress: CompareProgress) -> None:
        nonlocal told
        if progress.step and time.monotonic() - told > 15:
            told = time.monotonic()
            notes.print(
                f"{Path(progress.video).stem}: {progress.step}", style="dim", highlight=False
            )

    return tell


if __name__ == "__main__":
    sys.exit(main())
