"""Finding films and speakers."""

from __future__ import annotations

from pathlib import Path

import pytest

from synctool.data.films import collection, films_in
from synctool.data.storage import storage
from synctool.errors import MissingError, UsageError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_films_are_found_below_a_folder_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.MKV", "a/1.mp4", "a/notes.txt", "a/.hidden.mp4", "c.avi")
    assert [p.relative_to(tmp_path).as_posix() for p in films_in(tmp_path)] == [
        "a/1.mp4",
        "b/2.MKV",
        "c.avi",
    ]


def test_the_first_folder_is_the_speaker(tmp_path: Path) -> None:
    touch(tmp_path, "id10001/video/00001.mp4", "id10002/video/00001.mp4", "flat.mp4")
    speakers = {e.name: e.speaker for e in collection(storage(tmp_path)).films}
    assert speakers == {
        "flat.mp4": "",
        "id10001/video/00001.mp4": "id10001",
        "id10002/video/00001.mp4": "id10002",
    }


def test_a_manifest_is_believed(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.mp4", "x/2.mp4")
    (tmp_path / "manifest.csv").write_text(
        "path,source,speaker,split\nx/1.mp4,GRID,s4,dev\nx/2.mp4,LRW,LRW,unsplit\n"
    )
    first, second = collection(storage(tmp_path)).films
    assert (first.speaker, first.source, first.split) == ("s4", "GRID", "dev")
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
