"""The standing benchmark: all models in one table, on held-out people and on videos of held-out speakers.

    python benchmarks/accuracy.py --processed DIR [--constants FILE] [--backbones NAME=FILE ...]
                                  [--docs] [--json OUT]

Every model whose weights come with the package or an installed plugin takes part, and those given with
``--backbones``. Two sets go through ``compare``, as any video of a user does:

people   clips of a folder of synctool preprocess whose people are held out (split val), as they are and
         with their audio moved by random amounts, against their known offsets
videos    the folder of clips: pieces of 3 s, each with its audio moved by its own amount, which must agree
         with their video; and the whole video with its audio moved

The known offsets are those of ``--constants``, a JSON object by sample, person or source as ``synctool
train`` takes it; without it each clip gets the constant that the default network measures on the person's
other clips. Two runs give the same figures. Without the folders it says so and ends with 5.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from held_out import held_out
from literature.multiway import clip_constants
from rich.console import Console
from tables import Table, around_section, write_section

from synctool import __version__
from synctool.comparison.entries import Entry, dataset_entries, video_entries
from synctool.comparison.run import CompareProgress, run_trials
from synctool.errors import MissingError, SyncToolError
from synctool.evaluation.metrics import METRICS, Metric, summarise
from synctool.evaluation.model_names import model_names
from synctool.networks.load import load_model
from synctool.plugins import registry
from synctool.settings.compare import CompareSettings
from synctool.types import Trial
from videos import ROOT, shared

PAGE = ROOT / "docs" / "results.md"
SCRIPT = "benchmarks/accuracy.py"
PART = "val"
PEOPLE_SHIFTS = "random:4"
VIDEO_SHIFTS = "-10,-3,4,10"
PIECES_S = 3.0
CLIPS = ("example.avi", "demo1_video.mp4", "demo2_video.mp4", "demo3_video.mp4")
PEOPLE_ROWS = (
    *("accuracy_1_frame@5", "accuracy_1_frame@15", "accuracy_1", "median_ae_ms"),
    *("inconclusive_rate", "answered_accuracy_1", "roc_auc", "f1", "ece"),
)
VIDEO_ROWS = ("piece_consistency", "shift_accuracy_0", "shift_max_ms", "inconclusive_rate")
LEAST_CLIPS = 10
"""Collections of fewer clips have no row of their own."""
UNSTEADY = "cost"
"""The family of metrics that two runs do not share."""


@dataclass(frozen=True)
class Part:
    """One of the two sets and what came of it.

    Attributes:
        name: ``people`` or ``videos``.
        facts: What is in it, in words.
        metrics: Of every model, all together and by source; without times and memory.
        models: Name and checksum of the weights by model.
        failures: What could not be measured, in words.
        clips: How many by collection.
    """

    name: str
    facts: str
    metrics: list[Metric]
    models: dict[str, str]
    failures: list[str]
    clips: dict[str, int]


def main(words: Sequence[str] | None = None) -> int:
    """Measure both sets, print the tables, write the page and the figures."""
    given = _arguments(words)
    torch.set_num_threads(1)
    show, notes = Console(width=160), Console(stderr=True)
    try:
        if given.docs:
            around_section(given.page, script=SCRIPT)  # missing markers are said before the work
        people, videos = measured(given, notes)
        tables = [one_table(people, videos), source_table(people)]
        for table in tables:
            table.show(show)
        if given.json:
            figures = {"facts": facts(given), **{p.name: _plain(p) for p in (people, videos)}}
            given.json.write_text(json.dumps(figures, indent=1) + "\n")
        if given.docs:
            text = "\n".join([_head(given, people, videos), *(t.markdown() for t in tables)])
            write_section(given.page, text, script=SCRIPT)
    except SyncToolError as error:
        notes.print(f"error: {error}", style="red", highlight=False, markup=False)
        return error.exit_code
    return 0


def shipped() -> list[str]:
    """Models whose weights come with the package or with an installed plugin."""
    return [
        spec.full_name
        for spec in registry.backbones.all()
        if spec.role == "joint" and spec.weights and spec.weights.bundled
    ]


def measured(given: argparse.Namespace, notes: Console) -> tuple[Part, Part]:
    """Both sets through all models.

    Raises:
        SyncToolError: A folder, weights or their network are not here.
    """
    backbones = tuple(dict.fromkeys([*shipped(), *given.backbones]))
    videos = _videos(given.clips)
    with tempfile.TemporaryDirectory() as work:
        constants = given.constants or _own_constants(given, Path(work))
        clips = dataset_entries(
            given.processed,
            part=PART,
            split=given.split,
            constants=constants,
            limit=given.limit,
        )
        people = _part(
            "people",
            clips,
            CompareSettings(
                backbones=backbones,
                shift=PEOPLE_SHIFTS,
                device="cpu",
                seed=given.seed,
                jobs=given.jobs,
            ),
            notes,
        )
    held_out_speakers = _part(
        "videos",
        video_entries(videos),
        CompareSettings(
            backbones=backbones,
            shift=VIDEO_SHIFTS,
            pieces=PIECES_S,
            detector=given.detector,
            device="cpu",
            seed=given.seed,
            jobs=given.jobs,
        ),
        notes,
    )
    return people, held_out_speakers


def one_table(people: Part, videos: Part) -> Table:
    """All models, a column each."""
    table = Table("All models", ["", *(f"`{model}`" for model in people.models)])
    table.note = _note(people, videos)
    for part, names in ((people, PEOPLE_ROWS), (videos, VIDEO_ROWS)):
        for name in names:
            cells = [cell(part.metrics, model, name) for model in people.models]
            table.rows.append([f"{part.name}: {_titled(name)}", *cells])
    return table


def source_table(people: Part) -> Table:
    """The people by collection, a row each for every model."""
    groups = [f"source={name}" for name, clips in people.clips.items() if clips >= LEAST_CLIPS]
    table = Table(
        "The people by collection",
        ["collection", "model", *map(_titled, PEOPLE_ROWS)],
        note=f"Collections of {LEAST_CLIPS} clips or more. Intervals as above; a collection of fewer than "
        "five people has them over clips, which says nothing about other people.",
    )
    for group in groups:
        for model in people.models:
            cells = [cell(people.metrics, model, name, group) for name in PEOPLE_ROWS]
            table.rows.append([group.removeprefix("source="), f"`{model}`", *cells])
    return table


def cell(metrics: Sequence[Metric], model: str, name: str, group: str = "all") -> str:
    """A figure with its interval: ``0.88 [0.84, 0.92]``, or a dash where there is none."""
    found = [m for m in metrics if (m.backbone, m.name, m.group) == (model, name, group)]
    if not found or not found[0].defined:
        return "-"
    metric = found[0]
    digits = 0 if METRICS[name].unit == "ms" else 2
    text = f"{metric.value:.{digits}f}"
    if metric.low != metric.low:  # NaN: no interval
        return text
    return f"{text} [{metric.low:.{digits}f}, {metric.high:.{digits}f}]"


def facts(given: argparse.Namespace) -> dict[str, Any]:
    """What the figures were made with; no paths, so that they tell nothing of the machine."""
    return {
        "command": _command(given),
        "seed": given.seed,
        "synctool": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "constants": _checksum(given.constants),
    }


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbones", nargs="+", default=[], metavar="NAME=FILE")
    parser.add_argument("--processed", type=Path, default=ROOT / "processed", help="of preprocess")
    parser.add_argument("--split", type=Path, help="split.json, unless it lies in --processed")
    parser.add_argument("--constants", type=Path, help="known offsets of samples and people")
    parser.add_argument(
        "--clips", type=Path, default=shared("clips"), help="videos of held-out speakers"
    )
    parser.add_argument("--detector", default="centerface", help="of the faces in these videos")
    parser.add_argument("--limit", type=int, default=0, help="so many clips of a collection")
    parser.add_argument("--seed", type=int, default=0, help="of the moves")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--docs", action="store_true", help="write docs/results.md")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page that --docs writes")
    given = parser.parse_args(words)
    if given.docs and given.limit:
        parser.error("--docs is for a run of everything")
    return given


def _videos(folder: Path) -> list[str]:
    """The videos of held-out speakers: those that the folder is known for, or whatever videos it holds."""
    known = [folder / name for name in CLIPS if (folder / name).is_file()]
    found = known or sorted(p for p in folder.glob("*.*") if p.suffix in (".mkv", ".mp4", ".avi"))
    if not found:
        raise MissingError(
            f"no clips: {folder} holds no videos",
            remedy="Give their folder with --clips, or set SYNCTOOL_CLIPS.",
        )
    return [str(path) for path in found]


def _own_constants(given: argparse.Namespace, work: Path) -> Path:
    """Constants by sample, each by the default network and all clips but this one."""
    people = held_out(given.processed, given.split)
    model = load_model(device="cpu", runtime="torch")
    found = clip_constants(model.network, people.samples, spec=model.spec, person=people.person)
    path = work / "constants.json"
    path.write_text(json.dumps({key: value - model.zero_frames for key, value in found.items()}))
    return path


def _part(name: str, entries: list[Entry], settings: CompareSettings, notes: Console) -> Part:
    last = -1

    def tell(progress: CompareProgress) -> None:
        nonlocal last
        if progress.videos_done != last and progress.videos_done % 20 == 0:
            last = progress.videos_done
            text = f"{name}: {last} of {progress.videos_total} ..."
            notes.print(text, style="dim", highlight=False)

    trials = list(run_trials(entries, settings, on_progress=tell))
    metrics = [m for m in summarise(trials, by=("source",)) if METRICS[m.name].family != UNSTEADY]
    clips = Counter(entry.label.source for entry in entries)
    return Part(name, _contents(name, entries), metrics, _models(trials), _failures(trials), clips)


def _contents(name: str, entries: Sequence[Entry]) -> str:
    if name == "videos":
        return f"{len(entries)} videos"
    parts = []
    for source in sorted({entry.label.source for entry in entries}):
        own = [entry.label for entry in entries if entry.label.source == source]
        parts.append(f"{source}: {len(own)} clips of {len({x.person for x in own})} people")
    return "; ".join(parts)


def _models(trials: Sequence[Trial]) -> dict[str, str]:
    """Weights by name, named as the metrics are, in the order of the command."""
    found = model_names((trial.backbone, trial.weights) for trial in trials)
    return {name: weights for (_, weights), name in found.items()}


def _failures(trials: Sequence[Trial]) -> list[str]:
    """Why trials ended in an error, each reason once for each model."""
    counts: dict[tuple[str, str], int] = {}
    for trial in trials:
        if trial.error is not None:
            key = (trial.backbone, trial.error)
            counts[key] = counts.get(key, 0) + 1
    return [f"{model}: {count} trials: {error}" for (model, error), count in counts.items()]


def _titled(name: str) -> str:
    spec = METRICS[name]
    return f"{spec.title}, {spec.unit}" if spec.unit not in ("", "share") else spec.title


def _note(people: Part, videos: Part) -> str:
    weights = ", ".join(f"`{name}`: `{text}`" for name, text in people.models.items())
    failed = people.failures + videos.failures
    return " ".join(
        [
            f"Weights: {weights}. People never trained on: {people.facts}; whole clips, as they are and "
            "with their audio moved by 4 random amounts of up to 10 frames. Windows are those of which all "
            "31 candidates lie within the clip: clips of 30 frames have hardly any. Videos: pieces of "
            f"{PIECES_S:g} s of {videos.facts}, and their audio moved by {VIDEO_SHIFTS} frames. "
            f"{_drawn(people)} All are defined in [metrics.md](metrics.md).",
            *([f"Could not be measured: {'; '.join(failed)}."] if failed else []),
        ]
    )


def _drawn(people: Part) -> str:
    units = [m for m in people.metrics if m.name == "accuracy_1" and m.group == "all" and m.defined]
    if not units:
        return "No intervals."
    return f"95% intervals by bootstrap over {units[0].units} {units[0].drawn}."


def _head(given: argparse.Namespace, people: Part, videos: Part) -> str:
    known = facts(given)
    constants = known["constants"]
    origin = (
        f"from a file (sha256 `{constants[:16]}`)"
        if constants
        else "measured with the default network on each person's other clips"
    )
    return (
        f"Made by `{known['command']}` with synctool {known['synctool']}, torch {known['torch']}, Python "
        f"{known['python']}; seed {known['seed']}. The known offsets of the clips are {origin}.\n"
    )


def _command(given: argparse.Namespace) -> str:
    """The command, with names in place of this machine's paths."""
    words = [f"python {SCRIPT} --processed PROCESSED"]
    words += ["--split SPLIT"] * bool(given.split) + ["--constants CONSTANTS"] * bool(
        given.constants
    )
    if given.backbones:
        named = [text.partition("=") for text in given.backbones]
        words += ["--backbones", *(n + (f"={Path(f).name}" if f else "") for n, _, f in named)]
    words += [f"--detector {given.detector}"] * (given.detector != "centerface")
    words += [f"--limit {given.limit}"] * bool(given.limit)
    words += [f"--seed {given.seed}"] * bool(given.seed)
    return " ".join([*words, *(["--docs"] if given.docs else [])])


def _checksum(path: Path | None) -> str | None:
    return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


def _plain(part: Part) -> dict[str, Any]:
    return {
        "facts": part.facts,
        "models": part.models,
        "metrics": [metric.to_dict() for metric in part.metrics if metric.defined],
        "failures": part.failures,
    }


if __name__ == "__main__":
    sys.exit(main())
