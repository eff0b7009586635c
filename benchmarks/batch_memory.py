"""Peak memory of batches of `detect` or `compare` of several sizes: it should not grow with them.

The videos are hard links to one short clip, the beginning of a real one, in a temporary folder. Each batch
is a process of its own that writes JSON, CSV and, unless told otherwise, a page. Results of short clips are
small, so the series per frame are repeated to the length of ``--minutes``, as in long videos, without the
time that measuring those takes; 0 leaves them as they are.

    python benchmarks/batch_memory.py [--film FILE] [--seconds 3] [--minutes 10] [--videos 20 200]
                                      [--command detect|compare] [--no-page] [--json FILE]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from synctool.types import SAMPLES_PER_FRAME, VIDEO_FPS
from videos import arguments, read_video, shared, write_video

_RUN = """
import sys
from dataclasses import replace
from synctool.cli.app import main
from synctool.measure import analyze as concluding
from synctool.measure import detect
from synctool.comparison import trials
from synctool.types import FrameSeries

wanted = int(sys.argv[1])

def longer(frames):
    if not 0 < len(frames.t_s) < wanted:
        return frames
    times = wanted // len(frames.t_s)
    # New numbers, as those of a long video would be.
    return FrameSeries(*(
        tuple(None if value is None else value + n * step for n in range(times) for value in series)
        for series, step in zip(vars(frames).values(), (len(frames.t_s) / 25, 1e-12, 1e-12))
    ))

def find(*given, **more):
    findings = concluding.find(*given, **more)
    return replace(findings, frames=longer(findings.frames))

detect.find = trials.find = find
sys.exit(main(sys.argv[2:]))
"""


def short_clip(video: Path, target: Path, seconds: float) -> None:
    """The beginning of a video."""
    frames = round(seconds * VIDEO_FPS)
    images, audio = read_video(video)
    write_video(target, images[:frames], audio[: frames * SAMPLES_PER_FRAME])


def measure(clip: Path, videos: int, command: str, minutes: float, more: list[str]) -> dict:
    """A batch: peak memory in MB, seconds, and how many results were written."""
    with tempfile.TemporaryDirectory(dir=clip.parent) as name:
        folder = Path(name)
        (folder / "videos").mkdir()
        for number in range(videos):
            os.link(clip, folder / "videos" / f"{number:05}{clip.suffix}")
        words = [command, "videos", "--json", "r.json", "--csv", "r.csv"]
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", _RUN, str(round(60 * minutes * VIDEO_FPS)), *words, "-q", *more],
            cwd=folder, env={**os.environ, "SYNCTOOL_CACHE": str(folder / "cache")},
        )  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return {
            "videos": videos,
            "exit_code": process.returncode,
            "peak_mb": used.ru_maxrss / 1024,
            "seconds": time.monotonic() - started,
            "rows": len((folder / "r.csv").read_text().splitlines()) - 1,
            "json_mb": (folder / "r.json").stat().st_size / 2**20,
        }


def main() -> None:
    """Measure the batches, print a table, and write it as JSON where it is wanted."""
    parser = arguments(__doc__)
    parser.add_argument("--film", type=Path, default=shared("clips") / "example.avi")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--videos", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--command", choices=["detect", "compare"], default="detect")
    parser.add_argument("--no-page", action="store_true")
    given = parser.parse_args()
    model = given.backbone if given.weights is None else f"{given.backbone}={given.weights}"
    more = ["--backbones", model]
    if given.command == "detect":
        more = ["--backbone", given.backbone]
        more += [] if given.weights is None else ["--weights", str(given.weights.resolve())]
    more += [] if given.no_page else ["--html", "r.html"]
    found = []
    print("| videos | peak memory | JSON | time |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="synctool-") as name:
        clip = Path(name) / "clip.mkv"
        short_clip(given.film, clip, given.seconds)
        for videos in given.videos:
            row = measure(clip, videos, given.command, given.minutes, more)
            found.append(row)
            print(
                f"| {row['rows']} | {row['peak_mb']:.0f} MB | {row['json_mb']:.0f} MB "
                f"| {row['seconds']:.0f} s |",
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
