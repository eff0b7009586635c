"""One group of videos becomes one shard: what a worker does, on this machine or on another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache

from synctool.data.folders import FolderWriter, folder_writer
from synctool.data.packed import PackedWriter, packed_writer
from synctool.data.processed import TRY_AGAIN, ShardReport, report_name
from synctool.data.storage import Storage, storage
from synctool.errors import OutputError, SyncToolError, TransientError, described
from synctool.faces.detector import FaceDetector
from synctool.measure.tracks import build_detector
from synctool.media.video_file import VideoFile
from synctool.media.waiting import STALL_S
from synctool.prepare.clips import CropSettings, SyncSettings, VideoClips
from synctool.prepare.videos import VideoEntry
from synctool.types import PLAYED, VIDEO_FPS, StreamSelection
from synctool.workers import KILLED, Work

_log = logging.getLogger(__name__)
WRITERS = {"packed": packed_writer, "folders": folder_writer}
NOW = ".now"
"""Suffix of the file in which a careful worker says which video it is about to read."""


@dataclass(frozen=True)
class ShardJob:
    """A group of videos, and everything needed to pack them.

    Attributes:
        number: Number of the group.
        source: Folder of the videos: a path or an address.
        output: The processed folder, likewise.
        videos: The videos.
        layout: ``packed`` or ``folders``.
        detector: Name of the face detector.
        crops: What is cut out.
        sync: How clips are brought into sync; None leaves them as they are.
        skip: Videos not to touch, by name, and why: they have killed a worker.
        allow_external: Whether a playlist may name local files outside its folder.
        streams: Which streams of a video, as a player takes them unless told.
        stall_s: Longest wait for a frame, in seconds; 0 waits for ever.
        careful: Say before each video which one it is, so that a killer can be named.
    """

    number: int
    source: str
    output: str
    videos: tuple[VideoEntry, ...]
    layout: str
    detector: str
    crops: CropSettings
    sync: SyncSettings | None = None
    skip: Mapping[str, str] = field(default_factory=dict)
    careful: bool = False
    allow_external: bool = False
    streams: StreamSelection = PLAYED
    stall_s: float = STALL_S

    @property
    def name(self) -> str:
        """Name of the shard."""
        return report_name(self.number)


def make_shard(job: ShardJob, on_video: Callable[[float], None] | None = None) -> ShardReport:
    """Pack a group of videos; one that fails is noted and the rest goes on.

    The report is written last: it says that the group is finished.

    Args:
        job: What to do.
        on_video: Told the seconds of each video that is done.

    Raises:
        OutputError: The output cannot be written.
    """
    source, output = storage(job.source), storage(job.output)
    report = ShardReport(name=job.name, layout=job.layout, films=len(job.videos))
    with WRITERS[job.layout](output, job.name) as writer:
        for entry in job.videos:
            if job.careful:
                output.write(job.name + NOW, entry.name.encode("utf-8", "surrogateescape"))
            before, reason = report.film_s, job.skip.get(entry.name)
            why = (
                _pack(job, entry, source, writer, report) if reason is None else {"reason": reason}
            )
            if why is not None:
                report.failures.append({"film": entry.name, **why})
            if on_video:
                on_video(report.film_s - before)
    report.film_s = round(report.film_s, 2)
    report.size_bytes, report.sha256 = writer.size_bytes, writer.sha256
    output.write(f"{job.name}.json", report.to_json())
    if job.careful:
        output.remove(job.name + NOW)
    return report


def shard_maker() -> Work[ShardJob, ShardReport]:
    """What a worker of this machine begins with."""
    return make_shard


def without_killer(job: ShardJob, deaths: int = 0) -> ShardJob:
    """The job to try again after its worker died: careful from now on, and without a video that is
    proven to kill workers.

    Args:
        job: As it was.
        deaths: How many workers it has killed; it is tried as long as there is a video to leave out.

    Raises:
        SyncToolError: No video can be blamed.
    """
    if not job.careful:
        return replace(job, careful=True)
    output, video = storage(job.output), None
    if output.exists(job.name + NOW):
        video = output.read(job.name + NOW).decode("utf-8", "surrogateescape")
    if video is None or video in job.skip:
        raise SyncToolError(
            "workers keep crashing, whatever video they read",
            remedy="Free some memory, or use fewer --jobs, and run again.",
        )
    return replace(job, skip={**job.skip, video: KILLED})


def _pack(
    job: ShardJob,
    entry: VideoEntry,
    source: Storage,
    writer: PackedWriter | FolderWriter,
    report: ShardReport,
) -> dict[str, str] | None:
    """Pack one video; returns why there is nothing of it, and whether to try again, or None."""
    kept, dropped = 0, len(report.dropped)
    try:
        colour = None if job.crops.colour == "gray" else job.crops.colour
        with (
            source.local(entry.name) as path,
            VideoFile(
                path,
                streams=job.streams,
                colour=colour,
                stall_s=job.stall_s,
                allow_external=job.allow_external,
            ) as video,
        ):
            clips = VideoClips(video, entry, _detector(job.detector), job.crops)
            for sample in clips:
                if job.sync is not None:
                    clip = sample.info.key
                    sample, why = _resync(job.sync).corrected(sample)
                    if sample is None:
                        report.dropped.append({"film": entry.name, "clip": clip, "reason": why})
                        continue
                report.samples.append(asdict(writer.add(sample)))
                kept += 1
            report.film_s += video.frame_count / VIDEO_FPS
    except (OutputError, OSError):  # videos have errors of their own: this is the disk
        raise
    except (TransientError, MemoryError) as error:
        reason = error.cause if isinstance(error, SyncToolError) else "there was not enough memory"
        return {"reason": _broken_off(reason, kept), TRY_AGAIN: "yes"}
    except SyncToolError as error:
        return {"reason": _broken_off(error.cause, kept)}
    except Exception as error:
        # A mistake of ours or of a library must not end a run of days, nor each run after it.
        _log.warning("%s: %s", entry.name, error, exc_info=_log.isEnabledFor(logging.DEBUG))
        return {"reason": _broken_off(f"unexpected {described(error)}", kept)}
    if kept:
        return None
    if len(report.dropped) > dropped:
        return {"reason": report.dropped[-1]["reason"]}
    if clips.silent:
        return {"reason": "the audio is silent"}
    if clips.faces:
        return {"reason": f"no face for {job.crops.min_frames} frames"}
    return {"reason": "no face was found"}


def _broken_off(reason: str, kept: int) -> str:
    return f"{reason} (its first {kept} samples are kept)" if kept else reason


@lru_cache(maxsize=1)
def _detector(name: str) -> FaceDetector:
    return build_detector(name)


@lru_cache(maxsize=1)
def _resync(settings: SyncSettings):
    from synctool.prepare.resync import Resync  # imports torch

    return Resync(settings)
