"""``synctool preprocess`` as a person or a program runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synctool.cli.app import main
from synctool.data.processed import Processed
from videos import PlacedFace, face_video

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    face = PlacedFace(160, 100, 90)
    for i in range(6):
        face_video(folder / f"{i}.mp4", [(30 + i, lambda _: [face])], size=(320, 200))
    (folder / "broken.mp4").write_text("no video")
    return folder


def test_it_says_what_came_of_it(videos: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "my 'samples'"
    assert main(["preprocess", str(videos), str(out), "-j", "1"]) == 0
    told = capsys.readouterr()
    assert "7 videos: 6 samples" in told.out and "failures.json" in told.out
    assert told.err == ""
    assert main(["preprocess", str(videos), str(out), "-j", "1", "--json", "-"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["films_done"], facts["samples"], facts["resumed_films"]) == (7, 6, 7)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere", "out"], 5, "no such folder"),
        (["films", "out", "--crop", "nose"], 2, "nose"),
        (["films", "out", "--size", "4000"], 2, "out of range"),
        (["films", "out", "--tree", "voxcelep"], 2, "voxceleb"),
        (["films", "out", "--detector", "centreface"], 2, "centerface"),
        (["films", "out", "--address", "auto"], 2, "--engine ray"),
        (["films", "out", "--workers", "2", "-j", "3"], 2, "--workers and --jobs are the same"),
        (["nowhere", "out", "--workers", "2"], 5, "--workers is called --jobs now"),
        (["films", "out", "--sync-correct", "-b", "fcn-clss"], 2, "fcn-cls"),
        (
            ["films", "out", "--sync-correct", "--weights", "none.safetensors"],
            5,
            "none.safetensors",
        ),
        (["films", "nostore://x"], 5, "cannot be reached"),
        (["films", "films/broken.mp4"], 2, "a folder is wanted"),
    ],
)
def test_mistakes_are_told_before_the_work(
    videos: Path, tmp_path: Path, capsys, monkeypatch, words: list[str], code: int, said: str
) -> None:
    (tmp_path / "films").symlink_to(videos)
    monkeypatch.chdir(tmp_path)
    assert main(["preprocess", *words]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out/shard-00000.json").exists()


def test_ctrl_c_loses_nothing(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["preprocess", str(videos), str(out), "-j", "2", "--shard-videos", "1"]
    code = f"import sys; from synctool.cli.app import main; sys.exit(main({words!r}))"
    script = tmp_path / "run.py"
    script.write_text(f"if __name__ == '__main__':\n    {code}\n")
    run = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True)
    while not list(out.glob("shard-*.json")):
        time.sleep(0.02)
        assert run.poll() is None
    run.send_signal(signal.SIGINT)
    told = run.communicate(timeout=60)[1]
    if run.returncode == 0:
        pytest.fail("the run was over before it could be interrupted")
    assert run.returncode == 130
    assert told == "Stopped. Run the same command again to go on.\n"
    assert 1 <= len(Processed(out).names) < 7
    assert main(words) == 0
    assert len(list(Processed(out).samples())) == 6
