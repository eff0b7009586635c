"""Videos whose audio was moved, repaired by ``fix``: what is left of the offset, and whether all else stays.

Short clips are written in five containers with a known defect: whole and fractional offsets of either sign,
drift, two segments; at variable rates, with B-frames, edit lists, rotation, subtitles and two audio tracks.
Each is measured, repaired and measured again; the repaired audio is also found in the clip's own by
correlation, which knows nothing of networks.

    python benchmarks/repairs.py [--clips FOLDER] [--only NAME] [--docs] [--json FILE] [--rows FILE]

``--rows`` keeps finished rows in a file, so that a stopped run goes on. With ``--docs`` it writes the table
of docs/repair.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from tables import Table, write_section

from synctool import fix
from synctool.errors import SyncToolError
from synctool.media.video_file import VideoFile
from synctool.types import AUDIO_HZ, FRAME_MS
from videos import ROOT, shared

SCRIPT = "benchmarks/repairs.py"
PAGE = ROOT / "docs" / "repair.md"
HEIGHT_PX = 288
RATE = 48_000
LIMIT_MS = FRAME_MS / 3

# Clips by a short name: seconds are taken from the start.
CLIPS: dict[str, tuple[str, float]] = {
    "news": ("../clips/example.avi", 5.0),
    "long": ("../clips/example.avi", 25.0),
    "ted": ("wild/LRS3/w1R4F9sSoow/w1R4F9sSoow_00001.mp4", 4.3),
    "bbc": ("wild/LRS2-den/kelly_hoppen/00033.mp4", 4.5),
    "lesson": ("wild/Lip2Wav/chem/VzvinAckmQU_012.mp4", 4.6),
}


@dataclass(frozen=True)
class Case:
    """One wrong video.

    Attributes:
        clip: Short name of the clip.
        suffix: Ending of the file.
        video: Encoder of the frames.
        audio: Encoder of the audio.
        offset_ms: How far the audio is made ahead.
        then_ms: The same from the middle on, where it changes.
        drift_ms_per_min: How fast it grows.
        more: What else is special: ``vfr``, ``bframes``, ``edits``, ``rotated``, ``subtitles``, ``two``,
            ``cover`` (an attached image and a second video track).
    """

    clip: str
    suffix: str
    video: str
    audio: str
    offset_ms: float
    then_ms: float | None = None
    drift_ms_per_min: float = 0.0
    more: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Tells it from the others."""
        parts = [self.clip, self.suffix[1:], self.video, self.audio, f"{self.offset_ms:+g}"]
        if self.then_ms is not None:
            parts.append(f"then {self.then_ms:+g}")
        if self.drift_ms_per_min:
            parts.append(f"drift {self.drift_ms_per_min:+g}")
        return " ".join([*parts, *self.more])

    @property
    def defect(self) -> str:
        """What is wrong with it, in words."""
        if self.then_ms is not None:
            return f"{self.offset_ms:+g} ms, then {self.then_ms:+g} ms"
        drift = f", {self.drift_ms_per_min:+g} ms/min" if self.drift_ms_per_min else ""
        return f"{self.offset_ms:+g} ms{drift}"

    def offset_s(self, video_s: np.ndarray, middle_s: float) -> np.ndarray:
        """How far the audio is ahead at times of the video."""
        ms = self.offset_ms + self.drift_ms_per_min * video_s / 60
        if self.then_ms is not None:
            ms = np.where(video_s < middle_s, ms, self.then_ms)
        return ms / 1000


