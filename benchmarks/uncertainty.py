"""How often sets of offsets hold the truth, how accuracy rises with what is left out, what ensembles add.

Segments of 0.4 to 16 s of people whom no network was trained on, half of those within a clip degraded, each
with its own audio and with another's (``synctool.training.calibration``). Everything that is fitted
(confidence, sets, weights of models) is fitted on four fifths of the people and judged on the others, five
times.

    python benchmarks/uncertainty.py --processed PROCESSED --constants CONSTANTS --backgrounds BACKGROUNDS
        [--segments FILE.npz] [--passes 4 --every 6 --pass-segments FILE.npz] [--docs] [--json FILE]

``--segments`` keeps the score volumes, so that the figures can be made again in a minute. ``--passes``
measures Monte Carlo dropout on every sixth clip as well.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from known_volumes import measured, segment_arguments
from rich.console import Console
from selective_plot import Curve, more_area_lost, plot_curves, selective
from tables import Table, share, write_section

from synctool.evaluation.bootstrap import mean_interval
from synctool.networks.dropout_passes import dropout_passes
from synctool.networks.load import load_model
from synctool.training.calibration import (
    Example,
    KnownSegment,
    answers,
    at_prior,
    fitted,
)
from synctool.training.ensemble_weights import fit_weights, weighted
from synctool.types import FRAME_MS, VIDEO_FPS, OffsetSet
from videos import ROOT

SCRIPT = "benchmarks/uncertainty.py"
PAGE = ROOT / "docs" / "uncertainty.md"
PLOT = ROOT / "docs" / "selective.png"
LEVELS = (0.8, 0.9, 0.95)
FOLDS = 5
DURATIONS_S = (0.6, 1.0, 2.0, 4.0, 8.0, 16.1)
SHARES = (0.5, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Judged:
    """One segment, judged by what was fitted on other people.

    Attributes:
        example: Its estimate, and whether that is right.
        confidence: As ``detect`` would say.
        answered: Whether it has its own audio and ``detect`` would answer.
        passes: Whether ``detect`` would answer, whosever the audio is.
        sets: Of every level, where it would.
        spread_ms: Standard deviation of the best matches of several models.
    """

    example: Example
    confidence: float
    answered: bool
    passes: bool
    sets: tuple[OffsetSet, ...] = ()
    spread_ms: float = 0.0

    def held(self, level: int) -> bool:
        """Whether the set holds the truth."""
        return self.sets[level].holds(self.example.truth_frames * FRAME_MS)


def judged_by_folds(
    segments: Sequence[KnownSegment],
    weights_of: Callable[[Sequence[KnownSegment]], Sequence[float]],
) -> list[Judged]:
    """Judge every segment by what was fitted on other people.

    Args:
        segments: With the scores of all models.
        weights_of: Fits the weights of the models' scores.
    """
    people = sorted({s.person for s in segments})
    fold_of = {person: i % FOLDS for i, person in enumerate(people)}
    found = []
    for fold in range(FOLDS):
        known = [s for s in segments if fold_of[s.person] != fold]
        weights = weights_of(known)
        calibration = fitted([e for s in known if (e := example(s, weights))])
        for segment in segments:
            if fold_of[segment.person] != fold or (one := example(segment, weights)) is None:
                continue
            passes = bool(answers(calibration, [replace(one, foreign=False)]))
            answered = passes and not one.foreign
            sets = calibration.sets if answered else None
            found.append(
                Judged(
                    one,
                    calibration.confidence(one.estimate),
                    answered,
                    passes,
                    ()
                    if sets is None
                    else tuple(sets.at(p).offset_set(one.estimate) for p in LEVELS),
                    spread_ms(segment),
                )
            )
    return found


def example(segment: KnownSegment, weights: Sequence[float]) -> Example | None:
    """The estimate of the models together."""
    return segment.example(weighted(segment.volumes[: len(weights)], weights))


def spread_ms(segment: KnownSegment) -> float:
    """How far the models' own best matches are apart."""
    if len(segment.volumes) < 2:
        return 0.0
    found = (segment.example(volume) for volume in segment.volumes)
    offsets = [e.estimate.offset_frames for e in found if e]
    return float(np.std(offsets)) * FRAME_MS if offsets else 0.0


# ----------------------------------------------------------------------------------- coverage


