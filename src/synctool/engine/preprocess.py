"""``preprocess``: a tree of films becomes packed shards of mouth crops and sound.

The films are dealt into shards of a fixed number by a plan that is written first; a worker makes one
shard at a time and finishes it atomically, so a killed run goes on where it stopped and never leaves
half a clip.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from synctool.data.films import FilmEntry, collection
from synctool.data.packed import (
    FACE_PX,
    LONGEST_FRAMES,
    MOUTH_PX,
    Sample,
    SampleInfo,
    ShardReport,
    add_sample,
)
from synctool.engine.footage import build_detector, followed
from synctool.errors import SyncToolError, UsageError
from synctool.faces.crops import face_crop, mouth_crop
from synctool.files import atomic_write, make_folder, write_bytes
from synctool.media.film import Film
from synctool.types import SAMPLES_PER_FRAME

CONTEXT_FRAMES = 25
"""Sound kept on either side of a track, where the film has it."""
PLAN = "plan.json"
MANIFEST = "manifest.json"
FAILURES = "failures.json"


@dataclass(frozen=True)
class PreprocessProgress:
    """How far a run is, after each shard."""

    films_done: int
    films_total: int
    samples: int
    failures: int
    hours: float


def preprocess(
    source: Path,
    output: Path,
    *,
    detector: str,
    workers: int,
    min_frames: int,
    shard_films: int,
    on_progress: Callable[[PreprocessProgress], None] | None = None,
) -> PreprocessProgress:
    """Pack all films below a folder.

    Args:
        source: Folder with films, with or without a ``manifest.csv``.
        output: Folder for the shards; an unfinished run in it is continued.
        detector: Name of the face detector.
        workers: Processes; 0 takes one per core.
        min_frames: Shorter tracks are dropped.
        shard_films: Films per shard.
        on_progress: Called after each shard.

    Returns:
        The final counts.

    Raises:
        MissingError: No such folder, or no films in it.
        UsageError: The output holds a run over other films or with other settings.
        OutputError: The output cannot be written.
    """
    entries = collection(source)
    settings = {"detector": detector, "min_frames": min_frames, "shard_films": shard_films}
    make_folder(output)
    _settle_plan(output, entries, settings)
    groups = [entries[i : i + shard_films] for i in range(0, len(entries), shard_films)]
    reports: dict[int, ShardReport] = {}
    waiting = []
    for number in range(len(groups)):
        facts = _shard_path(output, number).with_suffix(".json")
        if facts.is_file():
            reports[number] = ShardReport(**json.loads(facts.read_text("utf-8")))
        else:
            waiting.append(number)

    def tell() -> PreprocessProgress:
        progress = PreprocessProgress(
            films_done=sum(r.films for r in reports.values()),
            films_total=len(entries),
            samples=sum(len(r.samples) for r in reports.values()),
            failures=sum(len(r.failures) for r in reports.values()),
            hours=sum(s["num_frames"] for r in reports.values() for s in r.samples) / 25 / 3600,
        )
        if on_progress:
            on_progress(progress)
        return progress

    tell()
    for number, report in _work(waiting, groups, output, detector, min_frames, workers):
        reports[number] = report
        tell()
    ordered = [reports[n] for n in sorted(reports)]
    _write_json(output / FAILURES, [f for r in ordered for f in r.failures])
    _write_json(
        output / MANIFEST,
        {"settings": settings, "samples": [s for r in ordered for s in r.samples]},
    )
    return tell()


def _work(
    waiting: list[int],
    groups: list[list[FilmEntry]],
    output: Path,
    detector: str,
    min_frames: int,
    workers: int,
) -> Iterator[tuple[int, ShardReport]]:
    workers = min(workers or os.cpu_count() or 1, max(len(waiting), 1))
    if workers == 1:
        for number in waiting:
            yield (
                number,
                make_shard(groups[number], _shard_path(output, number), detector, min_frames),
            )
        return
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    jobs: dict[Future[ShardReport], int] = {}
    left = list(reversed(waiting))
    try:
        while left or jobs:
            while left and len(jobs) < workers + 1:
                number = left.pop()
                job = pool.submit(
                    make_shard, groups[number], _shard_path(output, number), detector, min_frames
                )
                jobs[job] = number
            done, _ = wait(jobs, return_when=FIRST_COMPLETED)
            for job in done:
                yield jobs.pop(job), job.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def make_shard(entries: list[FilmEntry], path: Path, detector: str, min_frames: int) -> ShardReport:
    """Pack a few films into one shard; a film that fails is noted and the rest goes on."""
    finder = build_detector(detector)
    report = ShardReport(films=len(entries))
    with atomic_write(path) as file, tarfile.open(fileobj=file, mode="w") as tar:
        for entry in entries:
            try:
                samples = list(film_samples(entry, finder, min_frames=min_frames))
            except SyncToolError as error:
                report.failures.append({"film": entry.name, "reason": error.cause})
                continue
            if not samples:
                report.failures.append(
                    {"film": entry.name, "reason": f"no face for {min_frames} frames"}
                )
            for sample in samples:
                add_sample(tar, sample)
                report.samples.append(asdict(sample.info))
    _write_json(path.with_suffix(".json"), asdict(report))
    return report


def film_samples(entry: FilmEntry, detector: object, *, min_frames: int) -> Iterator[Sample]:
    """The largest face of each moment of a film, as samples.

    Args:
        entry: The film.
        detector: A face detector.
        min_frames: Shorter tracks are dropped.

    Raises:
        SyncToolError: The film cannot be read.
    """
    tracks: dict[int, list[np.ndarray]] = {}
    first: dict[int, int] = {}
    faces: dict[int, np.ndarray] = {}
    heights: dict[int, float] = {}
    with Film(entry.path) as film:
        for tracked in followed(film, detector, max_faces=1):
            luma = tracked.picture.luma
            for number, pose in tracked.poses.items():
                first.setdefault(number, tracked.picture.index)
                if number not in faces:
                    faces[number] = face_crop(luma, pose.box, FACE_PX)
                    heights[number] = float(pose.box[3] - pose.box[1]) / tracked.picture.scale
                tracks.setdefault(number, []).append(mouth_crop(luma, pose.points, MOUTH_PX))
        sound = film.sound.pop(film.sound.end)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", os.path.splitext(entry.name)[0])
    for number, crops in tracks.items():
        for start in range(0, len(crops), LONGEST_FRAMES):
            part = crops[start : start + LONGEST_FRAMES]
            if len(part) < min_frames:
                continue
            tick = first[number] + start
            begin = max(0, tick - CONTEXT_FRAMES) * SAMPLES_PER_FRAME
            end = (tick + len(part) + CONTEXT_FRAMES) * SAMPLES_PER_FRAME
            info = SampleInfo(
                key=f"{stem}-{number:02d}-{tick:06d}",
                video_path=entry.name,
                speaker=entry.speaker,
                source=entry.source,
                split=entry.split,
                track=number,
                first_tick=tick,
                num_frames=len(part),
                sound_lead=tick * SAMPLES_PER_FRAME - begin,
                face_px=round(heights[number], 1),
            )
            yield Sample(info, np.stack(part), faces[number], sound[begin:end])


def _settle_plan(output: Path, entries: list[FilmEntry], settings: dict[str, object]) -> None:
    plan = {"settings": settings, "films": [e.name for e in entries]}
    path = output / PLAN
    if path.is_file():
        if json.loads(path.read_text("utf-8")) != plan:
            raise UsageError(
                f"{output} holds a run over other films or with other settings",
                remedy="Choose an empty folder, or delete this one to start over.",
            )
        return
    _write_json(path, plan)


def _shard_path(output: Path, number: int) -> Path:
    return output / f"shard-{number:05d}.tar"


def _write_json(path: Path, value: object) -> None:
    write_bytes(path, json.dumps(value, ensure_ascii=False, indent=1).encode())
