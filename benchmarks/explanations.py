"""Whether the maps of ``synctool explain`` say anything: both checks, by method, on real videos.

    python benchmarks/explanations.py [--clips DIR] [--corpus DIR] [--docs] [--json FILE]

With ``--docs`` it writes its section of docs/explain.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tables import Table, published

from synctool.explaining.run import explain
from synctool.networks.load import load_model
from videos import ROOT, arguments, shared

SCRIPT = "benchmarks/explanations.py"
PAGE = ROOT / "docs" / "explain.md"
METHODS = ("occlusion", "grad-cam", "integrated-gradients")


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the page and the figures."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, default=shared("clips"))
    parser.add_argument("--corpus", type=Path, default=shared("corpus"))
    parser.add_argument("--videos", type=int, default=4, help="of the corpus, beside the example")
    parser.add_argument("--docs", action="store_true", help="write the section of docs/explain.md")
    given = parser.parse_args(words)
    return published(given, lambda: measured(given), checks_table, page=PAGE, script=SCRIPT)


def measured(given) -> list[dict]:
    """Both checks of every method on every video."""
    videos = [(given.clips / "example.avi", 4.0)]
    videos += [(path, 1.5) for path in sorted(given.corpus.glob("grid/s4/*.mp4"))[: given.videos]]
    model = load_model(given.backbone, weights=given.weights, device="cpu", runtime="torch")
    rows = []
    for path, at in videos:
        for method in METHODS:
            told = explain(path, model=model, at=at, method=method).to_dict()
            rows.append({"video": path.name, "method": method, **told["checks"]})
    return rows


def checks_table(rows: Sequence[dict]) -> Table:
    """A row for each method."""
    count = len({row["video"] for row in rows})
    table = Table(
        "The checks",
        ["method", "named pixels cost", "as many others", "passed", "shuffled weights", "passed"],
        note=(
            f"Means over {count} moments: SyncNet's example and GRID's s4, the default network. Costs are "
            "shares of the score; *shuffled weights* is the rank correlation of the maps."
        ),
    )
    for method in METHODS:
        own = [row for row in rows if row["method"] == method]
        masking, random = ([row[name] for row in own] for name in ("masking", "random_weights"))
        table.rows.append(
            [
                method,
                f"{np.mean([m['named'] for m in masking]):.2f}",
                f"{np.mean([m['random'] for m in masking]):.2f}",
                f"{sum(m['passed'] for m in masking)} of {len(own)}",
                f"{np.mean([r['correlation'] for r in random]):.2f}",
                f"{sum(r['passed'] for r in random)} of {len(own)}",
            ]
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
