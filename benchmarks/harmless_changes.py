"""Changes that must not move an offset: volume, sample rate, codec, channels, light, size, mirror.

A copy of each video is made with one thing changed that has nothing to do with time; both are measured.
The published table has the largest difference of all videos.

    python benchmarks/harmless_changes.py [--clips FOLDER] [--docs] [--json FILE]

With ``--docs`` it writes the table of docs/robustness.md.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from tables import Table, write_section

from synctool.measure.detect import Detector
from synctool.media.frame_reader import Planes
from synctool.media.frames import Frame
from synctool.media.rewrite import VideoCoding, rewrite
from synctool.networks.load import load_model
from synctool.types import VIDEO_FPS
from videos import ROOT, arguments, best_match, shared

SCRIPT = "benchmarks/harmless_changes.py"
PAGE = ROOT / "docs" / "robustness.md"
ALLOWED_FRAMES = 0.15
LENGTH_S = 10.0


@dataclass(frozen=True)
class Change:
    """One change: how the copy of a video is written."""

    kind: str
    name: str
    write: Callable[[Path, Path], None]


def with_audio(
    *, codec: str = "pcm_f32le", hz: int = 48_000, layout: str = "mono", gain_db: float = 0.0
) -> Callable[[Path, Path], None]:
    """Video copied bit for bit, audio decoded, amplified and encoded anew at its own times."""

    def write(source: Path, target: Path) -> None:
        with av.open(str(source)) as video, av.open(str(target), "w") as copy:
            shown, heard = video.streams.video[0], video.streams.audio[0]
            frames = copy.add_stream_from_template(shown)
            made = copy.add_stream(codec, rate=hz, layout=layout)
            form = made.codec_context.format.name
            loud = av.AudioResampler(format="fltp", layout=layout, rate=hz)
            last = av.AudioResampler(
                format=form, layout=layout, rate=hz, frame_size=made.codec_context.frame_size
            )

            def encode(frame: av.AudioFrame | None) -> Iterator[av.Packet]:
                for part in loud.resample(frame):
                    samples = part.to_ndarray() * np.float32(10 ** (gain_db / 20))
                    louder = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
                    louder.sample_rate, louder.pts, louder.time_base = hz, part.pts, part.time_base
                    for ready in last.resample(louder):
                        yield from made.encode(ready)

            for packet in video.demux(shown, heard):
                if packet.stream is heard:
                    for frame in packet.decode():
                        copy.mux(list(encode(frame)))
                elif packet.dts is not None:
                    packet.stream = frames
                    copy.mux(packet)
            copy.mux(list(encode(None)))
            for ready in last.resample(None):
                copy.mux(made.encode(ready))
            copy.mux(made.encode(None))

    return write


def with_image(
    change: Callable[[Frame], Frame] | None = None, *, crf: int = 12
) -> Callable[[Path, Path], None]:
    """Audio kept, every frame changed and encoded anew."""

    def write(source: Path, target: Path) -> None:
        coding = VideoCoding("libx264", {"preset": "veryfast", "crf": str(crf)})
        frames = None if change is None else lambda old: map(change, old)
        rewrite(source, target, frames=frames, coding=coding)

    return write


def scaled(factor: float) -> Callable[[Frame], Frame]:
    """Another frame size; both sides of the luma stay even."""

    def planes(old: Planes) -> Planes:
        height, width = (max(16, round(n * factor / 2) * 2) for n in old[0].shape)
        kind = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        sizes = [(width, height), (width // 2, height // 2), (width // 2, height // 2)]
        return tuple(cv2.resize(p, size, interpolation=kind) for p, size in zip(old, sizes))

    return lambda frame: frame.changed(planes)


def mirrored(frame: Frame) -> Frame:
    """Left and right exchanged."""
    return frame.changed(lambda planes: tuple(np.ascontiguousarray(p[:, ::-1]) for p in planes))


def curve(shape: Callable[[np.ndarray], np.ndarray]) -> Callable[[Frame], Frame]:
    """Another light, as a function of luma in 0..1; luma is stored as 16 to 235."""
    light = shape(np.clip((np.arange(256) - 16) / 219, 0, 1))
    table = np.round(16 + 219 * np.clip(light, 0, 1)).astype(np.uint8)
    return lambda frame: frame.changed(lambda planes: (cv2.LUT(planes[0], table), *planes[1:]))


CHANGES: tuple[Change, ...] = (
    *(
        Change("volume", f"{db:+d} dB", with_audio(codec="pcm_s16le", gain_db=db))
        for db in (6, -6, -20, -40, -50)
    ),
    *(
        Change("sample rate", f"{hz / 1000:g} kHz", with_audio(hz=hz))
        for hz in (8_000, 16_000, 22_050, 44_100, 96_000)
    ),
    Change("channels", "stereo", with_audio(layout="stereo")),
    Change("channels", "5.1", with_audio(layout="5.1")),
    Change("audio codec", "AAC", with_audio(codec="aac")),
    Change("audio codec", "MP3", with_audio(codec="libmp3lame")),
    Change("audio codec", "Opus", with_audio(codec="libopus")),
    Change("audio codec", "FLAC", with_audio(codec="flac")),
    Change("light", "brightness +20%", with_image(curve(lambda x: x + 0.2))),
    Change("light", "brightness -20%", with_image(curve(lambda x: x - 0.2))),
    Change("light", "contrast 60%", with_image(curve(lambda x: 0.5 + 0.6 * (x - 0.5)))),
    Change("light", "gamma 0.6", with_image(curve(lambda x: x**0.6))),
    Change("light", "gamma 1.6", with_image(curve(lambda x: x**1.6))),
    Change("frame size", "half", with_image(scaled(0.5))),
    Change("frame size", "150%", with_image(scaled(1.5))),
    Change("mirror", "left and right", with_image(mirrored)),
    Change("video codec", "H.264, crf 18", with_image(crf=18)),
    Change("video codec", "H.264, crf 28", with_image(crf=28)),
)


def shortened(source: Path, target: Path) -> None:
    """The first seconds of a video, nearly lossless, at most 640 px on its longer side."""

    def first(frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if frame.time_s >= LENGTH_S:
                return
            yield scaled(min(1.0, 640 / max(frame.planes[0].shape)))(frame)

    rewrite(source, target, frames=first, audio=lambda x: x[: round(LENGTH_S * 16_000)])


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, default=shared("clips"), help="the videos")
    parser.add_argument("--docs", action="store_true", help="write the table of docs/robustness.md")
    given = parser.parse_args(words)
    measuring = Detector(model=load_model(given.backbone, weights=given.weights))
    names = ("example.avi", "demo1_video.mp4", "demo2_video.mp4", "demo3_video.mp4")
    videos = [given.clips / name for name in names if (given.clips / name).is_file()]
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as work:
        for video in videos:
            plain, copy = Path(work) / f"{video.stem}.mkv", Path(work) / "copy.mkv"
            shortened(video, plain)
            still = best_match(measuring.detect(plain))
            for change in track(CHANGES, video.name, console=Console(stderr=True)):
                change.write(plain, copy)
                result = measuring.detect(copy)
                rows.append(
                    {
                        "video": video.name,
                        "kind": change.kind,
                        "change": change.name,
                        "offset_frames": best_match(result),
                        "unchanged_frames": still,
                        "confidence": result.confidence,
                    }
                )
    table = summarised(rows, videos)
    table.show(Console(width=140))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    if given.docs:
        write_section(PAGE, table.markdown(), script=SCRIPT)
    return 0


def summarised(rows: Sequence[dict], videos: Sequence[Path]) -> Table:
    """One line a change: the largest difference, in which video, and the least confidence."""
    table = Table(
        "Changes that must not move an offset",
        ("change", "largest difference in frames", "in ms", "of", "least confidence"),
        note=f"The first {LENGTH_S:g} s of {len(videos)} videos, by `python {SCRIPT}`. Best match of the "
        f"changed copy less that of the unchanged one; {ALLOWED_FRAMES} frames "
        f"({ALLOWED_FRAMES * 1000 / VIDEO_FPS:g} ms) are allowed, and more is set in bold.",
    )
    for change in CHANGES:
        own = [r for r in rows if (r["kind"], r["change"]) == (change.kind, change.name)]
        known = [r for r in own if None not in (r["offset_frames"], r["unchanged_frames"])]
        if not known:
            continue
        worst = max(known, key=lambda r: abs(r["offset_frames"] - r["unchanged_frames"]))
        moved = worst["offset_frames"] - worst["unchanged_frames"]
        mark = "**" if abs(moved) > ALLOWED_FRAMES else ""
        table.rows.append(
            (
                f"{change.kind}: {change.name}",
                f"{mark}{moved:+.2f}{mark}",
                f"{moved * 1000 / VIDEO_FPS:+.0f}",
                worst["video"],
                f"{min(r['confidence'] for r in own):.2f}",
            )
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
