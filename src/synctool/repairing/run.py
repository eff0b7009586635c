"""``repair``: a video written anew as a plan says, without any measurement."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError, PatchWelcomeError

from synctool.errors import MediaError, OutputError, SyncToolError, UsageError
from synctool.files import atomic_path, output_error
from synctool.media.locating import is_pipe, locate
from synctool.media.opening import OpenedVideo, open_video
from synctool.names import printable
from synctool.repairing import edit_list
from synctool.repairing.containers import AVI, TargetContainer, container_for
from synctool.repairing.plan import OffsetSpan, RepairPlan
from synctool.repairing.reencode import NewAudio, encoder_for
from synctool.repairing.stream_copy import check_copy, write_copy
from synctool.repairing.survey import Survey, holds_programmes, moved_tracks, survey
from synctool.repairing.tracks import WORST_ROUNDING_S, CountedPackets, MovedPackets, TrackRepair

_REWRITTEN_PACKETS = {"mpegts"}
"""Muxers that put marks of their own into packets."""


@dataclass(frozen=True)
class RepairReport:
    """What was done to a video.

    Attributes:
        input: The video.
        output: The new file.
        plan: What was repaired.
        method: ``edit list``, ``timestamps``, ``packets`` or ``new audio``.
        tracks: Numbers of the audio tracks that were moved.
        notes: What else a person should know, as sentences' parts.
    """

    input: str
    output: str
    plan: RepairPlan
    method: str
    tracks: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def reencoded(self) -> bool:
        """Whether the audio was encoded again."""
        return self.method == "new audio"


def repair(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    plan: RepairPlan | float,
    *,
    overwrite: bool = False,
    allow_external: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> RepairReport:
    """Write a video anew with its audio moved. Nothing is measured.

    The length of the video stays: audio that comes to lie before its start or after its end is not
    played. All other streams are copied bit for bit.

    Args:
        path: The video.
        out: The new file; its ending chooses the container.
        plan: What is wrong with it; a number is one offset in milliseconds, > 0 for audio ahead.
        overwrite: Whether a file that is there may be replaced; never the video itself.
        allow_external: Whether a playlist may name local files outside its folder.
        on_progress: Told the share that is done, 0..1.

    Raises:
        MissingError: There is no such video.
        UsageError: The new file is the video itself, is there already, or is of no known container; there is
            no such audio track.
        MediaError: The video cannot be read or repaired.
        OutputError: The new file cannot be written, or its container cannot hold the streams.

    Example:
        >>> synctool.repair("talk.mp4", "fixed.mp4", 120)  # audio ahead by 120 ms  # doctest: +SKIP
    """
    wanted = plan if isinstance(plan, RepairPlan) else RepairPlan.constant(plan)
    container = check_target(path, out, overwrite=overwrite)
    with _told(out), atomic_path(out) as part:
        done = _Repair(
            path, out, part, wanted, container, allow_external, on_progress or _nothing
        )()
    return RepairReport(
        os.fspath(path), os.fspath(out), wanted, done.method, done.tracks, tuple(done.notes)
    )


def check_target(
    path: str | os.PathLike[str], out: str | os.PathLike[str], *, overwrite: bool
) -> TargetContainer:
    """See, before any work, whether a repaired video may be written there.

    Returns:
        Its container.

    Raises:
        MissingError: There is no such video.
        UsageError: The new file is the video itself, is there already, or is of no known container.
    """
    container = container_for(out)
    if is_pipe(path):
        raise UsageError(
            f"{printable(os.fspath(path))} is a pipe, and a repair reads the video twice",
            remedy="Save it, and give the file.",
        )
    source = locate(path)
    if os.path.exists(out):
        if os.path.samefile(source.path, out):
            raise UsageError(
                f"{os.fspath(out)} is the video itself, which is never overwritten",
                remedy="Give another name.",
            )
        if not os.path.isfile(out):
            raise UsageError(
                f"{os.fspath(out)} is no ordinary file", remedy="Give the name of a new file."
            )
        if not overwrite:
            raise UsageError(
                f"{os.fspath(out)} is there already",
                remedy="Give another name, or --overwrite to replace it.",
            )
    return container


@contextmanager
def _told(out: str | os.PathLike[str]):
    """Turn what FFmpeg refuses into words."""
    try:
        yield
    except SyncToolError:
        raise
    except (FFmpegError, ValueError) as error:
        code = getattr(error, "errno", None)
        if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise output_error(out, OSError(code, os.strerror(code))) from error
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, PatchWelcomeError):
            reason = "the container cannot hold a codec of the video"
        raise OutputError(
            f"cannot write {os.fspath(out)}: {reason}", remedy="Try another container, .mkv say."
        ) from error


class _Repair:
    """One repair on its way."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        out: str | os.PathLike[str],
        part: Path,
        plan: RepairPlan,
        container: TargetContainer,
        allow_external: bool,
        on_progress: Callable[[float], None],
    ) -> None:
        self._path, self._part, self._plan = path, part, plan
        self._out = out
        self._container, self._allow_external = container, allow_external
        self._on_progress = on_progress
        self.method = ""
        self.tracks: tuple[int, ...] = ()
        self.notes: list[str] = []

    def __call__(self) -> _Repair:
        with closing(self._open()) as opened:
            moved = moved_tracks(opened, self._plan.audio_track)
            self.tracks = tuple(opened.container.streams.audio.index(s) for s in moved)
            facts = survey(
                opened, self._plan.measured, on_progress=_part_of(self._on_progress, 0, 0.2)
            )
            self._check(opened, moved)
            offset_ms = self._plan.offset_ms
            if offset_ms is not None and self._is_iso(opened):
                self._by_edit_list(opened, moved, Fraction(offset_ms) / 1000)
                return self
        with closing(self._open()) as opened:
            moved = moved_tracks(opened, self._plan.audio_track)
            repairs = self._repairs(opened, moved, facts)
            counted = write_copy(
                opened,
                self._part,
                self._container,
                repairs,
                facts,
                on_progress=_part_of(self._on_progress, 0.2, 0.9),
            )
            family = self._container.family & set(opened.container.format.name.split(","))
            exactly = bool(family) and self._container.muxer not in _REWRITTEN_PACKETS
        check_copy(self._part, counted, exactly=exactly)
        self._on_progress(1.0)
        return self

    def _open(self) -> OpenedVideo:
        return open_video(self._path, allow_external=self._allow_external)

    def _check(self, opened: OpenedVideo, moved: Sequence[av.AudioStream]) -> None:
        """See whether a repair can end well.

        Raises:
            MediaError: It cannot.
        """
        opened.check_decodable(*moved)
        video_file = opened.container
        if any(s.codec_context is None for s in (*moved, *video_file.streams.video)):
            raise MediaError(
                f"{opened.name}: a stream has no decoder here, and cannot be copied",
                remedy="Convert it to a common codec first.",
            )
        if self._container.muxer == "mpegts" and holds_programmes(opened):
            raise MediaError(
                f"{opened.name} holds several programmes, which would become one",
                remedy="Take one of them out first, or write to .mkv.",
            )
        if self._container.muxer == AVI and video_file.format.name != AVI:
            raise OutputError(
                "AVI has no timestamps: only a video that is AVI can be written as AVI",
                remedy="Write to .mkv, .mp4 or .mov.",
            )
        reordered = any(s.codec_context.has_b_frames for s in video_file.streams.video)
        if video_file.format.name == AVI and self._container.muxer != AVI and reordered:
            raise MediaError(
                f"{opened.name} is an AVI with B-frames, which has no timestamps to copy",
                remedy="Write to .avi again, or convert it first.",
            )

    def _is_iso(self, opened: OpenedVideo) -> bool:
        """Whether the file can be repaired by its edit lists."""
        return (
            isinstance(opened.path, str)
            and self._container.hides_start
            and bool(self._container.family & set(opened.container.format.name.split(",")))
            and _kind(opened.path) == _kind(self._out)
            and edit_list.has_editable_index(Path(opened.path))
        )

    def _by_edit_list(
        self, opened: OpenedVideo, moved: Sequence[av.AudioStream], later: Fraction
    ) -> None:
        self.method = "edit list"
        edit_list.move_audio(
            Path(opened.path or self._path),
            self._part,
            later_s=later,
            track_ids={s.id for s in moved},
            on_progress=_part_of(self._on_progress, 0.2, 1.0),
        )

    # ------------------------------------------------------------------ tracks

    def _repairs(
        self, opened: OpenedVideo, moved: Sequence[av.AudioStream], facts: Survey
    ) -> dict[int, TrackRepair]:
        made: dict[int, TrackRepair] = {}
        for stream in opened.container.streams.audio:
            if stream in moved:
                made[stream.index] = self._track(stream, facts, self._plan.spans)
            elif self._container.muxer == AVI:
                made[stream.index] = self._counted(stream, facts, Fraction(0))
        return made

    def _track(
        self, stream: av.AudioStream, facts: Survey, spans: tuple[OffsetSpan, ...]
    ) -> TrackRepair:
        offset_ms = self._plan.offset_ms
        if offset_ms is None:
            return self._new_audio(stream, facts, spans)
        later = Fraction(offset_ms) / 1000
        if self._container.muxer != AVI:
            self.method = self.method or "timestamps"
            return MovedPackets(later=later, begin=facts.begin, end=facts.end)
        counted = self._counted(stream, facts, later)
        if abs(counted.rounding) > WORST_ROUNDING_S:
            self.notes.append(
                f"packets of {float(counted.unit) * 1000:.0f} ms are too long to be moved whole"
            )
            return self._new_audio(stream, facts, spans)
        self.method = self.method or "packets"
        if abs(counted.rounding) >= Fraction(1, 1000):
            self.notes.append(
                f"AVI has no timestamps: moved by whole packets, {float(counted.rounding) * 1000:+.1f} ms off"
            )
        return counted

    def _counted(self, stream: av.AudioStream, facts: Survey, later: Fraction) -> CountedPackets:
        own = facts.streams[stream.index]
        start = own.start or Fraction(0)
        return CountedPackets(
            stream,
            later=start - facts.begin + later,
            lasts=facts.end - facts.begin,
            packet_s=(own.end - start) / max(own.packets, 1),
        )

    def _new_audio(
        self, stream: av.AudioStream, facts: Survey, spans: tuple[OffsetSpan, ...]
    ) -> NewAudio:
        self.method = "new audio"
        own = facts.streams[stream.index]
        coding = encoder_for(stream, self._container.substitutes, bit_rate=own.bit_rate)
        if not coding.same:
            was = stream.codec_context.codec.canonical_name
            self.notes.append(f"there is no encoder for {was}: written as {coding.codec}")
        elif coding.bit_rate:
            self.notes.append(
                f"audio encoded again as {coding.codec}, {coding.bit_rate // 1000} kbit/s"
            )
        start = own.start or Fraction(0)
        if stream.start_time is not None and stream.time_base is not None:
            start = max(start, stream.start_time * stream.time_base)
        return NewAudio(
            stream,
            coding,
            spans,
            origin=facts.origin,
            start=start,
            stop=own.end,
            begin=facts.begin,
            end=facts.end,
            gapless=self._container.muxer == AVI,
            hides_start=self._container.hides_start,
        )


def _kind(path: str | os.PathLike[str]) -> str:
    """The ending of a name, one for all that are MP4."""
    suffix = Path(path).suffix.lower()
    return ".mp4" if suffix == ".m4v" else suffix


def _nothing(_: float) -> None:
    pass


def _part_of(
    on_progress: Callable[[float], None], low: float, high: float
) -> Callable[[float], None]:
    return lambda share: on_progress(low + (high - low) * share)
