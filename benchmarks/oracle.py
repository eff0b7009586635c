"""Whether the judge is fair: a network that knows every answer, and networks that know none.

    python benchmarks/oracle.py [--films 20] [--seconds 8] [--networks 3] [--docs] [--json OUT]

All go the way of every model: videos on the disk, ``compare``, its trials, the metrics. The videos are made
up (``coded_videos.py``) and have random offsets. ``code-reader`` reads them by their code and must score 1,
or 0 where less is better. ``code-guesser`` and ``fcn-cls`` with random weights must score what chance does
(``chance.py``). Two runs give the same figures.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from chance import chance_levels
from coded_videos import (
    CODES,
    GUESSER,
    READER,
    coded_video,
    installed,
    save_guesser,
    save_reader,
)
from rich.console import Console
from safetensors.torch import save_file
from tables import Table, around_section, write_section

from synctool import __version__
from synctool.comparison.entries import video_entries
from synctool.comparison.run import run_trials
from synctool.errors import SyncToolError
from synctool.evaluation.metrics import METRICS, Metric, summarise
from synctool.networks.build import build
from synctool.settings.compare import CompareSettings
from synctool.types import VIDEO_FPS, Trial
from videos import ROOT

PAGE = ROOT / "docs" / "results.md"
SCRIPT = "benchmarks/oracle.py"
BROKEN = "fcn-cls"
LARGEST_OWN_FRAMES = 4
"""Videos' own offsets; with moves of up to 10 frames all lie within the searched range."""
SHIFTS = "-10,-7,-5,-2,3,5,8,10"
"""Whole frames: the reader's answers are exact there, and to a hundredth of a second elsewhere."""
LEAST_WRONG_FRAMES = 3
PIECES_S = 2.0


