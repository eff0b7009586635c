"""What the user means by FILE...: names, globs, folders, lists."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from synctool.errors import MissingError, UsageError
from synctool.prepare.inputs import expand, means_one_video

odd_names = pytest.mark.skipif(os.name != "posix", reason="such names need POSIX")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with some videos."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "a.mp4", "notes.txt", "season/2/x.MKV", "season/1/y.mov", "season/z.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_names_stay_as_they_are_and_in_order() -> None:
    assert expand(["b.mp4", "./a.mp4", "gone.mp4"]) == ["b.mp4", "./a.mp4", "gone.mp4"]


def test_the_standard_input_is_one_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert expand(["-"]) == ["-"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("a.mp4\n"))
    with pytest.raises(UsageError, match="both a list and a video"):
        expand(["-"], from_file="-")


def test_each_video_once() -> None:
    assert expand(["b.mp4", "*.mp4", "b.mp4"]) == ["b.mp4", "a.mp4"]


def test_a_glob_gives_files_in_order_and_no_folders() -> None:
    assert expand(["*"]) == ["a.mp4", "b.mp4", "notes.txt"]
    assert expand(["**/*.m*"]) == ["a.mp4", "b.mp4", "season/1/y.mov"]


def test_a_glob_that_fits_nothing_stays_and_fails_by_itself() -> None:
    assert expand(["*.avi", "a.mp4"]) == ["*.avi", "a.mp4"]


def test_a_folder_gives_the_videos_below_it() -> None:
    assert expand(["season"]) == ["season/1/y.mov", "season/2/x.MKV"]
    assert expand([os.curdir]) == ["a.mp4", "b.mp4", "season/1/y.mov", "season/2/x.MKV"]


def test_hidden_files_are_no_videos_of_a_folder(here: Path) -> None:
    (here / "season" / "1" / "._y.mov").touch()
    assert expand(["season/1"]) == ["season/1/y.mov"]


@odd_names
def test_pipes_are_no_videos_of_a_folder(here: Path) -> None:
    os.mkfifo(here / "season" / "1" / "pipe.mp4")
    (here / "season" / "1" / "gone.mp4").symlink_to("nowhere.mp4")
    assert expand(["season/1"]) == ["season/1/gone.mp4", "season/1/y.mov"]


@odd_names
@pytest.mark.parametrize("name", ["take[1].mp4", "what?.mp4", "*.mp4", "a{b}.mp4", "[!a].mp4"])
def test_a_name_that_exists_is_no_glob(here: Path, name: str) -> None:
    (here / name).touch()
    assert expand([name]) == [name]
    assert means_one_video([name])


@odd_names
def test_a_folder_with_a_name_like_a_glob(here: Path) -> None:
    (here / "[old]").mkdir()
    (here / "[old]" / "c.mp4").touch()
    assert expand(["[old]"]) == ["[old]/c.mp4"]


@odd_names
def test_a_link_that_leads_nowhere_is_kept(here: Path) -> None:
    (here / "dead*.mp4").symlink_to(here / "none")
    assert expand(["dead*.mp4"]) == ["dead*.mp4"]


def test_a_folder_without_videos() -> None:
    os.mkdir("empty")
    with pytest.raises(MissingError, match="no videos below empty"):
        expand(["empty"])
    assert expand(["a.mp4", "empty"]) == ["a.mp4", "empty"], (
        "it fails by itself, the others are measured"
    )


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="nothing is unreadable for the superuser"
)
def test_an_unreadable_folder(here: Path) -> None:
    (here / "season").chmod(0)
    try:
        with pytest.raises(MissingError, match="cannot read season"):
            expand(["season"])
    finally:
        (here / "season").chmod(0o755)


def test_nothing_given() -> None:
    with pytest.raises(UsageError, match="no videos given") as caught:
        expand([])
    assert "--from-file" in caught.value.remedy


# ----------------------------------------------------------------------------------------- lists


def written(here: Path, data: bytes) -> str:
    (here / "list.txt").write_bytes(data)
    return "list.txt"


def test_a_list(here: Path) -> None:
    name = written(here, b"# season one\na.mp4\n\n  \n  spaced name.mp4\nseason\n#b.mp4\nb.mp4")
    assert expand(["c.mp4"], from_file=name) == [
        *("c.mp4", "a.mp4", "  spaced name.mp4"),
        *("season/1/y.mov", "season/2/x.MKV", "b.mp4"),
    ]


def test_a_list_of_another_system(here: Path) -> None:
    name = written(here, b"\xef\xbb\xbfa.mp4\r\nb.mp4\r\n")
    assert expand([], from_file=name) == ["a.mp4", "b.mp4"]


@odd_names
def test_a_list_with_names_that_are_no_unicode(here: Path) -> None:
    assert expand([], from_file=written(here, b"caf\xe9.mp4\n")) == [os.fsdecode(b"caf\xe9.mp4")]


def test_an_empty_list(here: Path) -> None:
    with pytest.raises(UsageError, match="no videos given"):
        expand([], from_file=written(here, b"# nothing\n"))


def test_a_list_that_is_not_there() -> None:
    with pytest.raises(MissingError, match="no such list"):
        expand([], from_file="none.txt")
    with pytest.raises(MissingError, match="cannot read season"):
        expand([], from_file="season")


def test_a_video_in_place_of_a_list(here: Path) -> None:
    with pytest.raises(UsageError, match="no list of videos"):
        expand([], from_file=written(here, b"\x00\x00\x00\x20ftypisom\x00\n"))


@pytest.mark.parametrize("binary", [True, False])
def test_the_standard_input(monkeypatch: pytest.MonkeyPatch, binary: bool) -> None:
    raw = io.BytesIO("a.mp4\nvideo mit Ümlaut.mp4\n".encode())
    text = io.TextIOWrapper(raw, "ascii") if binary else io.StringIO(raw.getvalue().decode())
    monkeypatch.setattr(sys, "stdin", text)
    assert expand([], from_file="-") == ["a.mp4", "video mit Ümlaut.mp4"]


# ------------------------------------------------------------------------------------ one or many


@pytest.mark.parametrize(
    ("names", "from_file", "one"),
    [
        (["a.mp4"], None, True),
        (["gone.mp4"], None, True),
        (["a.mp4", "b.mp4"], None, False),
        (["a.mp4", "a.mp4"], None, False),
        (["season"], None, False),
        (["a*.mp4"], None, False),
        (["a.mp4"], "list.txt", False),
        ([], "-", False),
    ],
)
def test_one_video_is_told_by_the_words_and_not_by_what_they_find(names, from_file, one) -> None:
    assert means_one_video(names, from_file=from_file) is one
