"""What players of pages cost: processor time of measuring, of the small copy, and of decoding alone.

    OMP_NUM_THREADS=1 python benchmarks/page_players.py VIDEO...

docs/detect-page.md has the figures.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import av

from synctool import Detector, DetectSettings
from synctool.media.proxy import Proxy
from synctool.report.html.pages import detect_page
from synctool.report.html.player import copies

Value = TypeVar("Value")


def measured(work: Callable[[], Value]) -> tuple[Value, float]:
    """What some work gives, and its processor time in seconds."""
    start = time.process_time()
    value = work()
    return value, time.process_time() - start


def decode(path: str) -> None:
    """Decode all frames."""
    with av.open(path) as video:
        video.streams.video[0].thread_type = "AUTO"
        for _ in video.decode(video=0):
            pass


def main() -> None:
    """Print a row for each video."""
    settings = DetectSettings()
    detector = Detector(settings, threads=1)
    print("| video | measuring | player | of it decoding | in the page |\n|---|---|---|---|---|")
    for path in sys.argv[1:]:
        result, measuring_s = measured(lambda path=path: detector.detect(path))
        made, player_s = measured(lambda result=result: copies([result], settings))
        _, decoding_s = measured(lambda path=path: decode(path))
        source, copy = result.source, made[path]
        size = "–"
        if isinstance(copy, Proxy):
            sizes = [
                len(detect_page([result], command="", copies=make))
                for make in (lambda _, made=made: made, None)
            ]
            size = f"{(sizes[0] - sizes[1]) / 1e6:.2f} MB"
        print(
            f"| `{Path(path).name}`, {source.width_px} × {source.height_px}, {source.duration_s:.1f} s "
            f"| {measuring_s:.1f} s | {player_s:.1f} s | {decoding_s:.1f} s | {size} |"
        )


if __name__ == "__main__":
    main()
