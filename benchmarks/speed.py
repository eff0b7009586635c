"""Speed and memory of ``synctool detect``, beside pure decoding of the same file in the same run.

Each measurement is a process of its own; the median of some runs is shown, and those of decoding and of
the runtimes take turns. CPU seconds for each second of video, by stage, tell where the work is and hardly
depend on what else runs on the machine; wall time does. Peak memory is that of the whole process.

    python benchmarks/speed.py [--video FILE ...] [--minutes 10] [--runs 3] [--runtime auto torch onnx]
                               [--detector NAME ...] [--json FILE]
    python benchmarks/speed.py --docs [--up-to 2160]     # the generated videos, into docs/performance.md

The ten-minute video is a loop of one of the clips. The generated videos are made of the clips: one face, or
four beside each other, by size and codec; all are made in a temporary folder. ``--docs`` also keeps all
figures, with versions and the processor, in docs/performance.json.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console
from tables import Table, around_section, write_section

from synctool.cores import usable_cores
from synctool.settings.shared import DEFAULT_DETECTOR
from videos import ROOT, arguments, shared

SCRIPT = "benchmarks/speed.py"
PAGE = ROOT / "docs" / "performance.md"
FIGURES = PAGE.with_suffix(".json")
LIBRARIES = ("av", "numpy", "onnxruntime", "opencv-python-headless")
STAGES = ("frames", "faces", "crops", "model", "audio", "scoring")
GENERATED_S = 30
_ONCE_S = 10
"""The generated videos show so many seconds over and over."""
_OPTIONS = {
    "libx264": {"preset": "veryfast"},
    "libx265": {"preset": "veryfast", "x265-params": "log-level=error"},
    "libsvtav1": {"preset": "10"},
    "mpeg2video": {"b": "15M"},
    "prores_ks": {"profile": "2"},
}
_PIXELS = {"prores_ks": "yuv422p10le"}


@dataclass(frozen=True)
class Kind:
    """A generated video: lines, width, codec, faces."""

    lines: int
    width: int
    codec: str
    faces: int

    @property
    def name(self) -> str:
        """As a file name."""
        codec = self.codec.removeprefix("lib").removesuffix("_ks").removesuffix("video")
        return f"{self.lines}-{codec}-{self.faces}.mkv"


GENERATED = (
    *(
        Kind(n, n if n == 224 else n * 16 // 9 // 2 * 2, "libx264", 1)
        for n in (224, 360, 480, 720, 1080, 2160)
    ),
    Kind(720, 1280, "libx265", 1),
    Kind(720, 1280, "libsvtav1", 1),
    Kind(720, 1280, "mpeg2video", 1),
    Kind(1080, 1920, "prores_ks", 1),
    Kind(480, 852, "libx264", 4),
    Kind(1080, 1920, "libx264", 4),
)


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


def generate(kind: Kind, clips: Path, target: Path) -> None:
    """Ten seconds of one face, or of four beside each other, with the sound of the first, over and over."""
    names = ("demo1_video.mp4", "demo2_video.mp4", "demo3_video.mp4", "example.avi")
    grid = 1 if kind.faces == 1 else 2
    height, width = kind.lines // grid, kind.width // grid
    with av.open(str(target), "w") as out:
        video = out.add_stream(kind.codec, rate=25, options=_OPTIONS[kind.codec])
        video.width, video.height = kind.width, kind.lines
        video.pix_fmt = _PIXELS.get(kind.codec, "yuv420p")
        audio = out.add_stream("aac", rate=48_000)
        for begin in range(0, GENERATED_S, _ONCE_S):
            streams = [_faces(clips / name) for name in names[: kind.faces]]
            for index, parts in zip(range(25 * begin, 25 * (begin + _ONCE_S)), zip(*streams)):
                cells = [_cell(part, width, height) for part in parts]
                rows = [np.hstack(cells[i : i + grid]) for i in range(0, len(cells), grid)]
                frame = av.VideoFrame.from_ndarray(np.vstack(rows), format="rgb24")
                frame = frame.reformat(format=video.pix_fmt)
                frame.pts = index
                out.mux(video.encode(frame))
            with av.open(str(clips / names[0])) as source:
                for heard in source.decode(audio=0):
                    if heard.time is None or heard.time >= _ONCE_S:
                        break
                    heard.pts = None
                    out.mux(audio.encode(heard))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def _faces(path: Path) -> Iterator[np.ndarray]:
    """Frames in RGB: of tall ones the part with the face."""
    with av.open(str(path)) as source:
        for frame in source.decode(video=0):
            image = frame.to_ndarray(format="rgb24")
            height, width = image.shape[:2]
            if height > width:
                top = (height - width) // 4
                image = image[top : top + width]
            yield image


def _cell(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """A frame as high as a cell, on grey."""
    side = min(width, height)
    method = cv2.INTER_AREA if side < image.shape[0] else cv2.INTER_LINEAR
    cell = np.full((height, width, 3), 90, np.uint8)
    left, top = (width - side) // 2, (height - side) // 2
    cell[top : top + side, left : left + side] = cv2.resize(
        image, (side, side), interpolation=method
    )
    return cell


def run(*words: str) -> dict:
    """What a fresh process measures."""
    worker = Path(__file__).with_name("speed_worker.py")
    done = subprocess.run(
        [sys.executable, str(worker), *words], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(
    video_file: Path,
    runs: int,
    backbone: str,
    weights: str,
    runtimes: Sequence[str],
    detectors: Sequence[str] = (DEFAULT_DETECTOR,),
) -> list[dict]:
    """Medians for one video, by runtime and detector."""
    floors: list[dict] = []
    ways = [(runtime, detector) for runtime in runtimes for detector in detectors]
    found: dict[tuple[str, str], list[dict]] = {way: [] for way in ways}
    for _ in range(runs):
        floors.append(run("decode", str(video_file)))
        for way in ways:
            found[way].append(run("detect", str(video_file), backbone, weights, *way))
    return [
        _medians(video_file, detector, floors, of_way) for (_, detector), of_way in found.items()
    ]


def _medians(video_file: Path, detector: str, floors: list[dict], found: list[dict]) -> dict:
    def middle(rows: list[dict], key: str) -> float:
        return statistics.median(row[key] for row in rows)

    seconds = found[0]["video_s"]
    stages = {
        name: statistics.median(row["stage_cpu_s"].get(name, 0.0) for row in found) / seconds
        for name in STAGES
    }
    total = middle(found, "cpu_s") / seconds
    return {
        "video": video_file.name,
        "runtime": found[0]["runtime"],
        "detector": detector,
        "video_s": seconds,
        "decode_s": middle(floors, "wall_s"),
        "detect_s": middle(found, "wall_s"),
        "decode_cpu": middle(floors, "cpu_s") / seconds,
        "detect_cpu": total,
        "stage_cpu": stages,
        "start_s": middle(found, "start_s"),
        "times_real_time": seconds / middle(found, "wall_s"),
        "ratio_to_decoding": middle(found, "wall_s") / middle(floors, "wall_s"),
        "cpu_ratio_to_decoding": total * seconds / middle(floors, "cpu_s"),
        "peak_mb": middle(found, "peak_mb"),
        "decode_peak_mb": middle(floors, "peak_mb"),
        "timing_s": found[-1]["timing_s"],
        "offset": found[-1]["offset"],
        "verdict": found[-1]["verdict"],
    }


def _line(row: dict) -> str:
    stages = "  ".join(f"{name} {1000 * spent:.1f}" for name, spent in row["stage_cpu"].items())
    return (
        f"{row['video']:22} {row['video_s']:7.1f} s  {row['runtime']:5} {row['detector']}  "
        f"{row['times_real_time']:6.1f} x real time  "
        f"{row['ratio_to_decoding']:5.1f} x decoding ({row['decode_s']:.2f} s)  "
        f"peak {row['peak_mb']:.0f} MB (decoding {row['decode_peak_mb']:.0f})  "
        f"start {row['start_s']:.1f} s\n"
        f"    CPU ms for each second of video: {1000 * row['detect_cpu']:.1f}, "
        f"{row['cpu_ratio_to_decoding']:.1f} x decoding ({1000 * row['decode_cpu']:.1f}): {stages}"
    )


def summarised(rows: Sequence[dict], runs: int, up_to: int) -> Table:
    """The table of docs/performance.md."""
    table = Table(
        "Cost of detect",
        (
            "video", "wall / decoding", "x real time", "CPU / decoding",
            "decoding", "detect", *(f"of it {name}" for name in STAGES),
        ),
        note=f"`python {SCRIPT} --docs --up-to {up_to} --runs {runs}` on {usable_cores()} cores, "
        f"medians of {runs} runs; videos of "
        f"{GENERATED_S} s, named by lines, codec and faces, on a machine that did nothing else. From "
        "`decoding` on: CPU milliseconds for each second of video, starting (imports, the graphs) included. "
        "The stages are the Python threads' own; decoding inside detect and what is left is the rest. "
        f"`{FIGURES.name}` beside this page has all figures, the versions and the processor.",
    )  # fmt: skip
    for row in rows:
        table.rows.append(
            (
                row["video"].removesuffix(".mkv"),
                f"{row['ratio_to_decoding']:.1f}",
                f"{row['times_real_time']:.1f}",
                f"{row['cpu_ratio_to_decoding']:.1f}",
                f"{1000 * row['decode_cpu']:.1f}",
                f"{1000 * row['detect_cpu']:.1f}",
                *(f"{1000 * row['stage_cpu'][name]:.1f}" for name in STAGES),
            )
        )
    return table


def made_with() -> dict[str, str | int]:
    """What times depend on beside the code."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        **{name: version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "processor": next(iter(names), platform.processor()),
        "cores": usable_cores(),
    }


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument(
        "--video", type=Path, nargs="*", help="videos; the example and demo1 unless given"
    )
    parser.add_argument(
        "--minutes", type=float, default=10, help="length of the looped video; 0: none"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--runtime", nargs="+", default=["auto"], help="as of synctool detect")
    parser.add_argument("--detector", nargs="+", default=[DEFAULT_DETECTOR], help="of the faces")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md")
    parser.add_argument(
        "--up-to", type=int, default=2160, help="lines of the largest generated video"
    )
    given = parser.parse_args()
    clips = shared("clips")
    if given.docs:
        around_section(PAGE, script=SCRIPT)  # missing markers are said before the work
    videos = given.video or [clips / "example.avi", clips / "demo1_video.mp4"]
    weights = os.fspath(given.weights) if given.weights else ""
    rows = []
    with tempfile.TemporaryDirectory() as work:
        if given.docs:
            kinds = [kind for kind in GENERATED if kind.lines <= given.up_to]
            videos = [Path(work) / kind.name for kind in kinds]
            for kind, video_file in zip(kinds, videos):
                generate(kind, clips, video_file)
        elif given.minutes:
            long = Path(work) / f"loop-{given.minutes:g}min.mkv"
            loop(videos[0], long, given.minutes)
            videos = [*videos, long]
        for video_file in videos:
            for row in measure(
                video_file, given.runs, given.backbone, weights, given.runtime, given.detector
            ):
                rows.append(row)
                print(_line(row), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))
    if given.docs:
        table = summarised(rows, given.runs, given.up_to)
        table.show(Console(width=160))
        write_section(PAGE, table.markdown(), script=SCRIPT)
        FIGURES.write_text(json.dumps({"made_with": made_with(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