def coverage_table(title: str, found: Sequence[Judged], note: str) -> Table:
    """How often sets hold the truth, and how large they are."""
    table = Table(
        title,
        (
            *("segments", "people", "answers"),
            *(f"held of {100 * p:g} %" for p in LEVELS),
            *(f"size at {100 * p:g} %, ms" for p in LEVELS),
            "several spans",
        ),
        note=note,
    )
    own = [j for j in found if j.sets]
    for name, chosen in groups(own):
        people = [j.example.person for j in chosen]
        table.rows.append(
            (
                name,
                str(len(set(people))),
                str(len(chosen)),
                *(
                    share(mean_interval([j.held(n) for j in chosen], people))
                    for n in range(len(LEVELS))
                ),
                *(size([j.sets[n].width_ms for j in chosen]) for n in range(len(LEVELS))),
                f"{np.mean([len(j.sets[1].spans_ms) > 1 for j in chosen]):.2f}",
            )
        )
    return table


def size(widths: Sequence[float]) -> str:
    """Median, and the widest tenth."""
    return f"{np.median(widths):.0f} ({np.quantile(widths, 0.9):.0f})"


def groups(own: Sequence[Judged]) -> list[tuple[str, list[Judged]]]:
    """By condition, collection and duration."""
    made: list[tuple[str, list[Judged]]] = [("all", list(own))]
    made.append(("clean", [j for j in own if not j.example.degraded]))
    made.append(("degraded", [j for j in own if j.example.degraded]))
    for name in ("GRID", "LRW-AR", "wild"):
        made.append((name, [j for j in own if collection(j.example.person) == name]))
    for low, high in pairwise(DURATIONS_S):
        inside = [j for j in own if low <= j.example.estimate.frames / VIDEO_FPS < high]
        made.append((f"{low:g} to {min(high, 16):g} s", inside))
    return [(name, chosen) for name, chosen in made if chosen]


def collection(person: str) -> str:
    """The collection of a person; the wild ones together."""
    source = person.partition("/")[0]
    return source if source in ("GRID", "LRW-AR") else "wild"


# ----------------------------------------------------------------------------------- selection


def curves_of(name: str, found: Sequence[Judged], scores: Sequence[float]) -> Curve:
    """Accuracy of the segments of the highest scores, with another's audio among them."""
    kept = at_prior([j.example for j in found])
    wanted = {id(e) for e in kept}
    rows = [
        (s, j.example.correct, j.example.person)
        for j, s in zip(found, scores, strict=True)
        if id(j.example) in wanted
    ]
    scores, right, people = zip(*rows, strict=True)
    return selective(name, scores, right, people)


