"""Accuracy, answers and sets of offsets by language, on people whom no network was trained on.

    python benchmarks/languages.py --processed PROCESSED --constants CONSTANTS --backgrounds BACKGROUNDS
        [--segments FILE.npz] [--languages FILE] [--docs]

The segments are those of ``benchmarks/uncertainty.py``, whose file ``--segments`` takes. The language of a
clip is its own where ``preprocess`` found one, else that of ``--languages`` (a JSON object by sample,
speaker or source, as of ``compare``), else that of the collection's manifests.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from known_volumes import measured, segment_arguments
from rich.console import Console
from tables import Table, share, write_section
from uncertainty import Judged, judged_by_folds

from synctool.comparison.entries import read_languages
from synctool.data.processed import Processed
from synctool.evaluation.bootstrap import mean_interval
from synctool.evaluation.languages import tone_of
from synctool.networks.load import load_model
from synctool.prepare.pairs import read_split
from videos import ROOT, shared

SCRIPT = "benchmarks/languages.py"
PAGE = ROOT / "docs" / "results.md"
OF_COLLECTIONS = {"GRID": "en", "LRW-AR": "ar"}
"""Collections of one language that say it nowhere but in their name."""


def languages_of_people(processed: Path, said: Mapping[str, str]) -> dict[str, str]:
    """Language by person, as the split names people; nothing of people who speak several."""
    assigned = read_split(processed / "split.json")
    found: dict[str, set[str]] = {}
    listed = of_manifests(shared("corpus"))
    for _, info in Processed(processed).infos():
        row = assigned.get(info.key)
        if row is None:
            continue
        names = (info.key, row.person, info.source)
        own = info.language or next((said[n] for n in names if n in said), "")
        own = own or listed.get(info.video_path, "") or OF_COLLECTIONS.get(info.source, "")
        found.setdefault(row.person, set()).add(own)
    return {person: spoken.pop() for person, spoken in found.items() if len(spoken) == 1}


def of_manifests(corpus: Path) -> dict[str, str]:
    """Language by path, of all ``manifest.csv`` in the corpus that have that column."""
    found = {}
    for manifest in sorted(corpus.glob("**/manifest.csv")):
        with manifest.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("language", "?") != "?":
                    found[row["path"]] = row["language"]
    return found


def table_of(found: Sequence[Judged], spoken: Mapping[str, str], note: str) -> Table:
    """One line a language and a group of languages."""
    table = Table(
        "Segments of held-out people by language",
        (
            *("language", "people", "segments", "best match right", "answered"),
            *("right of the answered", "answered with another's audio"),
            *("sets of 90 % that hold", "size, ms"),
        ),
        note=note,
    )
    for name, chosen in _groups(found, spoken):
        own = [j for j in chosen if not j.example.foreign]
        foreign = [j for j in chosen if j.example.foreign]
        answered = [j for j in own if j.answered]
        with_sets = [j for j in own if j.sets]
        table.rows.append(
            (
                name,
                str(len({j.example.person for j in own})),
                str(len(own)),
                _share(own, [j.example.correct for j in own]),
                _share(own, [j.answered for j in own]),
                _share(answered, [j.example.correct for j in answered]),
                _share(foreign, [j.passes for j in foreign]),
                _share(with_sets, [j.held(1) for j in with_sets]),
                f"{np.median([j.sets[1].width_ms for j in with_sets]):.0f}" if with_sets else "-",
            )
        )
    return table


def _groups(found: Sequence[Judged], spoken: Mapping[str, str]) -> list[tuple[str, list[Judged]]]:
    by: dict[str, list[Judged]] = {}
    for one in found:
        language = spoken.get(one.example.person, "")
        by.setdefault(language or "not known", []).append(one)
        if tone := tone_of(language):
            by.setdefault(f"all {tone}", []).append(one)
    return sorted(by.items(), key=lambda row: (row[0].startswith("all "), row[0]))


def _share(rows: Sequence[Judged], values: Sequence[bool]) -> str:
    people = [j.example.person for j in rows]
    return share(mean_interval(values, people)) if rows else "-"


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    parser = segment_arguments(__doc__.splitlines()[0])
    parser.add_argument("--languages", type=Path, help="languages by sample, speaker or source")
    parser.add_argument("--docs", action="store_true", help="write the table of docs/results.md")
    given = parser.parse_args(words)
    said = {} if given.languages is None else read_languages(given.languages)
    model = load_model(given.backbone, weights=given.weights, device="cpu")
    models = [model, load_model(given.ensemble, device="cpu")] if given.segments else [model]
    segments = measured(
        models,
        given.segments,
        processed=given.processed,
        constants=given.constants,
        backgrounds=given.backgrounds,
    )
    table = table_of(
        judged_by_folds(
            [replace(s, volumes=s.volumes[:1]) for s in segments], lambda known: (1.0,)
        ),
        languages_of_people(given.processed, said),
        f"{model.weights}; segments of 0.4 to 16 s, half of those within a clip degraded, judged by what was "
        f"fitted on other people. By `python {SCRIPT} --processed PROCESSED --constants CONSTANTS "
        "--backgrounds BACKGROUNDS`; 95 % intervals by bootstrap over people. Language and collection go "
        "together here: Arabic is LRW-AR alone, whose clips of a second are joined to longer ones. The "
        "corpus has no tonal language, so nothing is known of any.",
    )
    table.show(Console(width=200))
    if given.docs:
        write_section(PAGE, table.markdown(), script=SCRIPT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
