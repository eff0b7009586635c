"""Videos written anew: the timeline of the new video is that of the old, whatever the old one is like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from synctool.errors import MediaError, MissingError, OutputError, UsageError
from synctool.media.frames import Frame, VideoFrames
from synctool.media.rewrite import VideoCoding, rewrite
from synctool.media.video_file import VideoFile
from videos import CLICKS_S, Audio, Video, find_clicks, make_video, read_time_ms, time_image

pytestmark = pytest.mark.integration

SECONDS = 1.2
SIZE = (96, 64)
QUICK = {"preset": "ultrafast", "crf": "12"}
UNEVEN_S = [0.0, 0.033, 0.1, 0.14, 0.3, 0.34, 0.37, 0.5, 0.61, 0.7, 0.85, 0.9, 1.0, 1.1]


def usual(**more: object) -> Video:
    return Video(**({"size": SIZE, "options": QUICK} | more))


def late(start_s: float) -> Audio:
    return Audio("pcm_s16le", 16_000, "mono", start_s=start_s)


SOURCES: dict[str, tuple[str, Video, Audio]] = {
    "25 fps": ("mkv", usual(), Audio(layout="stereo")),
    "30 fps in MP4": ("mp4", usual(fps=30), Audio()),
    "29.97 fps": ("mp4", usual(fps=Fraction(30000, 1001)), Audio()),
    "60 fps": ("mkv", usual(fps=60), Audio()),
    "12 fps": ("mkv", usual(fps=12), Audio()),
    "uneven times": ("mkv", usual(times_s=UNEVEN_S), Audio()),
    "audio later": ("mkv", usual(), late(0.31)),
    "frame later": ("mkv", usual(start_s=0.213), late(0.0)),
    "both later": ("mkv", usual(start_s=0.5), late(0.35)),
    "B-frames in AVI": ("avi", usual(options={"bf": "2", "crf": "12"}), Audio("mp3", 44_100)),
    "MPEG-4 in AVI": ("avi", usual(codec="mpeg4", options={"q": "2"}), Audio("pcm_s16le", 16_000)),
    "HEVC": ("mp4", usual(codec="libx265", options={"x265-params": "log-level=none"}), Audio()),
    "ten bits": ("mkv", usual(pixels="yuv420p10le"), Audio()),
    "4:4:4": ("mkv", usual(pixels="yuv444p"), Audio()),
    "full range": ("mkv", usual(codec="mjpeg", pixels="yuvj420p", options={}), Audio()),
    "RGB": ("mkv", usual(codec="ffv1", pixels="bgr0", options={}), Audio()),
    "a quarter turn": ("mp4", usual(rotation=90), Audio()),
    "wide pixels": ("mkv", usual(aspect=Fraction(4, 3)), Audio()),
    "odd size": ("mkv", usual(codec="ffv1", size=(97, 65), options={}), Audio()),
}


def contents(path: Path) -> tuple[list[np.ndarray | None], np.ndarray]:
    with VideoFile(path) as video_file:
        return [image.luma for image in video_file], video_file.audio.pop(video_file.audio.end)


@pytest.mark.parametrize("kind", SOURCES)
def test_every_frame_shows_what_it_showed(kind: str, tmp_path: Path) -> None:
    suffix, video, audio = SOURCES[kind]
    video_file = make_video(
        tmp_path / f"video.{suffix}", seconds=SECONDS, video=video, audio=[audio]
    )
    rewrite(video_file, tmp_path / "new.mkv")
    (before, heard), (after, heard_after) = contents(video_file), contents(tmp_path / "new.mkv")
    assert np.array_equal(heard, heard_after)
    assert len(after) == len(before) >= 25
    for old, new in zip(before, after):
        assert (old is None) == (new is None)
        if old is not None:
            old = old[: old.shape[0] // 2 * 2, : old.shape[1] // 2 * 2]
            assert new.shape == old.shape
            assert np.abs(new.astype(int) - old).mean() < 2


def test_colours_are_kept(tmp_path: Path) -> None:
    colours = np.zeros((64, 96, 3), np.uint8)
    colours[:, :48], colours[:, 48:] = (200, 40, 40), (30, 90, 180)
    video = usual(images=[colours] * 10)
    video_file = make_video(tmp_path / "film.mkv", seconds=0.4, video=video)
    rewrite(video_file, tmp_path / "new.mkv")
    shown = []
    for path in (video_file, tmp_path / "new.mkv"):
        with VideoFile(path, colour="rgb") as opened:
            shown.append(list(opened)[-1].colour.astype(int))
    assert np.abs(shown[0] - shown[1]).mean() < 2
    assert np.abs(shown[1][20, 20] - (200, 40, 40)).max() < 8


def test_frames_and_audio_can_be_changed(tmp_path: Path) -> None:
    video_file = make_video(tmp_path / "film.mkv", seconds=SECONDS, video=usual(), audio=[late(0)])

    def mirrored(frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            yield frame.changed(lambda planes: tuple(plane[:, ::-1] for plane in planes))

    rewrite(video_file, tmp_path / "new.mkv", frames=mirrored, audio=lambda audio: audio // 2)
    (before, heard), (after, quiet) = contents(video_file), contents(tmp_path / "new.mkv")
    assert np.abs(after[9][:, ::-1].astype(int) - before[9]).mean() < 2
    assert np.array_equal(quiet, heard // 2)
    assert np.allclose(find_clicks(quiet), CLICKS_S[:3], atol=1e-3)


def test_frames_that_stop_early_leave_the_audio_whole(tmp_path: Path) -> None:
    video_file = make_video(tmp_path / "film.mkv", seconds=SECONDS, video=usual(), audio=[late(0)])

    def first_half(frames: Iterator[Frame]) -> Iterator[Frame]:
        yield from (frame for frame in frames if frame.time_s < SECONDS / 2)

    def only_ten(frames: Iterator[Frame]) -> Iterator[Frame]:
        for _ in range(10):
            yield next(frames)

    for frames in (first_half, only_ten):
        rewrite(video_file, tmp_path / "new.mkv", frames=frames)
        assert contents(tmp_path / "new.mkv")[1].size == contents(video_file)[1].size


def test_a_frame_of_another_size_is_fitted(tmp_path: Path) -> None:
    video_file = make_video(tmp_path / "film.mkv", seconds=0.4, video=usual(), audio=[late(0)])

    def uneven(frames: Iterator[Frame]) -> Iterator[Frame]:
        for number, frame in enumerate(frames):
            small = tuple(np.ascontiguousarray(plane[::2, ::2]) for plane in frame.planes)
            yield replace(frame, planes=small) if number == 5 else frame

    rewrite(video_file, tmp_path / "new.mkv", frames=uneven)
    times = [read_time_ms(luma) for luma in contents(tmp_path / "new.mkv")[0]]
    assert times == [40 * i for i in range(10)]


def test_frames_come_at_their_own_times(tmp_path: Path) -> None:
    video = usual(times_s=UNEVEN_S)
    video_file = make_video(tmp_path / "film.mkv", seconds=SECONDS, video=video, audio=[late(0)])
    for path in (video_file, tmp_path / "new.mkv"):
        with VideoFrames(path) as opened:
            frames = list(opened)
        assert np.allclose([f.time_s for f in frames], UNEVEN_S, atol=1e-3)
        spelled = [read_time_ms(f.planes[0]) for f in frames]
        assert spelled == [round(1000 * t) for t in UNEVEN_S]
        luma, blue, red = frames[0].planes
        assert luma.shape == (64, 96)
        assert blue.shape == red.shape == (32, 48)
        if path == video_file:
            rewrite(video_file, tmp_path / "new.mkv")


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    video_file = make_video(tmp_path / "film.mkv", seconds=0.2, video=usual(), audio=[late(0)])
    with pytest.raises(UsageError, match="Matroska"):
        rewrite(video_file, tmp_path / "new.mp4")
    with pytest.raises(MissingError, match="no encoder"):
        rewrite(video_file, tmp_path / "new.mkv", coding=VideoCoding("no-such-encoder", {}))
    with pytest.raises(OutputError):
        rewrite(video_file, tmp_path / "nowhere" / "new.mkv")
    tiny = Video("ffv1", size=(10, 8), images=[time_image(0, (10, 8))] * 5)
    make_video(tmp_path / "tiny.mkv", seconds=0.2, video=tiny, audio=[late(0)])
    with pytest.raises(MediaError, match="too small"):
        rewrite(tmp_path / "tiny.mkv", tmp_path / "new.mkv")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["film.mkv", "tiny.mkv"]


def test_a_video_can_be_written_over_itself(tmp_path: Path) -> None:
    video_file = make_video(tmp_path / "film.mkv", seconds=0.4, video=usual(), audio=[late(0)])
    before = contents(video_file)[1]
    rewrite(video_file, video_file, audio=lambda audio: audio[::-1])
    assert np.array_equal(contents(video_file)[1], before[::-1])
