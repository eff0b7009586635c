"""Speed, memory and size of ``synctool preprocess``, and what a large corpus would take by these figures.

The videos are packed by as many workers as there are cores; a part of them also by one worker, as folders,
and as face crops. Pure decoding of the same part, in the same run, is the floor. Peak memory is that of
the largest worker.

``pairs`` is timed on reports of made-up clips, as many as asked for.

    python benchmarks/data_road.py [VIDEOS] [--part 8] [--clips 100000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from synctool.cores import usable_cores
from videos import shared

VOXCELEB2_HOURS = 2442
"""Chung, Nagrani & Zisserman, "VoxCeleb2: Deep Speaker Recognition" (2018), table 1."""
CORES = (1, 16, 256)

_RUN = """
import json, resource, sys, time
from synctool.prepare.preprocess import preprocess
from synctool.settings.preprocess import PreprocessSettings
if __name__ == "__main__":
    started = time.perf_counter()
    done = preprocess(sys.argv[1], sys.argv[2], PreprocessSettings(**json.loads(sys.argv[3])))
    taken = time.perf_counter() - started
    kids, own = (resource.getrusage(w) for w in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    print(json.dumps({
        "wall_s": taken, "cpu_s": sum(u.ru_utime + u.ru_stime for u in (kids, own)),
        "peak_mb": max(kids.ru_maxrss, own.ru_maxrss) / 1024, "samples": done.samples}))
"""
_FLOOR = """
import av, resource, sys, time
started = time.process_time()
for path in open(sys.argv[1], encoding="utf-8").read().splitlines():
    with av.open(path) as video:
        for frame in video.decode(video=0, audio=0):
            pass
print(time.process_time() - started)
"""


_PAIRS = """
import json, resource, sys, time
from synctool.prepare.pairs import pairs
from synctool.settings.pairs import PairsSettings
started = time.perf_counter()
stats = pairs(sys.argv[1], sys.argv[2], PairsSettings())
rows = sum(part["pairs"] for part in stats["splits"].values())
print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows,
                  "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def run(script: str, *words: str) -> dict | float:
    """What a fresh interpreter prints last, as JSON; from a file, as its workers import it again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.py"
        path.write_text(script)
        done = subprocess.run(
            [sys.executable, str(path), *words], stdout=subprocess.PIPE, text=True, check=True
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(video_files: Path, work: Path, name: str, **settings: object) -> dict:
    """One run of preprocess."""
    out = work / name.replace(" ", "-")
    figures = run(_RUN, str(video_files), str(out), json.dumps(settings))
    manifest = json.loads((out / "manifest.json").read_text())
    hours = manifest["hours"]
    figures |= {
        "name": name,
        "film_hours": manifest["film_hours"],
        "hours": hours,
        "times_real_time": manifest["film_hours"] * 3600 / figures["wall_s"],
        "real_time_per_core": manifest["film_hours"] * 3600 / figures["cpu_s"],
        "gb_per_hour": manifest["size_bytes"] / 1e9 / max(hours, 1e-9),
    }
    print(
        f"{name:24} {figures['times_real_time']:6.1f} x real time   "
        f"{figures['real_time_per_core']:5.1f} x per core   peak {figures['peak_mb']:.0f} MB   "
        f"{figures['gb_per_hour']:.2f} GB an hour of faces",
        flush=True,
    )
    return figures


def measure_pairs(work: Path, clips: int) -> dict:
    """Time and memory of ``pairs`` on a processed folder that has reports only."""
    from synctool.data.processed import ShardReport, report_name
    from synctool.data.samples import SampleInfo

    folder = work / "made-up"
    folder.mkdir()
    for number, start in enumerate(range(0, clips, 640)):
        samples = []
        for i in range(start, min(start + 640, clips)):
            person, video = f"id{i // 180:05d}", f"{i // 8:07d}"
            name = f"{person}/{video}/{i % 8:05d}"
            info = SampleInfo(
                f"{name}-00-000000", f"{name}.mp4", person, "made up", "", 0, 0, 200, 0
            )
            samples.append(vars(info) | {"film": f"{person}/{video}"})
        report = ShardReport(name=report_name(number), samples=samples)
        (folder / f"{report.name}.json").write_bytes(report.to_json())
    figures = run(_PAIRS, str(folder), str(work / "pairs.json"))
    print(
        f"pairs: {clips} made-up clips, {figures['rows']} rows in {figures['seconds']:.1f} s, "
        f"peak {figures['peak_mb']:.0f} MB",
        flush=True,
    )
    return figures


def part_of(video_files: Path, target: Path, every: int) -> list[Path]:
    """Links to every so-manieth video, in a tree of the same form."""
    from synctool.prepare.videos import videos_in

    chosen = videos_in(video_files)[::every]
    for path in chosen:
        link = target / path.relative_to(video_files)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    return chosen


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", type=Path, nargs="?", default=shared("corpus"))
    parser.add_argument("--part", type=int, default=8, help="one video in so many, for the parts")
    parser.add_argument(
        "--clips", type=int, default=100_000, help="made-up clips for pairs; 0: none"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    cores = usable_cores()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        rows.append(measure(given.films, work, f"packed, {cores} workers", jobs=cores))
        chosen = part_of(given.films, work / "part", given.part)
        for name, settings in (
            ("part, 1 worker", {"jobs": 1}),
            ("part, folders", {"jobs": cores, "layout": "folders"}),
            ("part, faces 224 rgb", {"jobs": cores, "crop": "face"}),
            ("part, face folders", {"jobs": cores, "crop": "face", "layout": "folders"}),
        ):
            rows.append(measure(work / "part", work, name, **settings))
        (work / "list").write_text("\n".join(map(str, chosen)))
        floor_s = run(_FLOOR, str(work / "list"))
        pairs = measure_pairs(work, given.clips) if given.clips else None
    ratio = rows[1]["cpu_s"] / floor_s
    print(
        f"decoding alone takes {floor_s:.1f} s of one core for the part; one worker {ratio:.1f} x that"
    )
    per_core = rows[0]["real_time_per_core"]
    size = {row["name"].split(", ", 1)[1]: row["gb_per_hour"] * VOXCELEB2_HOURS for row in rows}
    print(f"VoxCeleb2, {VOXCELEB2_HOURS} hours, at {per_core:.1f} x real time per core:")
    plan = {}
    for count in CORES:
        hours = VOXCELEB2_HOURS / per_core / count
        plan[count] = hours
        print(
            f"  {count:4} cores: {hours:7.1f} hours"
            + (f" ({hours / 24:.1f} days)" if hours > 48 else "")
        )
    for name, gigabytes in size.items():
        print(f"  as {name}: {gigabytes:.0f} GB")
    if given.json:
        facts = {"rows": rows, "decode_s": floor_s, "ratio": ratio, "plan_hours": plan, "gb": size}
        facts["pairs"] = pairs
        given.json.write_text(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
