"""``truth.csv``: what it says, which videos it is about, and what is wrong with it and where."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from synctool.comparison.labels import LabelTable, read_labels
from synctool.errors import MissingError, UsageError
from synctool.types import Label, Segment


def written(folder: Path, text: str | bytes, name: str = "truth.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def table(folder: Path, text: str | bytes) -> LabelTable:
    return read_labels(written(folder, text))


def labels(folder: Path, text: str | bytes) -> list[Label]:
    return [video.label for video in table(folder, text).videos]


def test_frames_and_milliseconds_are_the_same_offset(tmp_path: Path) -> None:
    in_frames = labels(tmp_path, "path,offset_frames\na.mp4,3\nb.mp4,-0.5\n")
    assert in_frames == labels(tmp_path, "path,offset_ms\na.mp4,120\nb.mp4,-20\n")
    assert in_frames == [Label(3.0), Label(-0.5)]


def test_who_speaks_and_where_from(tmp_path: Path) -> None:
    text = "language,person,path,source,offset_ms\nde,anna,a.mp4,news,40\n,,b.mp4,,0\n"
    assert labels(tmp_path, text) == [Label(1.0, "anna", "news", "de"), Label(0.0)]


def test_an_empty_offset_is_not_known(tmp_path: Path) -> None:
    assert labels(tmp_path, "path,offset_ms,person\na.mp4,,anna\n") == [Label(None, "anna")]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfpath,offset_ms\r\n\"a, b.mp4\",60\r\n",
        b"path;offset_ms\n\"a, b.mp4\";60\n",
        b"path;offset_frames\n\"a, b.mp4\";1,5\n",
        b"path\toffset_ms\n\"a, b.mp4\"\t60\n",
        b"\n\nPath, Offset_MS\n\n\"a, b.mp4\", 60 \n\n",
        "path,offset_ms\n\"a, b.mp4\",60\n".encode("utf-16"),
    ],
)  # fmt: skip
def test_what_spreadsheets_write_is_read(tmp_path: Path, text: bytes) -> None:
    (video,) = table(tmp_path, text).videos
    assert video.path == "a, b.mp4"
    assert video.label == Label(1.5)


def test_several_rows_of_a_video_are_its_segments(tmp_path: Path) -> None:
    text = (
        "path,start_s,end_s,offset_ms,person\n"
        "a.mp4,4,8,-80,\nb.mp4,,,0,ben\na.mp4,0,4,80,anna\nc.mp4,0,2,40,\nc.mp4,2,3.5,40,\n"
    )
    a, b, c = labels(tmp_path, text)
    assert a == Label(
        None, "anna", segments=(Segment(0.0, 4.0, 2.0, 1.0), Segment(4.0, 8.0, -2.0, 1.0))
    )
    assert b == Label(0.0, "ben")
    assert c.offset_frames == 1.0, "segments of one offset are a video of one offset"
    assert len(c.segments) == 2


@pytest.mark.parametrize(
    ("text", "said", "helps"),
    [
        ("path,ofset_ms\na,1\n", "line 1 has an unknown column 'ofset_ms'", "offset_ms"),
        ("path,offset_ms,colour\na,1,red\n", "line 1 has an unknown column 'colour'", "person"),
        ("offset_ms\n1\n", "line 1 has no column path", "path,offset_ms"),
        ("path,person\na,b\n", "line 1 has no column of offsets", "offset_frames"),
        ("path,offset_ms,offset_frames\na,1,1\n", "line 1 has both", "one of"),
        ("path,offset_ms,path\na,1,a\n", "line 1 has the column path twice", ""),
        ("path,offset_ms\na,1\n,2\n", "line 3 has no path", ""),
        ("path,offset_ms\na,1\nb,soon\n", "line 3 has 'soon' as offset_ms", ""),
        ("path,offset_ms\na,nan\n", "line 2 has 'nan' as offset_ms", ""),
        ("path,offset_ms\na,inf\n", "line 2 has 'inf' as offset_ms", ""),
        ("path,offset_ms\na,1,2\n", "line 2 has 3 cells for 2 columns", ""),
        ('path,offset_ms\na,1\n"b,2\n', "no line of a CSV file", ""),
        ("path,offset_ms\na,1\nb,2\na,1\n", "line 4 is about the same video as line 2", "start_s"),
        ("path,offset_ms\na,1\n./a,2\n", "line 3 is about the same video as line 2", "start_s"),
        ("path,offset_ms,start_s,end_s\na,1,0,2\na,1,,\n", "line 3 is about the same video", ""),
        ("path,offset_ms,start_s,end_s\na,1,0,2\na,1,1.5,3\n", "line 3 overlaps", ""),
        ("path,offset_ms,start_s,end_s\na,1,2,2\n", "line 2 has a segment from 2 to 2 s", ""),
        ("path,offset_ms,start_s,end_s\na,1,-1,2\n", "line 2 has a segment from -1", ""),
        ("path,offset_ms,start_s,end_s\na,1,1,\n", "line 2 has only one of", ""),
        ("path,offset_ms,start_s,end_s\na,,0,1\n", "line 2 is a segment without an offset", ""),
        (
            "path,offset_ms,start_s,end_s,person\na,1,0,1,x\na,1,1,2,y\n",
            "line 3 gives the video of line 2 another person",
            "",
        ),
        (b"path,offset_ms\na,1\n\xff\xfe,2\n", "line 3 is not in UTF-8", "UTF-8"),
        (b"\x89PNG\x00\x00", "is no text file", ""),
        ("", "is empty", "path,offset_ms"),
        (" \n\n", "is empty", ""),
        ("path,offset_ms\n", "labels no video", ""),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, text: str | bytes, said: str, helps: str
) -> None:
    with pytest.raises(UsageError) as caught:
        table(tmp_path, text)
    assert said in caught.value.cause
    assert helps in caught.value.remedy


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such file"):
        read_labels(tmp_path / "truth.csv")


def videos_in(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return [str(folder / name) for name in names]


def offsets(found: list[Label]) -> list[float | None]:
    return [label.offset_frames for label in found]


def test_videos_are_found_by_their_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = videos_in(tmp_path, "set/one/a.mp4", "set/two/a.mp4", "here/c.mp4", "set/d.mp4")
    monkeypatch.chdir(tmp_path / "here")
    videos[2] = "c.mp4"
    text = f"path,offset_frames\none/a.mp4,1\n{tmp_path}/set/two/a.mp4,2\nc.mp4,3\n./d.mp4,4\n"
    found = table(tmp_path / "set", text)
    assert offsets(found.match(videos)) == [1.0, 2.0, 3.0, 4.0]
    assert offsets(found.match(videos[::-1])) == [4.0, 3.0, 2.0, 1.0]


def test_paths_written_on_windows_are_found(tmp_path: Path) -> None:
    videos = videos_in(tmp_path, "one/a.mp4", "two/a.mp4")
    found = table(tmp_path, "path,offset_frames\none\\a.mp4,1\ntwo\\a.mp4,2\n")
    assert offsets(found.match(videos)) == [1.0, 2.0]


def test_a_video_elsewhere_is_found_by_its_name(tmp_path: Path) -> None:
    videos = videos_in(tmp_path, "elsewhere/a.mp4", "elsewhere/b.mp4")
    found = table(tmp_path, "path,offset_frames\nold/b.mp4,2\na.mp4,1\n")
    assert offsets(found.match(videos)) == [1.0, 2.0]


def test_a_name_that_two_have_decides_nothing(tmp_path: Path) -> None:
    videos = videos_in(tmp_path, "x/a.mp4", "y/a.mp4")
    with pytest.raises(UsageError, match=r"2 of 2 videos \(2 of them share their name"):
        table(tmp_path, "path,offset_frames\nold/a.mp4,2\n").match(videos)
    with pytest.raises(UsageError, match="1 of 1 videos"):
        table(tmp_path, "path,offset_frames\nold/a.mp4,2\nnew/a.mp4,1\n").match(videos[:1])


def test_videos_without_a_label_are_listed(tmp_path: Path) -> None:
    videos = videos_in(tmp_path, *(f"{i}.mp4" for i in range(9)))
    found = table(tmp_path, "path,offset_frames\n3.mp4,2\n")
    with pytest.raises(UsageError, match=r"says nothing about 8 of 9 videos.*0\.mp4.* and 3 more"):
        found.match(videos)
    assert offsets(found.match(videos, every=False)) == [None] * 3 + [2.0] + [None] * 5


def test_labels_of_other_videos_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    videos = videos_in(tmp_path, "a.mp4")
    with caplog.at_level(logging.WARNING, "synctool"):
        found = table(tmp_path, "path,offset_frames\na.mp4,2\nb.mp4,1\nc.mp4,1\n")
        assert offsets(found.match(videos)) == [2.0]
    assert "labels 2 videos that are not among those given: b.mp4, c.mp4" in caplog.text


def test_two_paths_to_one_video_are_seen(tmp_path: Path) -> None:
    videos = videos_in(tmp_path, "a.mp4")
    with pytest.raises(UsageError, match="line 3 is about the same video as line 2"):
        table(tmp_path, f"path,offset_frames\na.mp4,2\n{videos[0]},1\n").match(videos)
