"""How well a model reads the drawn faces of ``synctool demo``, and whether it answers to another one's voice.

    python benchmarks/drawn_faces.py [--seeds 16] [--docs] [--json FILE]

With ``--docs`` it writes its section of docs/demo.md.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tables import Table, published

from synctool.bench.rendering import with_audio_of
from synctool.measure.detect import Detector
from synctool.settings.demo import DemoSettings
from synctool.settings.detect import DetectSettings
from synctool.synthetic.demo import write_demo
from videos import ROOT, arguments

SCRIPT = "benchmarks/drawn_faces.py"
PAGE = ROOT / "docs" / "demo.md"
OFFSETS_MS = (70.0, -150.0)
KINDS = {"own": "its own voice", "foreign": "the voice of another seed"}


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the page and the figures."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=16, help="faces")
    parser.add_argument("--docs", action="store_true", help="write the section of docs/demo.md")
    given = parser.parse_args(words)
    return published(given, lambda: measured(given), table_of, page=PAGE, script=SCRIPT)


def measured(given: Any) -> list[dict[str, Any]]:
    """Every face at both offsets, and with the audio of the next seed."""
    weights = None if given.weights is None else str(given.weights)
    detector = Detector(DetectSettings(backbone=given.backbone, weights=weights))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(given.seeds):
            for offset_ms in OFFSETS_MS:
                video = Path(folder) / f"{seed}{offset_ms:+.0f}.mp4"
                write_demo(replace(DemoSettings(), seed=seed, offset_ms=offset_ms), str(video))
                rows.append(_row(detector, video, "own", seed, offset_ms))
        names = [Path(folder) / f"{seed}{OFFSETS_MS[0]:+.0f}.mp4" for seed in range(given.seeds)]
        for seed, (seen, heard) in enumerate(zip(names, [*names[1:], names[0]])):
            mixed = Path(folder) / f"mixed{seed}.mkv"
            with_audio_of(seen, heard, mixed)
            rows.append(_row(detector, mixed, "foreign", seed, None))
    return rows


def _row(
    detector: Detector, video: Path, kind: str, seed: int, true_ms: float | None
) -> dict[str, Any]:
    found = detector.detect(str(video))
    frames = found.offset_frames
    return {
        "kind": kind,
        "seed": seed,
        "true_ms": true_ms,
        "offset_ms": None if frames is None else round(40 * frames, 1),
        "confidence": round(found.confidence, 3),
    }


def table_of(rows: list[dict[str, Any]]) -> Table:
    """A row for each kind of audio."""
    table = Table(
        "Drawn faces",
        ["audio", "videos", "answered", "mean error", "largest error", "confidence"],
        note=f"6 s of video each, true offsets of {OFFSETS_MS[0]:+g} and {OFFSETS_MS[1]:+g} ms.",
    )
    for kind, name in KINDS.items():
        own = [row for row in rows if row["kind"] == kind]
        answered = [row for row in own if row["offset_ms"] is not None]
        errors = [r["offset_ms"] - r["true_ms"] for r in answered if r["true_ms"] is not None]
        sure = [row["confidence"] for row in own]
        table.rows.append(
            [
                name,
                f"{len(own)}",
                f"{len(answered)}",
                f"{np.mean(errors):+.1f} ms" if errors else "-",
                f"{np.abs(errors).max():.1f} ms" if errors else "-",
                f"{min(sure):.2f} to {max(sure):.2f}",
            ]
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