def main(words: Sequence[str] | None = None) -> int:
    """Make the videos, let all networks judge them, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--films", type=int, default=20, help="how many")
    parser.add_argument("--seconds", type=float, default=8.0, help="their length")
    parser.add_argument("--networks", type=int, default=3, help="how many of random weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--docs", action="store_true", help="write docs/results.md")
    given = parser.parse_args(words)
    torch.set_num_threads(1)
    show, notes = Console(width=160), Console(stderr=True)
    try:
        if given.docs:
            around_section(PAGE, script=SCRIPT)  # missing markers are said before the work
        with tempfile.TemporaryDirectory() as work, installed():
            figures, counts = fairness(
                Path(work),
                films=given.films,
                seconds=given.seconds,
                networks=given.networks,
                seed=given.seed,
            )
        table = fairness_table(figures, counts)
        table.show(show)
        if given.json:
            given.json.write_text(json.dumps(figures, indent=1) + "\n")
        if given.docs:
            command = f"python {SCRIPT} --films {given.films} --seconds {given.seconds:g}"
            command += f" --networks {given.networks} --seed {given.seed} --docs"
            made = f"Made by `{command}` with synctool {__version__}, torch {torch.__version__}."
            write_section(PAGE, f"{made}\n\n{table.markdown()}", script=SCRIPT)
    except SyncToolError as error:
        notes.print(f"error: {error}", style="red", highlight=False, markup=False)
        return error.exit_code
    return 0


def fairness(
    work: Path,
    *,
    films: int,
    seconds: float,
    networks: int,
    seed: int = 0,
    shifts: str = SHIFTS,
    small: bool = False,
) -> tuple[dict[str, dict[str, Any]], str]:
    """Every metric of the three kinds of networks, and what chance gives.

    Must run inside ``installed()``.

    Args:
        work: An empty folder.
        videos: How many videos; each counts as a person.
        seconds: Their length.
        networks: How many networks of each kind that knows nothing.
        seed: Seed of videos, weights and exchanges.
        shifts: Moves of their audio, as ``compare`` takes them.
        small: Let ``fcn-cls`` be small, for tests.

    Returns:
        By name of the metric, then of the backbone: ``value``, ``low``, ``high`` and ``chance``, None where
        there is none, and ``units`` and ``count`` as of ``Metric``; and how much it is of, in words.

    Raises:
        ValueError: So many frames cannot be made.
    """
    rng = np.random.default_rng(seed)
    own = rng.integers(-LARGEST_OWN_FRAMES, LARGEST_OWN_FRAMES + 1, films).tolist()
    paths = _write_videos(work, own, round(seconds * VIDEO_FPS))
    backbones = [f"{READER}={save_reader(work / 'reader.safetensors')}"]
    for i in range(networks):
        guesser, broken = (work / f"{name}-{i}.safetensors" for name in (GUESSER, BROKEN))
        weights_seed = 1000 * (seed + 1) + i
        save_guesser(guesser, seed=weights_seed)
        save_random(broken, seed=weights_seed, small=small)
        backbones += [f"{GUESSER}={guesser}", f"{BROKEN}={broken}"]
    settings = CompareSettings(
        backbones=tuple(backbones),
        shift=shifts,
        pieces=PIECES_S,
        detector="whole",
        device="cpu",
        seed=seed,
    )
    trials = _compared(paths, own, settings)
    without = replace(settings, backbones=settings.backbones[1:], pieces=0.0)
    mislabelled = _compared(paths, _others(own, rng), without)
    found: dict[str, dict[str, Any]] = {name: {} for name in METRICS}
    for backbone in (READER, GUESSER, BROKEN):
        here = _pooled(trials, backbone)
        wrong = _pooled(mislabelled, backbone)
        levels = {} if backbone == READER else chance_levels(here, wrong, seed=seed)
        for metric in summarise(here):
            if metric.defined and METRICS[metric.name].family != "cost":
                level = levels.get(metric.name)
                found[metric.name][backbone] = {**_plain(metric), "chance": level}
    counts = (
        f"{films} made-up videos of {seconds:g} s, {networks} networks of each kind that knows nothing, "
        f"{len(trials)} trials"
    )
    return {name: of for name, of in found.items() if of}, counts


def save_random(path: Path, *, seed: int, small: bool = False, backbone: str = BROKEN) -> None:
    """Weights of a network as it is before any training."""
    spec, _ = build(backbone)
    options = dict(spec.small) if small else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, network = build(backbone, **options)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, path, {"backbone": backbone, "options": json.dumps(options)})


def fairness_table(figures: dict[str, dict[str, Any]], counts: str) -> Table:
    """The figures as a table."""
    columns = ["", f"`{READER}`", f"`{GUESSER}`", "chance", f"`{BROKEN}`, random weights", "chance"]
    table = Table(
        "A network that knows every answer, and two kinds that know none",
        columns,
        note=f"{counts}: whole videos, as they are and with their audio moved, and pieces of "
        f"{PIECES_S:g} s. `{READER}` reads the code that video and audio carry, `{GUESSER}` takes it for "
        "random numbers. Chance is what these answers score when they are exchanged among the videos, "
        "for windows what the same networks score against other videos' labels. Guesses that favour no "
        f"candidate have {3 / 31:.3f} of windows right, and {2 / 31:.3f} of videos, whose answers are "
        "finer than a frame. A dash: chance says nothing, or there is nothing to be measured. To follow a "
        "move is no evidence: a wrong match moves along with the audio. 95% intervals by bootstrap over "
        "videos.",
    )
    for name, of in figures.items():
        spec = METRICS[name]
        unit = f", {spec.unit}" if spec.unit not in ("", "share") else ""
        cells = [_shown(of.get(READER))]
        for backbone in (GUESSER, BROKEN):
            level = of.get(backbone, {}).get("chance")
            cells += [_shown(of.get(backbone)), "-" if level is None else _number(level)]
        table.rows.append([f"{spec.title}{unit}", *cells])
    return table


def _write_videos(work: Path, own: Sequence[int], frames: int) -> list[Path]:
    if len(own) * frames > CODES:
        raise ValueError(f"{len(own)} videos of {frames} frames are more than {CODES} frames")
    return [
        coded_video(
            work / f"video-{i:02d}.mkv", first=i * frames, frames=frames, ahead_frames=ahead
        )
        for i, ahead in enumerate(own)
    ]


def _compared(
    paths: Sequence[Path], offsets: Sequence[int], settings: CompareSettings
) -> list[Trial]:
    """Trials on videos, each said to have an offset; of the pieces nothing is said, as is usual."""
    labels = paths[0].with_name("labels.csv")
    with labels.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "offset_frames", "person"))
        rows.writerows((path.name, n, path.stem) for path, n in zip(paths, offsets))
    entries = video_entries([str(path) for path in paths], labels=labels)
    return [_without_truth(trial) for trial in run_trials(entries, settings)]


def _without_truth(trial: Trial) -> Trial:
    if trial.condition.kind != "piece":
        return trial
    label = replace(trial.label, offset_frames=None)
    return replace(trial, truth_frames=None, label=label, windows={})


def _others(offsets: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Each video with the offset of another, some frames off its own where that can be had."""
    best = max(
        (rng.permutation(len(offsets)).tolist() for _ in range(1000)),
        key=lambda order: sum(
            abs(offsets[i] - offsets[j]) >= LEAST_WRONG_FRAMES for i, j in enumerate(order)
        ),
    )
    return [offsets[j] for j in best]


def _pooled(trials: Sequence[Trial], backbone: str) -> list[Trial]:
    """Trials of all networks of a kind as if of one; a video is another one for each of them."""
    return [
        replace(
            trial,
            film=f"{trial.film} {trial.weights}",
            weights="",
            label=replace(trial.label, person=f"{trial.label.person} {trial.weights}"),
        )
        for trial in trials
        if trial.backbone == backbone
    ]


def _plain(metric: Metric) -> dict[str, Any]:
    ends = {"low": metric.low, "high": metric.high}
    known = {name: None if math.isnan(end) else end for name, end in ends.items()}
    return {"value": metric.value, **known, "units": metric.units, "count": metric.count}


def _shown(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    text = _number(found["value"])
    if found["low"] is None:
        return text
    return f"{text} [{_number(found['low'])}, {_number(found['high'])}]"


def _number(value: float) -> str:
    if abs(value) < 0.0005:
        value = 0.0  # without a minus sign
    return f"{value:.0f}" if abs(value) >= 20 else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
