"""How well a network reads people that it was never trained on: all figures of docs/results.md but speed.

    python benchmarks/held_out_speakers.py [--weights FILE] [--processed DIR] [--only multiway,pieces]
        [--json OUT]

multiway     31 candidate audio frames, one frame accepted, 5 to 15 frames of context, three readings
pieces       pieces of 2 and 3 s, each with its audio moved, against their video's consensus
whole        GRID clips moved by whole and fractional frames, through the whole of detect
range        videos of 20 s and more moved by up to 122 frames, 125 searched
calibration  expected calibration error and reliability, with docs/reliability.png
cost         multiply-adds and time per frame against decoding, size of the weights

multiway, pieces and calibration need people that the network was not trained on: a folder of synctool
preprocess with the split.json that the training used. The others need the corpus and the clips. Two runs
give the same figures, except for the times of cost. Without the folders of real videos it says so and ends
with 5.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from held_out_sections import PLOT, SECTIONS, Bench
from rich.console import Console
from tables import Table, write_section

from synctool.errors import SyncToolError
from synctool.networks.load import load_model
from videos import ROOT, arguments, shared

PAGE = ROOT / "docs" / "results.md"


def main() -> int:
    """Run the sections that are asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--only", help="sections, separated by commas: " + ", ".join(SECTIONS))
    parser.add_argument("--processed", type=Path, default=ROOT / "processed", help="of preprocess")
    parser.add_argument("--split", type=Path, help="split.json, unless it lies in --processed")
    parser.add_argument("--sources", nargs="+", help="only these collections of --processed")
    parser.add_argument("--corpus", type=Path, default=shared("corpus"))
    parser.add_argument("--clips", type=Path, default=shared("clips"))
    parser.add_argument(
        "--candidates",
        choices=("always", "inside"),
        default="always",
        help="always 31, with other audio beyond a clip's ends; or only those inside the clip",
    )
    parser.add_argument("--limit", type=int, help="so many clips of each person, for a quick look")
    parser.add_argument("--plot", type=Path, help="draw the reliability here")
    parser.add_argument(
        "--docs", action="store_true", help="write docs/results.md and the plot beside it"
    )
    given = parser.parse_args()
    chosen = given.only.split(",") if given.only else list(SECTIONS)
    unknown = [name for name in chosen if name not in SECTIONS]
    if unknown or (given.docs and (given.only or given.limit)):
        parser.error(
            f"no such section: {unknown[0]}" if unknown else "--docs is for a run of everything"
        )
    if given.docs:
        given.plot = given.plot or PAGE.with_name(PLOT)
    torch.set_num_threads(1)
    show, notes = Console(width=160), Console(stderr=True)
    try:
        with tempfile.TemporaryDirectory() as work:
            model = load_model(given.backbone, weights=given.weights, device="cpu", runtime="torch")
            bench = Bench(model, given, Path(work), notes)
            # What is missing is said before hours of work, not after.
            if {"multiway", "pieces", "calibration"} & set(chosen):
                _ = bench.held_out_speakers
            if {"whole", "range"} & set(chosen):
                _ = bench.dev
            if {"pieces", "range", "cost"} & set(chosen):
                _ = bench.web
            results: dict[str, Any] = {"weights": model.weights, "backbone": given.backbone}
            tables: list[Table] = []
            show.print(f"weights: {model.weights}", highlight=False)
            for name in chosen:
                bench.tell(name)
                results[name], made = SECTIONS[name](bench)
                for table in made:
                    table.show(show)
                tables += made
        if given.json:
            given.json.write_text(json.dumps(results, indent=1, default=str) + "\n")
        if given.docs:
            write_section(PAGE, _page(bench, tables))
    except SyncToolError as error:
        notes.print(f"error: {error}", style="red", highlight=False, markup=False)
        return error.exit_code
    return 0


def _page(bench: Bench, tables: list[Table]) -> str:
    head = (
        f"Made by `python benchmarks/held_out_speakers.py --docs` with the weights "
        f"`{bench.model.weights}`. Held-out people: {bench.held_out_speakers.facts()}."
    )
    return "\n".join([head, "", *(table.markdown() for table in tables)])


if __name__ == "__main__":
    sys.exit(main())
