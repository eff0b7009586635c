"""Whether figures without labels tell the truth: those of an adaptation beside the same with labels.

    python benchmarks/adaptation.py PROCESSED --work WORK --before WEIGHTS --after WEIGHTS
                                    --constants CONSTANTS [--same-offset all] [--minutes 4]

PROCESSED, WORK, the settings and the weights are those of ``synctool adapt PROCESSED -o AFTER --weights
BEFORE --work WORK``, which keeps what it measured there. CONSTANTS are offsets by clip, person or source from
weights that had no part in it (``benchmarks/source_constants.py --clips``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from tables import Table

from synctool.adapting.domain import domain_clips, of_part
from synctool.adapting.gains import ALL_LENGTHS, answers, figures
from synctool.adapting.measured_segments import MeasuredSegments
from synctool.adapting.relative_labels import references
from synctool.adapting.run import BEFORE, Amounts
from synctool.networks.load import load_model
from synctool.report.adaptation import WORDS, interval_words
from synctool.settings.adapt import AdaptSettings
from synctool.training.data import read_constants


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(
        description="Figures of an adaptation without and with labels."
    )
    parser.add_argument("processed", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--after", type=Path, required=True)
    parser.add_argument("--tensors", default=BEFORE, help="stage that made the tensors of --after")
    parser.add_argument("--constants", type=Path, required=True)
    parser.add_argument("--same-offset", default="video")
    parser.add_argument("--minutes", type=float, default=4)
    given = parser.parse_args()
    settings = AdaptSettings(same_offset=given.same_offset, minutes=given.minutes)
    clips = of_part(
        domain_clips(given.processed, settings),
        "test",
        most=Amounts.of(settings.minutes).tested,
        seed=settings.seed,
    )
    constants = read_constants(given.constants)
    labels = np.array(
        [
            next(
                (constants[n] for n in (c.key, c.unit, c.sample.info.source) if n in constants),
                np.nan,
            )
            for c in clips
        ]
    )
    found = []
    for weights, name in ((given.before, BEFORE), (given.after, given.tensors)):
        calibration = load_model(weights=weights, device="cpu", runtime="torch").calibration
        measured = MeasuredSegments.load(given.work / f"measured-{name}-domain.npz")
        reference = references(measured, clips, calibration)
        found.append(
            [answers(measured, r, calibration) for r in (reference, labels[measured.clip])]
        )
    rows = []
    for number, kind in enumerate(("without labels", "with labels")):
        before, after = (one[number] for one in found)
        for figure in figures(before, after, clips, set_name="domain"):
            if figure.length_s == ALL_LENGTHS:
                ends = (figure.before, figure.after)
                cells = [*map(interval_words, ends), interval_words(figure.change, sign=True)]
                rows.append([kind, WORDS[figure.name], *cells])
    columns = ["", "share of segments", "before", "after", "change"]
    Table("Held-out videos, without and with labels", columns, rows, "").show(Console(width=140))


if __name__ == "__main__":
    main()
