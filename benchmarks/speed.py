"""Speed and memory of ``synctool detect``, as ratios to pure decoding of the same file in the same run.

Each measurement is a process of its own; the median of some runs is shown, and those of decoding and of
the runtimes take turns. Peak memory is that of the whole process. The ten-minute video is a loop of one of
the clips, made in a temporary folder.

    python benchmarks/speed.py [--film FILE ...] [--minutes 10] [--runs 3] [--runtime auto torch onnx]
                               [--json FILE]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import av

from videos import arguments, shared

_FLOOR = """
import av, resource, sys, time
started = time.perf_counter()
with av.open(sys.argv[1]) as video:
    for stream in video.streams:
        stream.thread_type = "AUTO"
    for frame in video.decode(video=0, audio=0):
        pass
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
_DETECT = """
import json, resource, sys, time
started = time.perf_counter()
from synctool.measure.detect import Detector
from synctool.networks.load import load_model
detector = Detector(model=load_model(sys.argv[2], weights=sys.argv[3] or None, runtime=sys.argv[4]))
ready = time.perf_counter()
result = detector.detect(sys.argv[1])
ended = time.perf_counter()
print(json.dumps({"start_s": ready - started, "detect_s": ended - ready,
                  "film_s": result.source.duration_s, "timing_s": dict(result.timing_s),
                  "offset": result.offset_frames, "verdict": result.verdict,
                  "runtime": result.runtime,
                  "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def loop(video_file: Path, target: Path, minutes: float) -> None:
    """A long video: the packets of a short one over and over, copied bit for bit."""
    with av.open(str(target), "w") as out:
        copies, passed = None, 0.0
        latest: dict[str, int] = {}
        while passed < 60 * minutes:
            with av.open(str(video_file)) as source:
                streams = [source.streams.video[0], source.streams.audio[0]]
                if copies is None:
                    copies = [out.add_stream_from_template(s) for s in streams]
                seconds = float(streams[0].duration * streams[0].time_base)
                for packet in source.demux(streams):
                    if packet.dts is None or float(packet.dts * packet.time_base) >= seconds:
                        continue
                    delay = round(passed / packet.time_base)
                    packet.dts += delay
                    if packet.dts <= latest.get(packet.stream.type, packet.dts - 1):
                        continue  # an encoder's lead-in, which the video before has sounded over
                    latest[packet.stream.type] = packet.dts
                    packet.pts = None if packet.pts is None else packet.pts + delay
                    packet.stream = copies[0 if packet.stream.type == "video" else 1]
                    out.mux(packet)
            passed += seconds


def run(code: str, *words: str) -> str:
    """The last line that a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1]


def measure(
    video_file: Path, runs: int, backbone: str, weights: str, runtimes: Sequence[str]
) -> list[dict]:
    """Medians for one video, by runtime."""
    floors: list[list[float]] = []
    found: dict[str, list[dict]] = {runtime: [] for runtime in runtimes}
    for _ in range(runs):
        floors.append([float(x) for x in run(_FLOOR, str(video_file)).split()])
        for runtime in runtimes:
            done = run(_DETECT, str(video_file), backbone, weights, runtime)
            found[runtime].append(json.loads(done))
    return [_medians(video_file, floors, of_runtime) for of_runtime in found.values()]


def _medians(video_file: Path, floors: list[list[float]], found: list[dict]) -> dict:
    floor_s = statistics.median(f[0] for f in floors)
    detect_s = statistics.median(f["detect_s"] for f in found)
    seconds = found[0]["film_s"]
    return {
        "film": video_file.name,
        "runtime": found[0]["runtime"],
        "film_s": seconds,
        "decode_s": floor_s,
        "detect_s": detect_s,
        "start_s": statistics.median(f["start_s"] for f in found),
        "times_real_time": seconds / detect_s,
        "ratio_to_decoding": detect_s / floor_s,
        "peak_mb": statistics.median(f["peak_mb"] for f in found),
        "decode_peak_mb": statistics.median(f[1] for f in floors),
        "timing_s": found[-1]["timing_s"],
        "offset": found[-1]["offset"],
        "verdict": found[-1]["verdict"],
    }


def _line(row: dict) -> str:
    parts = "  ".join(f"{k} {v:.2f}" for k, v in row["timing_s"].items())
    return (
        f"{row['video_file']:22} {row['film_s']:7.1f} s  {row['runtime']:5}  "
        f"{row['times_real_time']:6.1f} x real time  "
        f"{row['ratio_to_decoding']:5.1f} x decoding ({row['decode_s']:.2f} s)  "
        f"peak {row['peak_mb']:.0f} MB (decoding {row['decode_peak_mb']:.0f})  "
        f"start {row['start_s']:.1f} s\n    {parts}"
    )


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument(
        "--film", type=Path, nargs="*", help="videos; the example and demo1 unless given"
    )
    parser.add_argument(
        "--minutes", type=float, default=10, help="length of the looped video; 0: none"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--runtime", nargs="+", default=["auto"], help="as of synctool detect")
    given = parser.parse_args()
    clips = shared("clips")
    videos = given.film or [clips / "example.avi", clips / "demo1_video.mp4"]
    weights = os.fspath(given.weights) if given.weights else ""
    rows = []
    with tempfile.TemporaryDirectory() as work:
        if given.minutes:
            long = Path(work) / f"loop-{given.minutes:g}min.mkv"
            loop(videos[0], long, given.minutes)
            videos = [*videos, long]
        for video_file in videos:
            for row in measure(video_file, given.runs, given.backbone, weights, given.runtime):
                rows.append(row)
                print(_line(row), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
