"""``--allow-external`` of every command that reads videos: without it a playlist stays in its folder."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import flicker
from synctool.cli.app import main
from synctool.comparison.degradations import write_degraded
from synctool.data.processed import Processed
from synctool.errors import (
    EXIT_OK,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    MediaError,
    MissingError,
    UsageError,
)
from synctool.exporting.windows import real_windows
from synctool.measure.encode import encode
from synctool.repairing.run import repair
from videos import PlacedFace, face_video

pytestmark = pytest.mark.integration

OWN = ("--backbone", "flicker", "--device", "cpu", "--detector", "whole")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a video, and below it a playlist that names the video."""
    for name in list(os.environ):
        if name.startswith("SYNCTOOL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path / "cache"))
    flicker.flicker_video(tmp_path / "outside.mkv", seconds=2, ahead_frames=3)
    flicker.save_weights(tmp_path / "w.safetensors")
    (tmp_path / "show").mkdir()
    script("show/list.ffconcat", "../outside.mkv")
    with flicker.installed():
        yield tmp_path


def script(path: str, name: str) -> None:
    Path(path).write_text(f"ffconcat version 1.0\nfile {name}\n")


def test_detect(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["detect", "show/list.ffconcat", *OWN, "--weights", "w.safetensors"]
    assert main(words) == EXIT_UNEXPECTED
    told = capsys.readouterr().err
    assert "outside its folder" in told and "--allow-external" in told
    assert main([*words, "--allow-external"]) == EXIT_OK
    assert "120 ms ahead" in capsys.readouterr().out
    monkeypatch.setenv("SYNCTOOL_DETECT_ALLOW_EXTERNAL", "yes")
    assert main(words) == EXIT_OK
    assert main([*words, "--no-allow-external"]) == EXIT_UNEXPECTED


@pytest.mark.parametrize("more", [(), ("--perturb", "h264:1")])
def test_compare(capsys: pytest.CaptureFixture[str], more: tuple[str, ...]) -> None:
    words = ["compare", "show/list.ffconcat", "-b", "flicker=w.safetensors", *OWN[2:], *more]
    assert main(words) != EXIT_OK
    assert "outside its folder" in capsys.readouterr().out
    assert main([*words, "--allow-external"]) == EXIT_OK
    assert "120 ms ahead" in capsys.readouterr().out


def test_preprocess(place: Path) -> None:
    face_video(place / "face.mp4", [(40, lambda _: [PlacedFace(160, 100, 90)])], size=(320, 200))
    (place / "films").mkdir()
    script("films/disguised.mp4", "../face.mp4")
    assert main(["preprocess", "films", "refused", "-j", "1"]) == EXIT_OK
    assert "outside its folder" in (place / "refused" / "failures.json").read_text()
    assert main(["preprocess", "films", "read", "-j", "1", "--allow-external"]) == EXIT_OK
    assert len(list(Processed("read").infos())) == 1


def test_what_export_and_the_engine_read(place: Path) -> None:
    video = "show/list.ffconcat"
    spec = flicker.SPEC
    with pytest.raises(MediaError, match="outside its folder"):
        real_windows([video], spec, rows=5, count=1, detector="whole")
    with pytest.raises(MissingError, match="a face"):
        real_windows([video], spec, rows=5, count=1, detector="centerface", allow_external=True)
    with pytest.raises(MediaError, match="outside its folder"):
        encode(video, [])
    with pytest.raises(MediaError, match="outside its folder"):
        write_degraded(video, place / "copy.mkv", "noise", 1)
    assert write_degraded(video, place / "copy.mkv", "noise", 1, allow_external=True).stat().st_size
    with pytest.raises(MediaError, match="outside its folder"):
        repair(video, place / "moved.mkv", -40)
    repair(video, place / "moved.mkv", -40, allow_external=True)
    assert (place / "moved.mkv").stat().st_size


# --------------------------------------------------------------------------- names on the command line


def test_a_url_is_a_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    url = "https://example.com/watch?v=1&a=%20"
    assert main(["detect", url, *OWN, "--weights", "w.safetensors"]) == EXIT_USAGE
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[0] == f"error: {url} is a URL, and URLs are not opened"


def test_a_url_costs_the_other_videos_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["detect", "outside.mkv", "rtsp://camera//1", *OWN, "--weights", "w.safetensors"]
    assert main(words) == EXIT_USAGE
    told = capsys.readouterr()
    assert "rtsp://camera//1 is a URL" in told.err
    assert "unacceptable" in told.out and "rtsp://camera//1  failed" in told.out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_read_twice_is_no_pipe(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from synctool.comparison.entries import video_entries

    os.mkfifo(place / "pipe")
    for name in ("pipe", "-"):
        with pytest.raises(UsageError, match="is a pipe"):
            video_entries(["outside.mkv", name])
        with pytest.raises(UsageError, match="is a pipe"):
            repair(name, place / "moved.mkv", -40)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(["detect", "-", *OWN, "--weights", "w.safetensors"]) != EXIT_OK
