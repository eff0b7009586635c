"""Finding videos and speakers."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from synctool.data.storage import storage
from synctool.errors import MissingError, UsageError
from synctool.prepare.videos import collection, videos_in


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_videos_are_found_below_a_folder_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.MKV", "a/1.mp4", "a/notes.txt", "a/.hidden.mp4", "c.avi")
    assert [p.relative_to(tmp_path).as_posix() for p in videos_in(tmp_path)] == [
        "a/1.mp4",
        "b/2.MKV",
        "c.avi",
    ]


def test_the_first_folder_is_the_speaker(tmp_path: Path) -> None:
    touch(tmp_path, "id10001/video/00001.mp4", "id10002/video/00001.mp4", "flat.mp4")
    speakers = {e.name: e.speaker for e in collection(storage(tmp_path)).videos}
    assert speakers == {
        "flat.mp4": "",
        "id10001/video/00001.mp4": "id10001",
        "id10002/video/00001.mp4": "id10002",
    }


def test_a_manifest_is_believed(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.mp4", "x/2.mp4")
    (tmp_path / "manifest.csv").write_text(
        "path,source,speaker,split,language\nx/1.mp4,GRID,s4,dev,en\nx/2.mp4,LRW,LRW,unsplit,\n"
    )
    first, second = collection(storage(tmp_path)).videos
    assert (first.speaker, first.source, first.split) == ("s4", "GRID", "dev")
    assert (first.language, second.language) == ("en", "")
    assert (second.speaker, second.source, second.split) == ("", "LRW", "")


def test_a_manifest_without_speakers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path\nx.mp4\n")
    with pytest.raises(UsageError, match="column"):
        collection(storage(tmp_path))


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_nothing_to_read_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError):
        collection(storage(tmp_path / name))


HEADS = {
    "ogg video": b"OggS\0\x02" + bytes(22) + b"\x80theora" + bytes(500),
    "ogg audio": b"OggS\0\x02" + bytes(22) + b"\x01vorbis" + bytes(500),
    "program stream": b"\0\0\x01\xba" + bytes(500),
    "go module": b"module example.org/talk\n" + b"go 1.22\n" * 99,
    "transport stream": (b"\x47" + bytes(187)) * 20,
    "mp4": b"\0\0\0\x20ftypisom" + bytes(500),
    "m4a": b"\0\0\0\x20ftypM4A " + bytes(500),
    "avi": b"RIFF\0\0\0\0AVI LIST" + bytes(500),
    "wav": b"RIFF\0\0\0\0WAVEfmt " + bytes(500),
    "jpeg": b"\xff\xd8\xff\xe0" + bytes(500),
}


def put(folder: Path, **kinds: str) -> None:
    for name, kind in kinds.items():
        (folder / name.replace("__", ".")).write_bytes(HEADS[kind])


@pytest.mark.parametrize(
    "suffix",
    ".3g2 .3gpp .amv .dv .dvr-ms .evo .f4v .gxf .insv .lrv .m2p .m2t .mk3d .mpe .mpegts .mqv .mxf .ogm .qt "
    ".rmvb .TOD .tp .trp .vro .wm .wtv".split(),
)
def test_what_cameras_and_broadcasters_write_is_found(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, f"a{suffix}", "sound.wav", "sound.m4a", "image.jpg", "stream.m2v", "list.m3u8")
    assert [p.name for p in videos_in(tmp_path)] == [f"a{suffix}"]
    assert [f.name for f in collection(storage(tmp_path)).videos] == [f"a{suffix}"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, caplog, monkeypatch) -> None:
    put(tmp_path, a__mp4="mp4")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refusing(folder: str) -> object:
        if os.fspath(folder).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    assert [p.name for p in videos_in(tmp_path)] == ["a.mp4"]
    assert caplog.messages == [f"cannot read the folder {tmp_path / 'locked'}: Permission denied"]


def test_an_ending_that_other_files_share_is_settled_by_the_first_bytes(tmp_path: Path) -> None:
    put(tmp_path, talk__ogg="ogg video", song__ogg="ogg audio", go__mod="go module")
    put(tmp_path, camera__mod="program stream", disc__DAT="program stream", table__dat="wav")
    found = ["camera.mod", "disc.DAT", "talk.ogg"]
    assert [p.name for p in videos_in(tmp_path)] == found
    assert sorted(f.name for f in collection(storage(tmp_path)).videos) == found


def test_a_video_under_a_foreign_name_is_left_out_and_told(tmp_path: Path, caplog) -> None:
    put(tmp_path, a__mp4="mp4", b__xyz="transport stream", noending="avi", c__bin="mp4")
    put(tmp_path, d__xyz="m4a", e__xyz="wav", f__xyz="jpeg", g__xyz="ogg audio")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.xyz")
    assert [p.name for p in videos_in(tmp_path)] == ["a.mp4"]
    (told,) = caplog.messages
    assert "3 files" in told and "b.xyz" in told
