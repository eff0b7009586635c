"""Streams that do not last as their headers say are told of; ordinary files are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from synctool.media.video_file import VideoFile
from videos import Audio, Video, make_video

pytestmark = pytest.mark.integration

_CONTRADICTION = "do not last as their headers say"


def _warnings(path: Path) -> list[str]:
    with VideoFile(path) as video_file:
        for _ in video_file:
            video_file.audio.pop(video_file.audio.available)
        return video_file.warnings


def _avi(path: Path) -> Path:
    return make_video(
        path, video=Video(codec="mpeg4"), audio=[Audio(codec="pcm_s16le", rate=16_000)]
    )


def _with_frames(path: Path, first: int, count: int, times: int) -> None:
    """Write some frames of an AVI so many times, 0 for none, and leave its header as it is."""
    data = path.read_bytes()
    at = data.index(b"movi") + 4
    chunks = []
    while data[at : at + 4] in (b"00dc", b"01wb"):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        if data[at : at + 4] == b"00dc":
            chunks.append((at, end))
        at = end
    spans = chunks[first : first + count]
    for start, end in reversed(spans):
        data = data[:start] + times * data[start:end] + data[end:]
    path.write_bytes(data)


def test_repeated_frames_of_an_avi_are_told_of(tmp_path: Path) -> None:
    path = _avi(tmp_path / "a.avi")
    assert _warnings(path) == []
    _with_frames(path, 20, 5, times=3)
    (told,) = _warnings(path)
    assert _CONTRADICTION in told
    assert "3.40 s of video (header: 3.00 s)" in told and "audio" not in told


def test_lost_frames_of_an_avi_are_told_of(tmp_path: Path) -> None:
    path = _avi(tmp_path / "a.avi")
    _with_frames(path, 20, 5, times=0)
    (told,) = _warnings(path)
    assert "2.80 s of video (header: 3.00 s)" in told


def test_an_edit_list_that_skips_more_than_the_headers_say_is_told_of(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", video=Video(options={"bf": "0"}))
    data = bytearray(path.read_bytes())
    at = (
        data.index(b"elst") + 12
    )  # version and flags, count: of the first track, which is the video
    scale = int.from_bytes(data[data.index(b"mdhd") + 16 :][:4], "big")
    assert int.from_bytes(data[at + 4 : at + 8], "big") == 0
    data[at + 4 : at + 8] = (scale * 12 // 25).to_bytes(4, "big")
    path.write_bytes(data)
    (told,) = _warnings(path)
    assert _CONTRADICTION in told and "2.52 s of video (header: 3.00 s)" in told


@pytest.mark.parametrize(
    ("name", "video", "audio"),
    [
        ("whole.mp4", Video(), Audio()),
        ("low-rate.mp4", Video(), Audio(rate=8_000, layout="mono")),  # frames of 128 ms
        ("offset.mov", Video(), Audio(start_s=0.7)),
        ("late.mp4", Video(start_s=0.5), Audio()),
        ("b-frames.avi", Video(codec="mpeg4", options={"bf": "2"}), Audio(codec="mp3")),
        ("slow.mp4", Video(fps=5), Audio()),
        ("gaps.mp4", Video(times_s=[*(i / 25 for i in range(20)), 2.0, 2.04]), Audio()),
        ("gap-first.mp4", Video(times_s=[0.0, *(1 + i / 25 for i in range(20))]), Audio()),
        ("still.mp4", Video(times_s=[*(i / 25 for i in range(20)), 5.0, 12.0]), Audio()),
    ],
)
def test_ordinary_files_have_no_such_warning(
    tmp_path: Path, name: str, video: Video, audio: Audio
) -> None:
    path = make_video(tmp_path / name, video=video, audio=[audio])
    assert not [text for text in _warnings(path) if _CONTRADICTION in text]


def test_a_file_cut_off_has_no_such_warning(tmp_path: Path) -> None:
    path = _avi(tmp_path / "a.avi")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert not [text for text in _warnings(path) if _CONTRADICTION in text]


def _joined(path: Path, again_s: float) -> Path:
    """A transport stream of two recordings: the second begins before the first one's end."""
    first = make_video(path.with_suffix(".1.ts"))
    later = make_video(
        path.with_suffix(".2.ts"),
        video=Video(start_s=3 - again_s),
        audio=[Audio(start_s=3 - again_s)],
    )
    path.write_bytes(first.read_bytes() + later.read_bytes())
    return path


def test_audio_that_overlaps_itself_is_told_of(tmp_path: Path) -> None:
    told = _warnings(_joined(tmp_path / "a.ts", 0.6))
    assert [text for text in told if text.startswith("the audio goes back in time at 1 place(s)")]
    assert not [text for text in _warnings(_joined(tmp_path / "b.ts", 0.0)) if "goes back" in text]


def test_the_clips_have_no_such_warning(clips: Path) -> None:
    for path in (clips / "example.avi", clips / "test_offset_12.avi"):
        assert _warnings(path) == []
