"""A decoder that hangs costs its video and no other, wherever videos are read."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import flicker
from flicker import flicker_video
from synctool.cli.app import main
from synctool.errors import MediaError
from synctool.media import video_file as video_module
from synctool.media.video_file import VideoFile
from synctool.media.waiting import within

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _network() -> Iterator[None]:
    with flicker.installed():
        yield


@pytest.fixture
def videos(tmp_path: Path) -> list[str]:
    return [
        str(flicker_video(tmp_path / name, seconds=3)) for name in ("a.mp4", "bad.mp4", "c.mp4")
    ]


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(params=["decoding", "opening"])
def _hangs(
    request: pytest.FixtureRequest, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``bad.mp4`` never comes to an end."""
    if request.param == "decoding":
        decode = VideoFile._demux

        def demux(video_file: VideoFile) -> None:
            if video_file.path.name == "bad.mp4":
                release.wait()
            decode(video_file)

        monkeypatch.setattr(VideoFile, "_demux", demux)
        return
    opens = video_module.open_video

    def open_video(path, **more):
        if Path(path).name == "bad.mp4":
            release.wait()
        return opens(path, **more)

    monkeypatch.setattr(video_module, "open_video", open_video)


@pytest.mark.usefixtures("_hangs")
@pytest.mark.parametrize("command", ["detect", "compare"])
def test_a_video_that_hangs_costs_no_other(
    command: str, videos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = flicker.save_weights(tmp_path / "w.safetensors")
    network = (
        ["--backbone", "flicker", "--weights", str(weights), "--json", "-"]
        if command == "detect"
        else ["-b", f"flicker={weights}", "--trials", "-"]
    )
    given = ["--detector", "whole", "--device", "cpu", "--stall-timeout", "1"]
    began = time.monotonic()
    code = main([command, *videos, *network, *given])
    assert code == 1
    assert time.monotonic() - began < 30
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    errors = [row.get("error") for row in rows]
    assert [error is None for error in errors] == [True, False, True]
    assert "bad.mp4" in errors[1] and "has hung: nothing came for 1 s" in errors[1]
    assert "bad.mp4" in err


def test_what_comes_in_time_is_given_and_errors_pass(release: threading.Event) -> None:
    assert within(5.0, lambda: 7, name="a", what="it") == 7
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: 1 // 0, name="a", what="it")


def test_what_arrives_too_late_is_closed(
    release: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = flicker_video(tmp_path / "slow.mp4", seconds=1)
    opened, closed = [], threading.Event()
    opens, close = video_module.open_video, video_module.OpenedVideo.close

    def open_video(path, **more):
        release.wait()
        opened.append(opens(path, **more))
        return opened[0]

    def closing(video) -> None:
        close(video)
        closed.set()

    monkeypatch.setattr(video_module, "open_video", open_video)
    monkeypatch.setattr(video_module.OpenedVideo, "close", closing)
    with pytest.raises(MediaError, match="opening it has hung"):
        VideoFile(path, stall_s=0.1)
    assert not opened
    release.set()
    assert closed.wait(10.0)
    with pytest.raises(AssertionError, match="Container is not open"):
        next(opened[0].container.demux())
