"""How well ``synctool verify`` tells lips and voices that belong together from those that do not.

    python benchmarks/authenticity.py [--corpus DIR] [--cache FILE] [--docs] [--json FILE]

The people are those whom the default network was not trained on. Scores are fitted on four fifths of them
and tested on the last fifth, five times; generators of lips also by scores that have not seen that kind.
With ``--docs`` it writes its section of docs/verify.md and the figure beside it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from authentic_kinds import DUBBED, NATURAL, REANIMATED, Example, examples
from rich.console import Console
from tables import Table, around_section, share, write_section

from synctool.authenticity.judge import scored, verdict_of
from synctool.authenticity.scores import Scores, matrix
from synctool.errors import SyncToolError
from synctool.evaluation.bootstrap import Interval, interval_of, mean_of, numbered, units_of
from videos import ROOT, arguments, shared

sys.path.insert(0, str(ROOT / "tools"))

from calibrate_authenticity import fitted

SCRIPT = "benchmarks/authenticity.py"
PAGE = ROOT / "docs" / "verify.md"
FIGURE = ROOT / "docs" / "verify-roc.png"
FOLDS = 5
_FALSE_ALARMS = 0.05
_VERDICTS = ("natural", "offset", "dubbed", "reanimated", "cannot tell")


@dataclass(frozen=True)
class Scored:
    """An example and what was said of it by scores that its person took no part in."""

    example: Example
    dub: float
    reanimation: float
    unseen: float
    verdict: str


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the page, the figure and the figures."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=shared("corpus"), help="where it is")
    parser.add_argument("--cache", type=Path, help="keep the examples here, or read them")
    parser.add_argument("--docs", action="store_true", help="write the section of docs/verify.md")
    given = parser.parse_args(words)
    show, notes = Console(width=160), Console(stderr=True)
    try:
        if given.docs:
            around_section(PAGE, script=SCRIPT)  # missing markers are said before the work
        found, backbone = examples(given.corpus, backbone=given.backbone, cache=given.cache)
        rows = cross_validated(found, backbone)
        tables = [roc_table(rows), verdict_table(rows), closed_table(found)]
        for table in tables:
            table.show(show)
        if given.json:
            told = [{**asdict(r), "example": {**asdict(r.example)}} for r in rows]
            given.json.write_text(json.dumps(told) + "\n")
        if given.docs:
            write_section(PAGE, "\n".join(t.markdown() for t in tables), script=SCRIPT)
            draw(rows, FIGURE)
    except SyncToolError as error:
        notes.print(f"error: {error}", style="red", highlight=False, markup=False)
        return error.exit_code
    return 0


def cross_validated(found: Sequence[Example], backbone: str) -> list[Scored]:
    """Every example by scores of other people."""
    people = sorted({e.person for e in found})
    order = np.random.default_rng(0).permutation(len(people))
    fold_of = {people[i]: place % FOLDS for place, i in enumerate(order)}
    rows = []
    for fold in range(FOLDS):
        train = [e for e in found if fold_of[e.person] != fold]
        test = [e for e in found if fold_of[e.person] == fold]
        scores = fitted(train, backbone=backbone)
        kinds = sorted({e.kind for e in train if e.label == REANIMATED})
        without = {
            kind: fitted([e for e in train if e.kind != kind], backbone=backbone, draws=0)
            for kind in kinds
        }
        rows += [_scored(e, scores, without) for e in test]
    return rows


def _scored(example: Example, scores: Scores, without: dict[str, Scores]) -> Scored:
    dub = scored(scores.dub.probabilities([example.evidence])[:, 0])
    lips = scored(scores.reanimation.probabilities([example.evidence])[:, 0])
    unseen = [
        float(w.reanimation.probabilities([example.evidence])[0, 0])
        for kind, w in without.items()
        if example.kind in (kind,) or example.label == NATURAL
    ]
    # The offset is no part of this: own audio that was moved is natural here.
    verdict = verdict_of(dub, lips, 0.0)
    return Scored(
        example, dub.value, lips.value, float(np.mean(unseen)) if unseen else np.nan, verdict
    )


def auc(rows: Sequence[Scored], kind: str, name: str) -> Interval:
    """ROC-AUC of a kind against natural clips, with its interval over people."""
    some = [r for r in rows if r.example.label == NATURAL or r.example.kind == kind]
    values = np.array([getattr(r, name) for r in some])
    positive = np.array([r.example.kind == kind for r in some])
    units = units_of(numbered([r.example.person for r in some]), np.arange(len(some)))
    above = (values[positive][:, None] > values[~positive]) + 0.5 * (
        values[positive][:, None] == values[~positive]
    )

    def statistic(weights: np.ndarray) -> np.ndarray:
        w, v = weights[:, positive], weights[:, ~positive]
        total = w.sum(1) * v.sum(1)
        sums = np.einsum("dp,pn,dn->d", w, above, v, optimize=True)
        return np.divide(sums, total, out=np.full(len(weights), np.nan), where=total > 0)

    return interval_of(statistic, units, share=True)


def roc_table(rows: Sequence[Scored]) -> Table:
    """ROC-AUC per kind."""
    clips = {r.example.clip for r in rows}
    people = {r.example.person for r in rows}
    table = Table(
        "ROC-AUC against people's own audio and lips",
        ["what was done", "clips", "score", "ROC-AUC", "caught at 5 % false alarms", "kind unseen"],
        note=(
            f"{len(clips)} clips of {len(people)} people, 2 to 6 s each, cross-validated in {FOLDS} folds by "
            "person; 95 % intervals by bootstrap over people. *Kind unseen*: ROC-AUC of scores that were "
            "fitted without this kind of lips."
        ),
    )
    for kind in dict.fromkeys(r.example.kind for r in rows if r.example.label != NATURAL):
        own = [r for r in rows if r.example.kind == kind]
        name = "dub" if own[0].example.label == DUBBED else "reanimation"
        natural = [getattr(r, name) for r in rows if r.example.label == NATURAL]
        least = float(np.quantile(natural, 1 - _FALSE_ALARMS))
        caught = np.array([getattr(r, name) > least for r in own], float)
        units = units_of(numbered([r.example.person for r in own]), np.arange(len(own)))
        unseen = auc(rows, kind, "unseen") if name == "reanimation" else None
        table.rows.append(
            [
                kind, str(len(own)), {"dub": "dub", "reanimation": "re-animation"}[name],
                share(auc(rows, kind, name)), share(mean_of(caught, units, share=True)), share(unseen),
            ]
        )  # fmt: skip
    return table


def verdict_table(rows: Sequence[Scored]) -> Table:
    """Which verdicts each kind gets."""
    table = Table(
        "Verdicts, share of the clips",
        ["what was done", *(v for v in _VERDICTS if v != "offset")],
        note=(
            "One span each, the offset left aside (*natural* stands for *natural* and *offset*). Lips of "
            "another take and retimed lips do not match the audio either: *dubbed* is no wrong word for them."
        ),
    )
    for kind in dict.fromkeys(r.example.kind for r in rows):
        own = [r.verdict for r in rows if r.example.kind == kind]
        table.rows.append(
            [kind, *(f"{own.count(v) / len(own):.2f}" for v in _VERDICTS if v != "offset")]
        )
    return table


def closed_table(found: Sequence[Example]) -> Table:
    """What single figures tell, the closed lips among them."""
    names = ("own_audio", "height", "steady", "jitter", "follow", "waking", "closed", "together")
    table = Table(
        "Single figures: ROC-AUC against people's own audio and lips",
        ["what was done", *names],
        note=(
            "Below 0.5 the figure is smaller than of natural clips, above it larger. `closed` is the check "
            "of closed lips at the stops of the audio: it tells little, and no score uses it."
        ),
    )
    natural = matrix([e.evidence for e in found if e.label == NATURAL])
    from synctool.authenticity.evidence import FEATURES

    for kind in dict.fromkeys(e.kind for e in found if e.label != NATURAL):
        own = matrix([e.evidence for e in found if e.kind == kind])
        cells = []
        for name in names:
            a, b = (x[:, FEATURES.index(name)] for x in (own, natural))
            a, b = a[np.isfinite(a)], b[np.isfinite(b)]
            above = (a[:, None] > b).mean() + 0.5 * (a[:, None] == b).mean()
            cells.append(f"{above:.2f}")
        table.rows.append([kind, *cells])
    return table


def draw(rows: Sequence[Scored], path: Path) -> None:
    """The ROC curves of all kinds, one panel a score."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 4.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, label, name, title in (
        (panels[0], DUBBED, "dub", "Dub score"),
        (panels[1], REANIMATED, "reanimation", "Re-animation score"),
    ):
        natural = np.array([getattr(r, name) for r in rows if r.example.label == NATURAL])
        for kind in dict.fromkeys(r.example.kind for r in rows if r.example.label == label):
            own = np.array([getattr(r, name) for r in rows if r.example.kind == kind])
            limits = np.r_[np.inf, np.sort(np.r_[natural, own])[::-1], -np.inf]
            false = [(natural >= limit).mean() for limit in limits]
            true = [(own >= limit).mean() for limit in limits]
            axes.plot(false, true, label=f"{kind} ({auc(rows, kind, name).value:.2f})")
        axes.plot([0, 1], [0, 1], color="#999", linewidth=0.8, linestyle=":")
        axes.set(
            xlabel="natural clips above the limit", title=title, xlim=(-0.01, 1), ylim=(0, 1.01)
        )
        axes.legend(loc="lower right", fontsize=8, title="ROC-AUC", title_fontsize=8)
    panels[0].set_ylabel("altered clips above the limit")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