X264, AAC = "libx264", "aac"
CASES = (
    *(Case(c, ".mp4", X264, AAC, o) for c, o in (("news", 200.0), ("ted", -160.0), ("bbc", 83.3))),
    Case("lesson", ".mp4", X264, AAC, -247.5, more=("bframes",)),
    Case("news", ".mp4", X264, AAC, 120.0, more=("bframes", "edits")),
    Case("ted", ".mp4", X264, AAC, 150.0, more=("vfr",)),
    Case("bbc", ".mp4", X264, AAC, -200.0, more=("rotated",)),
    Case("lesson", ".mp4", X264, AAC, 170.0, more=("two", "subtitles")),
    Case("news", ".mp4", X264, "libmp3lame", -90.0),
    Case("lesson", ".mp4", X264, AAC, -130.0, more=("cover",)),
    Case("ted", ".mp4", X264, "alac", 333.3),
    *(Case(c, ".mov", X264, AAC, o) for c, o in (("bbc", 120.0), ("news", -180.0))),
    Case("ted", ".mov", "mjpeg", "pcm_s16le", -133.3, more=("rotated",)),
    *(Case(c, ".mkv", X264, AAC, o) for c, o in (("news", 160.0), ("ted", -200.0), ("bbc", 66.6))),
    Case("lesson", ".mkv", X264, "flac", -287.5, more=("bframes",)),
    Case("bbc", ".mkv", X264, "libopus", -120.0, more=("vfr",)),
    Case("ted", ".mkv", X264, "ac3", 240.0, more=("two", "subtitles")),
    Case("news", ".mkv", X264, "pcm_s24le", -101.7),
    Case("lesson", ".mkv", X264, "libmp3lame", 180.0, more=("bframes", "subtitles")),
    *(Case(c, ".webm", "libvpx", "libopus", o) for c, o in (("news", 200.0), ("ted", -160.0))),
    Case("bbc", ".webm", "libvpx", "libopus", 113.3, more=("vfr",)),
    *(Case(c, ".ts", X264, AAC, o) for c, o in (("news", 120.0), ("ted", -200.0))),
    Case("bbc", ".ts", "mpeg2video", "mp2", 186.6),
    Case("lesson", ".ts", X264, "ac3", -140.0, more=("bframes", "two")),
    *(Case(c, ".avi", "mpeg4", "libmp3lame", o) for c, o in (("news", 200.0), ("ted", -155.0))),
    Case("bbc", ".avi", "mpeg4", "pcm_s16le", 77.7),
    Case("lesson", ".avi", "mpeg4", "pcm_s16le", -212.5),
    Case("news", ".avi", "mpeg4", "ac3", -110.0),
    *(
        Case("long", suffix, video, audio, first, then_ms=then)
        for suffix, video, audio, first, then in (
            (".mp4", X264, AAC, 200.0, -120.0),
            (".mkv", X264, "flac", -160.0, 120.0),
            (".avi", "mpeg4", "pcm_s16le", 120.0, -80.0),
        )
    ),
    *(
        Case("long", suffix, video, audio, 40.0, drift_ms_per_min=drift)
        for suffix, video, audio, drift in (
            (".mp4", X264, AAC, 400.0),
            (".mkv", X264, "libopus", -300.0),
            (".ts", X264, AAC, 300.0),
        )
    ),
)


# --------------------------------------------------------------------------- making


@dataclass(frozen=True)
class Clip:
    """Frames and audio of a clip, from time 0 of its own timeline."""

    frames: tuple[np.ndarray, ...]
    audio: np.ndarray
    seconds: float


