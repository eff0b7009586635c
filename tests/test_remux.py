"""Videos with their audio moved: by exactly so much, and otherwise the same."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from synctool.errors import MediaError, MissingError, OutputError
from synctool.media.remux import move_audio_track
from synctool.media.video_file import VideoFile
from videos import Audio, Video, lead_ms, make_video, murmur, packets

pytestmark = pytest.mark.integration

MILLISECOND = 1.01
"""Timestamps of Matroska are whole milliseconds."""


MPEG4 = {"video": Video(codec="mpeg4"), "audio": [Audio(codec="mp3", layout="stereo")]}
SOURCES = {
    "a.mp4": {},
    "reordered.mkv": {"video": Video(options={"bf": "3"})},
    "a.avi": MPEG4,
    "late.mov": {"audio": [Audio(start_s=0.5)], "video": Video(fps=30)},
    "a.webm": {"video": Video(codec="libvpx"), "audio": [Audio(codec="libopus", layout="stereo")]},
    "a.ts": {},
}


WAYS = [
    *((name, "moved.mkv") for name in SOURCES),
    *((name, "moved.mp4") for name in SOURCES if name != "a.webm"),  # MP4 holds no VP8
]


@pytest.mark.parametrize("by_ms", [160.0, -130.0])
@pytest.mark.parametrize(("name", "target"), WAYS)
def test_the_audio_moves_by_exactly_that(tmp_path, name: str, target: str, by_ms: float) -> None:
    source = make_video(tmp_path / name, **SOURCES[name])
    move_audio_track(source, tmp_path / target, by_ms=by_ms)
    with VideoFile(source) as before, VideoFile(tmp_path / target) as after:
        grid = 20.0 if before.source.video_fps != 25 else MILLISECOND
        assert before.source.width_px == after.source.width_px
    moved = lead_ms(tmp_path / target) - lead_ms(source)
    assert moved == pytest.approx(by_ms, abs=grid if name == "late.mov" else MILLISECOND)


@pytest.mark.parametrize("name", ["a.mp4", "reordered.mkv"])
def test_frames_and_audio_are_copied_bit_for_bit(tmp_path: Path, name: str) -> None:
    source = make_video(tmp_path / name, **SOURCES[name])
    move_audio_track(source, tmp_path / "b.mkv", by_ms=80)
    before, after = packets(source), packets(tmp_path / "b.mkv")
    assert before == after
    assert len(after["video"]) == 75


def test_moving_by_nothing_and_back_again(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv")
    move_audio_track(source, tmp_path / "same.mkv", by_ms=0)
    assert lead_ms(tmp_path / "same.mkv") == pytest.approx(0, abs=MILLISECOND)
    move_audio_track(source, tmp_path / "b.mkv", by_ms=-240)
    move_audio_track(tmp_path / "b.mkv", tmp_path / "c.mkv", by_ms=240)
    assert lead_ms(tmp_path / "c.mkv") == pytest.approx(0, abs=MILLISECOND)


def test_a_video_may_be_replaced_by_its_repaired_self(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4")
    move_audio_track(source, source, by_ms=-80)
    assert lead_ms(source) == pytest.approx(-80, abs=MILLISECOND)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_all_audio_tracks_are_kept_and_moved(tmp_path: Path) -> None:
    second = Audio(samples=murmur(3, 48_000))
    source = make_video(tmp_path / "a.mkv", audio=[Audio(), second])
    with av.open(str(source)) as video_file:
        assert len(video_file.streams.audio) == 2
    move_audio_track(source, tmp_path / "b.mkv", by_ms=-200)
    with av.open(str(tmp_path / "b.mkv")) as video_file:
        assert len(video_file.streams.audio) == 2
        starts = [float(s.start_time * s.time_base) for s in video_file.streams.audio]
    assert starts[0] == pytest.approx(starts[1], abs=0.002)
    assert starts[0] > 0.15


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cover_is_not_taken_for_the_frame(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / f"a{suffix}", cover=True)
    move_audio_track(source, tmp_path / "b.mkv", by_ms=80)
    assert lead_ms(tmp_path / "b.mkv") == pytest.approx(80, abs=MILLISECOND)


def test_a_turned_video_stays_turned(tmp_path: Path) -> None:
    images = [np.tile(np.arange(128, dtype=np.uint8), (64, 1))] * 50
    video = Video(size=(128, 64), images=images, rotation=90)
    source = make_video(tmp_path / "a.mp4", seconds=2, video=video)
    move_audio_track(source, tmp_path / "b.mp4", by_ms=-80)
    with VideoFile(source) as before, VideoFile(tmp_path / "b.mp4") as after:
        first, copy = next(iter(before)).luma, next(iter(after)).luma
    assert first.shape == (128, 64)
    np.testing.assert_array_equal(first, copy)


def test_title_and_language_are_kept(tmp_path: Path) -> None:
    with av.open(str(make_video(tmp_path / "a.mkv"))) as video_file:
        with av.open(str(tmp_path / "b.mkv"), "w") as named:
            named.metadata["title"] = "Ein Video"
            copies = {s.index: named.add_stream_from_template(s) for s in video_file.streams}
            copies[1].metadata["language"] = "ger"
            for packet in video_file.demux():
                if packet.dts is not None:
                    packet.stream = copies[packet.stream.index]
                    named.mux(packet)
    move_audio_track(tmp_path / "b.mkv", tmp_path / "c.mkv", by_ms=40)
    with av.open(str(tmp_path / "c.mkv")) as video_file:
        assert video_file.metadata["title"] == "Ein Video"
        assert video_file.streams.audio[0].language == "ger"


# ---------------------------------------------------------------------------------------- errors


def test_videos_that_cannot_be_moved(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for name, kind, told in (
        ("none.mp4", MissingError, "no such file"),
        ("text.mp4", MediaError, "text.mp4"),
        (make_video(tmp_path / "mute.mp4", audio=[]).name, MediaError, "no audio track"),
        (make_video(tmp_path / "blind.m4a", video=None).name, MediaError, "no video track"),
    ):
        with pytest.raises(kind, match=told) as caught:
            move_audio_track(tmp_path / name, tmp_path / "out.mp4", by_ms=40)
        assert caught.value.remedy
        assert not (tmp_path / "out.mp4").exists()


def test_avi_with_frames_out_of_order(tmp_path: Path) -> None:
    """Only their decoding order is stored: a copy would show them in that."""
    video = Video(options={"bf": "2"})
    source = make_video(tmp_path / "a.avi", video=video, audio=[Audio(codec="mp3")])
    with pytest.raises(MediaError, match="B-frames") as caught:
        move_audio_track(source, tmp_path / "b.mkv", by_ms=40)
    assert "Convert" in caught.value.remedy


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("b.avi", "cannot hold moved audio"),
        ("b.xyz", "no container"),
        ("b", "no container"),
        ("none/b.mkv", "No such file or directory"),
        ("b.webm", "webm"),
    ],
)
def test_targets_that_cannot_be_written(tmp_path: Path, target: str, told: str) -> None:
    source = make_video(tmp_path / "a.mp4", seconds=1)
    with pytest.raises(OutputError, match=told) as caught:
        move_audio_track(source, tmp_path / target, by_ms=40)
    assert caught.value.remedy
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"], "nothing is left behind"


def test_a_target_stays_what_it_was_when_the_copy_fails(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", seconds=1)
    (tmp_path / "b.webm").write_bytes(b"old")
    with pytest.raises(OutputError):
        move_audio_track(source, tmp_path / "b.webm", by_ms=40)
    assert (tmp_path / "b.webm").read_bytes() == b"old"
