"""``preprocess``: a tree of videos becomes samples of crops and audio to train on.

The videos are dealt into groups by a plan that is written first. A worker makes one group at a time and
finishes it atomically, so a killed run goes on where it stopped, never leaves half a clip, and ends with
the same bytes as one that was never interrupted.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from synctool.cores import usable_cores
from synctool.data.processed import ShardReport, read_report, report_name
from synctool.data.samples import FACE_CROP_PX, MOUTH_PX
from synctool.data.storage import LocalStorage, Storage, storage
from synctool.errors import MissingError, SyncToolError, UsageError
from synctool.extras import require
from synctool.measure.detectors import needed
from synctool.plugins import registry
from synctool.prepare.clips import CropSettings, SyncSettings
from synctool.prepare.shards import ShardJob, make_shard, shard_maker, without_killer
from synctool.prepare.videos import Collection, VideoEntry, collection, duplicates
from synctool.settings.preprocess import PreprocessSettings
from synctool.types import PLAYED
from synctool.untrusted.documents import parse_json, typed
from synctool.untrusted.origin import MalformedError, Origin
from synctool.workers import in_workers

PLAN = "plan.json"
MANIFEST = "manifest.json"
FAILURES = "failures.json"
SCHEMA = "synctool.processed/1"
GROUP_BYTES = 256 << 20
"""A group ends at so many bytes of video, however few videos that are: a kill loses no more."""
_LOCK = ".synctool-lock"


@dataclass(frozen=True)
class PreprocessProgress:
    """How far a run is.

    Attributes:
        films_done: Videos read, with or without a face in them.
        films_total: All videos.
        samples: Samples in finished groups.
        failures: Videos without a sample in finished groups.
        hours: Hours of samples in finished groups.
        film_s: Seconds of video read by this run.
        resumed_films: Videos that an earlier run had done.
        to_try_again: Of the failures, those that a further run tries again.
    """

    films_done: int
    films_total: int
    samples: int
    failures: int
    hours: float
    film_s: float
    resumed_films: int
    to_try_again: int = 0


def preprocess(
    videos: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: PreprocessSettings | None = None,
    *,
    on_progress: Callable[[PreprocessProgress], None] | None = None,
    **changes: Any,
) -> PreprocessProgress:
    """Cut all videos below a folder into samples.

    Args:
        videos: Folder with videos, with or without a ``manifest.csv``: a path, or an address that
            fsspec knows.
        out: Folder for the samples, likewise; an unfinished run in it is continued.
        settings: What to crop, and how to work; None for the defaults.
        on_progress: Called after each video (after each group on a cluster).
        changes: Settings by name that differ from ``settings``: see ``PreprocessSettings``.

    Returns:
        The final counts.

    Raises:
        MissingError: No such folder, no videos in it, or something the work needs is not here.
        UsageError: The output holds a run over other videos or with other settings.
        OutputError: The output cannot be written; what is finished stays, and the run can go on.
    """
    settings = PreprocessSettings.of(settings, changes)
    videos_at, target = storage(videos), storage(out)
    crops, sync = crop_settings(settings), sync_settings(settings)
    needed(settings.detector)
    if settings.engine == "ray":
        require("ray", "working on a cluster")
    identify = None
    if settings.tree != "auto":
        identify = registry.imported(registry.layouts.get(settings.tree).factory)
    if sync is not None:
        require("train", "taking out constant delays", "torch")
        from synctool.prepare.resync import check

        check(sync, crop=crops.crop, size_px=crops.size_px, colour=crops.colour)
    found = collection(videos_at, identify=identify)
    made_with = _lasting(settings, crops, sync)
    target.make()
    with _alone(target):
        plan = _settled_plan(target, videos_at, found, made_with, settings.shard_videos)
        jobs = [
            ShardJob(
                number=number,
                source=videos_at.address,
                output=target.address,
                videos=videos,
                layout=settings.layout,
                detector=settings.detector,
                crops=crops,
                sync=sync,
                allow_external=settings.allow_external,
                stall_s=settings.stall_timeout,
                streams=settings.streams,
            )
            for number, videos in enumerate(plan.groups)
        ]
        counts = _Counts(len(found.videos), len(plan.skipped), on_progress)
        finished = set(target.names("shard-*.json"))
        waiting = []
        for job in jobs:
            report = read_report(target, job.name) if f"{job.name}.json" in finished else None
            if report is None or _worth_another_try(report, videos_at):
                waiting.append(job)
            else:
                counts.add(report, resumed=True)
        counts.tell()
        for report in _made(waiting, settings, counts):
            counts.add(report)
            counts.tell()
        _conclude(target, len(jobs), plan, made_with)
        return counts.tell()


def crop_settings(settings: PreprocessSettings) -> CropSettings:
    """What is cropped out of videos."""
    face = settings.crop == "face"
    usual: Literal["gray", "rgb"] = "rgb" if face else "gray"
    return CropSettings(
        crop=settings.crop,
        size_px=settings.size or (FACE_CROP_PX if face else MOUTH_PX),
        colour=usual if settings.colour == "auto" else settings.colour,
        min_frames=settings.min_frames,
        max_faces=settings.max_faces,
        min_face_px=settings.min_face,
    )


def sync_settings(settings: PreprocessSettings) -> SyncSettings | None:
    """How clips are brought into sync; None leaves them as they are."""
    if not settings.sync_correct:
        return None
    weights = None if settings.weights is None else str(settings.weights.absolute())
    return SyncSettings(settings.backbone, weights, settings.sync_confidence)


def _worth_another_try(report: ShardReport, videos_at: Storage) -> bool:
    """Whether a finished group has videos that could not be read then and can be now.

    It is made anew as a whole, so that it ends with the bytes of one that never failed.
    """
    for film in report.to_try_again:
        try:
            videos_at.head(film, 1)
        except MissingError:
            continue
        return True
    return False


def _made(
    waiting: list[ShardJob], settings: PreprocessSettings, counts: _Counts
) -> Iterator[ShardReport]:
    if settings.engine == "ray":
        from synctool.prepare.ray_cluster import on_ray

        yield from on_ray(waiting, address=settings.address, workers=settings.jobs)
        return
    if settings.jobs == 1:  # wanted so: in this process, which a video may then kill
        yield from (make_shard(job, counts.video) for job in waiting)
        return
    reports = in_workers(
        shard_maker,
        waiting,
        workers=settings.jobs or usable_cores(),
        on_told=lambda job, seconds: counts.video(seconds),
        retry=without_killer,
    )
    for _, report in reports:
        assert isinstance(report, ShardReport)  # what kills workers is left out, not given up
        yield report


class _Counts:
    """Adds up reports, and videos of groups under way."""

    def __init__(
        self, total: int, skipped: int, on_progress: Callable[[PreprocessProgress], None] | None
    ) -> None:
        self._on_progress = on_progress
        self._now = PreprocessProgress(skipped, total, 0, skipped, 0.0, 0.0, skipped)
        self._told_videos, self._told_s = 0, 0.0

    def video(self, seconds: float) -> None:
        """One video of a group under way is done."""
        self._told_videos += 1
        self._told_s += seconds
        self.tell()

    def add(self, report: ShardReport, *, resumed: bool = False) -> None:
        """A group is finished; its videos have been told one by one, or not at all."""
        now = self._now
        self._now = replace(
            now,
            films_done=now.films_done + report.films,
            samples=now.samples + len(report.samples),
            failures=now.failures + len(report.failures),
            to_try_again=now.to_try_again + len(report.to_try_again),
            hours=now.hours + report.sample_s / 3600,
            film_s=now.film_s + (0.0 if resumed else report.film_s),
            resumed_films=now.resumed_films + (report.films if resumed else 0),
        )
        if not resumed:
            self._told_videos = max(0, self._told_videos - report.films)
            self._told_s = max(0.0, self._told_s - report.film_s)

    def tell(self) -> PreprocessProgress:
        now = replace(
            self._now,
            films_done=min(self._now.films_done + self._told_videos, self._now.films_total),
            film_s=self._now.film_s + self._told_s,
        )
        if self._on_progress:
            self._on_progress(now)
        return now


@dataclass(frozen=True)
class _Plan:
    groups: list[tuple[VideoEntry, ...]]
    skipped: list[dict[str, str]]


def _lasting(
    settings: PreprocessSettings, crops: CropSettings, sync: SyncSettings | None
) -> dict[str, Any]:
    """The settings that the samples depend on: a run can only be continued with the same ones."""
    facts = {
        **asdict(crops),
        "detector": settings.detector,
        "layout": settings.layout,
        "tree": settings.tree,
        "shard_films": settings.shard_videos,
    }
    if settings.allow_external:
        facts["allow_external"] = True
    if settings.streams != PLAYED:
        facts["streams"] = asdict(settings.streams)
    return {**facts, "sync": asdict(sync) if sync else None}


def _settled_plan(
    out: Storage,
    videos_at: Storage,
    found: Collection,
    settings: dict[str, Any],
    shard_films: int,
) -> _Plan:
    """The plan of the run that is to be continued, or a new one, written before the work begins."""
    listing = hashlib.sha256()
    for video in found.videos:
        listing.update(repr((video.name, video.size_bytes, video.speaker, video.split)).encode())
    facts = {"settings": settings, "films": len(found.videos), "listing": listing.hexdigest()}
    if out.exists(PLAN):
        old = _read_plan(out)
        _refuse_another(out, old, facts)
        same = old["duplicates"]
    else:
        same = duplicates(videos_at, found.videos)
        out.write(PLAN, _json({**facts, "duplicates": same}))
    skipped = [*found.unreadable]
    skipped += [{"film": n, "reason": f"the same content as {first}"} for n, first in same.items()]
    kept = [video for video in found.videos if video.name not in same]
    return _Plan(list(_groups(kept, shard_films)), skipped)


def _read_plan(out: Storage) -> dict[str, Any]:
    origin = Origin(f"{PLAN} in {out.place}", "Choose an empty folder, or delete this one.")
    with origin.checked():
        plan = typed(parse_json(out.read(PLAN)), dict[str, Any])
        if lacking := {"settings", "listing", "duplicates"} - set(plan):
            raise MalformedError(f"it lacks {min(lacking)}")
        typed(plan["settings"], dict[str, Any])
        typed(plan["duplicates"], dict[str, str])
    return plan


def _refuse_another(out: Storage, old: dict[str, Any], new: dict[str, Any]) -> None:
    if old.get("settings") != new["settings"]:
        before = old.get("settings") or {}
        changed = sorted(k for k, v in new["settings"].items() if before.get(k) != v)
        raise UsageError(
            f"{out.place} holds a run with other settings ({', '.join(changed)})",
            remedy="Give the same settings to continue it, or choose an empty folder.",
        )
    if old.get("listing") != new["listing"]:
        raise UsageError(
            f"{out.place} holds a run over other videos ({old.get('films')} then, "
            f"{new['films']} now)",
            remedy="Choose an empty folder, or delete this one to start over.",
        )


def _groups(videos: list[VideoEntry], most: int) -> Iterator[tuple[VideoEntry, ...]]:
    group: list[VideoEntry] = []
    size = 0
    for video in videos:
        if group and (len(group) == most or size + video.size_bytes > GROUP_BYTES):
            yield tuple(group)
            group, size = [], 0
        group.append(video)
        size += video.size_bytes
    if group:
        yield tuple(group)


def _conclude(out: Storage, groups: int, plan: _Plan, settings: dict[str, Any]) -> None:
    """Write the failures and the manifest, from the reports alone: the same whoever made them."""
    failures, dropped = list(plan.skipped), []
    totals = dict.fromkeys(("films", "samples", "failures", "size_bytes"), 0)
    seconds = {"film_s": 0.0, "sample_s": 0.0}
    sources: dict[str, dict[str, Any]] = {}
    speakers: dict[str, set[str]] = {}
    shards = []
    for number in range(groups):
        report = read_report(out, report_name(number))
        failures += report.failures
        dropped += report.dropped
        totals["films"] += report.films
        totals["samples"] += len(report.samples)
        totals["size_bytes"] += report.size_bytes
        seconds["film_s"] += report.film_s
        seconds["sample_s"] += report.sample_s
        for sample in report.samples:
            row = sources.setdefault(sample["source"], {"samples": 0, "hours": 0.0, "speakers": 0})
            row["samples"] += 1
            row["hours"] += sample["num_frames"] / sample["fps"] / 3600
            if sample["speaker"]:
                speakers.setdefault(sample["source"], set()).add(sample["speaker"])
        shards.append(
            {
                "name": report.name,
                "films": report.films,
                "samples": len(report.samples),
                "size_bytes": report.size_bytes,
                "sha256": report.sha256,
            }
        )
    totals["films"] += len(plan.skipped)
    totals["failures"] = len(failures)
    for source, row in sources.items():
        row["hours"] = round(row["hours"], 4)
        row["speakers"] = len(speakers.get(source, ()))
    out.write(FAILURES, _json([*failures, *dropped]))
    out.write(
        MANIFEST,
        _json(
            {
                "schema": SCHEMA,
                "settings": settings,
                **totals,
                "dropped_clips": len(dropped),
                "film_hours": round(seconds["film_s"] / 3600, 4),
                "hours": round(seconds["sample_s"] / 3600, 4),
                "sources": dict(sorted(sources.items())),
                "shards": shards,
            }
        ),
    )


@contextmanager
def _alone(out: Storage) -> Iterator[None]:
    """Keep a second run out of a local folder, and sweep up what a killed one left behind."""
    if not isinstance(out, LocalStorage):
        yield
        return
    import filelock

    lock = filelock.FileLock(out.path / _LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise SyncToolError(
            f"another run is working in {out.place}",
            remedy="Wait for it, or choose another folder.",
        ) from error
    try:
        for rest in out.path.glob(".synctool-*"):
            if rest.is_dir():
                shutil.rmtree(rest, ignore_errors=True)
            elif rest.name != _LOCK:
                rest.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()