def selective_table(groups: Sequence[Sequence[Curve]], note: str) -> Table:
    """Accuracy at equal coverage."""
    table = Table(
        "Accuracy within a frame of the surest segments",
        ("ordered by", *(f"{100 * s:g} %" for s in SHARES), "area lost", "more than the first"),
        note=note,
        after=f"![Accuracy against coverage]({PLOT.name})",
    )
    for base, curve in ((group[0], curve) for group in groups for curve in group):
        cells = (f"{curve.at(s):.3f}" for s in SHARES)
        more = "-"
        if curve is not base:
            m = more_area_lost(curve, base)
            more = f"{m.value:+.4f} [{m.low:+.4f}, {m.high:+.4f}]"
        table.rows.append((curve.name, *cells, f"{curve.area_lost:.4f}", more))
    return table


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    parser = segment_arguments(__doc__.splitlines()[0])
    parser.add_argument("--passes", type=int, default=0, help="passes of Monte Carlo dropout")
    parser.add_argument("--pass-segments", type=Path, help="keep their score volumes in this file")
    parser.add_argument("--every", type=int, default=6, help="every n-th clip for the passes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", action="store_true", help=f"write the tables of {PAGE.name}")
    given = parser.parse_args(words)
    folder = {
        "processed": given.processed,
        "constants": given.constants,
        "backgrounds": given.backgrounds,
        "seed": given.seed,
    }
    one = load_model(given.backbone, weights=given.weights, device="cpu")
    models = [one, load_model(given.ensemble, device="cpu")]
    segments = measured(models, given.segments, **folder)
    first = [replace(s, volumes=s.volumes[:1]) for s in segments]
    found = judged_by_folds(first, lambda known: (1.0,))
    together = judged_by_folds(segments, fit_weights)
    names = " and ".join(m.spec.full_name for m in models)
    by = f"By `python {SCRIPT} --processed PROCESSED --constants CONSTANTS --backgrounds BACKGROUNDS`"
    tables = [
        coverage_table(
            "Sets of offsets",
            found,
            f"{one.weights}; segments with their own audio that `detect` would answer, of people who "
            f"took no part in any fit (five folds by person). {by}; 95 % intervals by bootstrap over "
            "people. Sizes are medians, in brackets what nine of ten stay below; `several spans` is the "
            "share of the 90 % sets that have more than one.",
        ),
        coverage_table(
            "Sets of two models",
            together,
            f"The same of {names} together, each weighed on the other people.",
        ),
    ]
    curves = [
        curves_of(f"{one.spec.full_name}: confidence", found, [j.confidence for j in found]),
        curves_of(f"{one.spec.full_name}: size of the set", found, widths(first)),
        curves_of(f"{names}: confidence", together, [j.confidence for j in together]),
        curves_of(
            f"{one.spec.full_name}: confidence, less where {models[1].spec.full_name} disagrees",
            found,
            [j.confidence / (1 + t.spread_ms / FRAME_MS) for j, t in zip(found, together)],
        ),
    ]
    of_passes, compared = "", [curves]
    if given.passes:
        compared.append(dropout_curves(given, folder))
        of_passes = (
            f"The last four rows are of every {given.every}th clip: Monte Carlo dropout, and the same "
            "network without it. "
        )
    tables.append(
        selective_table(
            compared,
            "One in twenty segments has another's audio, where no answer is right. `Area lost` is the "
            f"mean share of wrong answers over all coverages, less is better; `more than the first` is "
            f"against the first row of the same segments, by bootstrap over people. {of_passes}{by}"
            f"{f' --passes {given.passes}' if given.passes else ''}.",
        )
    )
    for table in tables:
        table.show(Console(width=200))
    plot_curves(PLOT if given.docs else Path("selective.png"), compared)
    if given.json:
        given.json.write_text(
            json.dumps([c.plain() for group in compared for c in group], indent=1) + "\n"
        )
    if given.docs:
        write_section(PAGE, "\n".join(t.markdown() for t in tables), script=SCRIPT)
    return 0


def widths(segments: Sequence[KnownSegment]) -> list[float]:
    """Minus the width of 90 % sets, also of segments that ``detect`` would not answer; by folds."""
    people = sorted({s.person for s in segments})
    fold_of = {person: i % FOLDS for i, person in enumerate(people)}
    found = []
    for fold in range(FOLDS):
        known = [e for s in segments if fold_of[s.person] != fold and (e := s.example())]
        sets = fitted(known).sets
        assert sets is not None
        own = [e for s in segments if fold_of[s.person] == fold and (e := s.example())]
        found += [-sets.at(0.9).offset_set(e.estimate).width_ms for e in own]
    return found


def dropout_curves(given, folder) -> list[Curve]:
    """Monte Carlo dropout beside the same network without, on every n-th clip."""
    plain = load_model(given.backbone, weights=given.weights, device="cpu", runtime="torch")
    noisy = load_model(given.backbone, weights=given.weights, device="cpu", runtime="torch")
    models = [plain, *dropout_passes(noisy, given.passes)]
    segments = measured(models, given.pass_segments, every=given.every, **folder)
    first = [replace(s, volumes=s.volumes[:1]) for s in segments]
    passes = [replace(s, volumes=s.volumes[1:]) for s in segments]
    alone = judged_by_folds(first, lambda known: (1.0,))
    mean = judged_by_folds(passes, lambda known: (1 / given.passes,) * given.passes)
    return [
        curves_of("without dropout: confidence", alone, [j.confidence for j in alone]),
        curves_of(f"mean of {given.passes} passes: confidence", mean, [j.confidence for j in mean]),
        curves_of(
            "without dropout: confidence, less where passes disagree",
            alone,
            [j.confidence / (1 + m.spread_ms / FRAME_MS) for j, m in zip(alone, mean)],
        ),
        curves_of("passes: agreement alone", mean, [-m.spread_ms for m in mean]),
    ]


if __name__ == "__main__":
    sys.exit(main())