@cache
def load(name: str, corpus: Path) -> Clip:
    """A clip at 25 frames/s and 48 kHz; ``long`` goes back and forth to be long enough."""
    place, seconds = CLIPS[name]
    with VideoFile(corpus / place, colour="rgb") as video_file:
        frames = [_small(image.colour) for image in video_file if image.colour is not None]
        audio = video_file.audio.pop(video_file.audio.end).astype(np.float32) / 32768
    length = len(frames) * AUDIO_HZ // 25
    audio = np.pad(audio, (0, max(0, length - len(audio))))[:length]
    while len(frames) < seconds * 25:
        frames, audio = frames + frames, np.concatenate([audio, audio])
    count = round(seconds * 25)
    audio = audio[: count * AUDIO_HZ // 25]
    at = np.arange(len(audio) * (RATE // AUDIO_HZ)) / (RATE // AUDIO_HZ)
    return Clip(
        tuple(frames[:count]),
        np.interp(at, np.arange(len(audio)), audio).astype(np.float32),
        seconds,
    )


def _small(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(1.0, HEIGHT_PX / height)
    size = (round(width * scale / 2) * 2, round(height * scale / 2) * 2)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def spoiled(case: Case, clip: Clip) -> np.ndarray:
    """The audio of a clip, wrong as a case says."""
    audio_s = np.arange(len(clip.audio)) / RATE
    middle_s = clip.seconds / 2
    if case.then_ms is not None:
        first, then = case.offset_ms / 1000, case.then_ms / 1000
        late = audio_s >= max(middle_s - first, middle_s - then)
        video_s = np.where(audio_s < middle_s - first, audio_s + first, np.inf)
        video_s = np.where(late, audio_s + then, video_s)
    else:
        growth = case.drift_ms_per_min / 60_000
        video_s = (audio_s + case.offset_ms / 1000) / (1 - growth)
    at = video_s * RATE
    return np.interp(at, np.arange(len(clip.audio)), clip.audio, left=0, right=0).astype(np.float32)


def write(case: Case, clip: Clip, audio: np.ndarray, path: Path) -> None:
    """A video of a clip's frames and any audio."""
    options = {"movflags": "+faststart"} if "edits" in case.more else {}
    with av.open(str(path), "w", options=options) as made:
        quick = {
            X264: {"preset": "veryfast", "crf": "18", "bf": "2" if "bframes" in case.more else "0"},
            "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "10", "b": "2M"},
            "mpeg4": {"q": "3"}, "mpeg2video": {"q": "3"}, "mjpeg": {"q": "3"},
        }[case.video]  # fmt: skip
        video = made.add_stream(case.video, rate=25, options=quick)
        size = clip.frames[0].shape[:2]
        video.height, video.width = size[::-1] if "rotated" in case.more else size
        video.pix_fmt = "yuvj420p" if case.video == "mjpeg" else "yuv420p"
        if case.video in (X264, "libvpx"):
            video.codec_context.time_base = Fraction(1, 1000)
        if "rotated" in case.more:
            video.set_display_rotation(90)
        tracks = [audio, np.roll(audio, RATE)] if "two" in case.more else [audio]
        heard = [made.add_stream(case.audio, rate=RATE, layout="mono") for _ in tracks]
        words = None
        if "subtitles" in case.more:
            words = made.add_mux_stream("mov_text" if path.suffix == ".mp4" else "subrip")
            words.time_base = Fraction(1, 1000)
        packets = []
        for number, image in enumerate(clip.frames):
            if "vfr" in case.more and number % 5 in (2, 3):
                continue
            turned = np.rot90(image, -1) if "rotated" in case.more else image
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(turned), "rgb24")
            unit = video.codec_context.time_base or Fraction(1, 25)
            frame.pts, frame.time_base = round(Fraction(number, 25) / unit), unit
            packets += video.encode(frame.reformat(format=video.pix_fmt))
        packets += video.encode(None)
        for samples, stream in zip(tracks, heard, strict=True):
            packets += _encoded(samples, stream)
        packets.sort(key=lambda p: float((p.dts or 0) * p.time_base))
        if "cover" in case.more:
            packets = [*_cover(made, clip), *packets]
        early = Fraction(1, 10) if "edits" in case.more else Fraction(0)
        for packet in packets:
            if early and packet.stream.type == "audio":  # the edit list hides a tenth of a second
                packet.pts -= round(early / packet.time_base)
                packet.dts = packet.pts
            made.mux(packet)
        for number, text in enumerate((b"one", b"two") if words else ()):
            body = len(text).to_bytes(2, "big") + text if path.suffix == ".mp4" else text
            packet = av.Packet(body)
            packet.stream, packet.time_base = words, Fraction(1, 1000)
            packet.pts = packet.dts = 500 + 1000 * number
            packet.duration = 800
            made.mux(packet)


def _cover(made: av.container.OutputContainer, clip: Clip) -> list[av.Packet]:
    """An attached image, and a second video track of one frame a second."""
    image = made.add_stream("mjpeg", rate=1)
    image.height, image.width = clip.frames[0].shape[:2]
    image.pix_fmt, image.disposition = "yuvj420p", av.stream.Disposition.attached_pic
    second = made.add_stream("mpeg4", rate=1)
    second.height, second.width = clip.frames[0].shape[:2]
    second.pix_fmt = "yuv420p"
    packets: list[av.Packet] = []
    for stream, count in ((image, 1), (second, int(clip.seconds))):
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(clip.frames[25 * number], "rgb24")
            frame.pts, frame.time_base = number, Fraction(1)
            packets += stream.encode(frame.reformat(format=stream.pix_fmt))
        packets += stream.encode(None)
    return packets


def _encoded(samples: np.ndarray, stream: av.AudioStream) -> list[av.Packet]:
    packets = []
    for start in range(0, len(samples), 4800):
        part = np.clip(samples[start : start + 4800] * 32767, -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(part[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


# --------------------------------------------------------------------------- measuring


@dataclass
class Row:
    """What became of one case; milliseconds.

    Attributes:
        case: Its name.
        defect: What was wrong with it.
        method: How it was repaired.
        own: The clip's own offset.
        before: As measured before.
        residual: As measured after; the larger of two segments.
        heard: How far the repaired audio lies from where the clip's own offset puts it, by correlation:
            the worst place.
        same: Whether all packets but the audio's are the same, with their times.
        longer: By how much the video is longer.
        seconds: Time of the repair.
        error: Why there is none.
    """

    case: str
    defect: str
    method: str = ""
    own: float | None = None
    before: float | None = None
    residual: float | None = None
    heard: float | None = None
    same: bool = False
    longer: float = 0.0
    seconds: float = 0.0
    error: str = ""
    spans: list = field(default_factory=list)


def run(case: Case, corpus: Path, folder: Path, measure: Callable, own_ms: float) -> Row:
    """Make, repair and compare one video."""
    row = Row(case.name, case.defect, own=own_ms)
    clip = load(case.clip, corpus)
    wrong, fixed = folder / f"wrong{case.suffix}", folder / f"fixed{case.suffix}"
    audio = spoiled(case, clip)
    if "edits" in case.more:
        audio = np.concatenate([np.zeros(RATE // 10, np.float32), audio])
    write(case, clip, audio, wrong)
    fixed.unlink(missing_ok=True)
    try:
        started = time.perf_counter()
        done = fix(wrong, fixed, measure=measure, force=True)
    except SyncToolError as error:
        row.error = error.cause
        return row
    report = done.report
    row.method, row.seconds = report.method, time.perf_counter() - started
    row.before = done.before.offset_frames * FRAME_MS
    found = [s.offset_frames * FRAME_MS for s in done.after.segments if s.confidence >= 0.5]
    if done.after.offset_frames is not None:
        found.append(done.after.offset_frames * FRAME_MS)
    row.residual = max(found, key=abs) if found else None
    row.spans = [asdict(s) for s in done.plan.spans]
    row.heard = _heard(clip, fixed, own_ms)
    before, after = others(wrong), others(fixed)
    row.same = before[0] == after[0]
    row.longer = 1000 * (after[1] - before[1])
    return row


def others(path: Path) -> tuple[dict, float]:
    """Hashes of all streams but the audio, with their times from the first frame on; and where all ends."""
    found: dict[int, list] = {}
    end, begin = 0.0, None
    with av.open(str(path)) as video_file:
        for packet in video_file.demux():
            if not packet.size:
                continue
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None and not packet.is_discard:
                end = max(end, float((stamp + (packet.duration or 0)) * packet.time_base))
            if packet.stream.type == "audio":
                continue
            at = None
            if packet.pts is not None and video_file.format.name != "avi":
                if packet.stream.type == "video" and begin is None:
                    begin = packet.pts * packet.time_base
                at = round(1000 * float(packet.pts * packet.time_base - (begin or 0)))
            digest = hashlib.sha256(bytes(packet)).hexdigest()
            found.setdefault(packet.stream.index, []).append((at, digest))
    return found, end


def _heard(clip: Clip, fixed: Path, own_ms: float) -> float:
    """The worst distance of the repaired audio from where it belongs, over pieces of two seconds."""
    with VideoFile(fixed) as video_file:
        shown = [None if p.luma is None else _thumbnail(p.luma) for p in video_file]
        audio = video_file.audio.pop(video_file.audio.end).astype(np.float32)
    audio = audio[_late_frames(clip, shown) * AUDIO_HZ // 25 :]
    wanted = clip.audio[:: RATE // AUDIO_HZ]
    size, reach, worst = 2 * AUDIO_HZ, AUDIO_HZ // 2, 0.0
    pieces = list(range(reach, min(len(audio), len(wanted)) - size - reach, size))
    middle = len(wanted) // 2
    if clip.seconds > 10:  # what lies on the border of two segments belongs to none
        pieces = [s for s in pieces if not s - reach < middle < s + size + reach]
    for start in pieces:
        piece = audio[start : start + size]
        around = wanted[start - reach : start + size + reach]
        match = np.correlate(around - around.mean(), piece - piece.mean(), "valid")
        late_ms = 1000 * (reach - int(match.argmax())) / AUDIO_HZ
        off = late_ms - own_ms  # the clip's own offset is repaired, too
        worst = max(worst, off, key=abs)
    return worst


def _thumbnail(luma: np.ndarray) -> np.ndarray:
    return cv2.resize(luma, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)


def _late_frames(clip: Clip, shown: Sequence[np.ndarray | None]) -> int:
    """How many ticks later than in the clip the frames are shown: some containers begin with an empty one."""
    wanted = [_thumbnail(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY)) for f in clip.frames]

    def error(late: int) -> float:
        pairs = [
            (a, b) for a, b in zip(shown[late:], wanted) if a is not None and a.shape == b.shape
        ]
        return float(np.mean([np.abs((a - a.mean()) - (b - b.mean())).mean() for a, b in pairs]))

    return min(range(4), key=error)


def own_offset_ms(name: str, corpus: Path, folder: Path, measure: Callable) -> float:
    """The offset that a clip has of its own."""
    clip = load(name, corpus)
    write(Case(name, ".mkv", X264, "pcm_s16le", 0.0), clip, clip.audio, folder / "own.mkv")
    return measure(str(folder / "own.mkv")).offset_frames * FRAME_MS


# --------------------------------------------------------------------------- output


def table(rows: Sequence[Row]) -> Table:
    """The rows as they are published."""
    made = Table(
        f"{len(rows)} repaired videos",
        (
            "clip, container, codecs", "defect", "method", "before", "residual", "in the audio",
            "other streams", "longer",
        ),
        note=f"Milliseconds. `{SCRIPT} --docs`. *Before* and *residual* are measured by `fix`, of "
        "several segments the worst; *in the audio* is how far the repaired audio lies from the clip's "
        "own, less the clip's own offset, found by correlation (the worst two seconds); *other streams*: "
        "packets and times of all that is not audio; *longer*: by how much the last packet ends later.",
    )  # fmt: skip
    for row in rows:
        if row.error:
            made.rows.append((row.case, row.defect, row.error, "-", "-", "-", "-", "-"))
            continue
        made.rows.append(
            (
                row.case, row.defect, row.method, f"{row.before:+.0f}",
                "-" if row.residual is None else f"{row.residual:+.1f}", f"{row.heard:+.1f}",
                "identical" if row.same else "CHANGED", f"{row.longer:+.0f}",
            )
        )  # fmt: skip
    done = [r for r in rows if not r.error and r.residual is not None]
    residuals = [abs(r.residual or 0) for r in done]
    made.after = (
        f"{sum(x < LIMIT_MS for x in residuals)} of {len(rows)} are within a third of a frame "
        f"({LIMIT_MS:.1f} ms); the largest residual is {max(residuals, default=0):.1f} ms. "
        f"{sum(r.same for r in rows)} kept all other packets."
    )
    return made


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, default=shared("corpus"))
    parser.add_argument("--only", default="")
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--docs", action="store_true")
    given = parser.parse_args()
    from synctool.repairing.fix import default_measure

    known: dict[str, Row] = {}
    if given.rows and given.rows.exists():
        known = {r["case"]: Row(**r) for r in map(json.loads, given.rows.read_text().splitlines())}
    measure, own, rows = default_measure(), {}, []
    with tempfile.TemporaryDirectory(prefix="synctool-repairs-") as place:
        for case in track([c for c in CASES if given.only in c.name], console=Console(stderr=True)):
            row = known.get(case.name)
            if row is None:
                if case.clip not in own:
                    own[case.clip] = own_offset_ms(case.clip, given.clips, Path(place), measure)
                row = run(case, given.clips, Path(place), measure, own[case.clip])
                if given.rows:
                    with given.rows.open("a") as file:
                        file.write(json.dumps(asdict(row)) + "\n")
            rows.append(row)
    made = table(rows)
    made.show(Console(width=200))
    Console().print(made.after)
    if given.json:
        given.json.write_text(json.dumps([asdict(r) for r in rows], indent=1))
    if given.docs:
        write_section(PAGE, made.markdown(), script=SCRIPT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
