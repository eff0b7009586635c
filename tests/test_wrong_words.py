"""Numbers, times, and names of results that cannot be: refused at once as usage, in plain words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synctool.cli.app import main
from synctool.errors import EXIT_USAGE
from synctool.explaining.run import Explanation
from synctool.report.charts.description import Bars
from synctool.report.charts.explanation import moments_chart
from synctool.report.charts.svg import drawing
from synctool.settings.explain import ExplainSettings
from synctool.settings.sources import resolve
from synctool.settings.times import seconds_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talk.mp4").write_bytes(b"none")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.mp4").write_bytes(b"none")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("detect talk.mp4 --max-offset abc", "--max-offset: 'abc' is not a whole number"),
        ("detect talk.mp4 --max-offset 2.5", "--max-offset: '2.5' is not a whole number"),
        ("detect talk.mp4 --max-offset 900", "--max-offset: 900 is out of range: 15 to 125"),
        ("detect talk.mp4 --stall-timeout soon", "--stall-timeout: 'soon' is not a number"),
        ("train --data folder --out r --epochs 1e3", "--epochs: '1e3' is not a whole number"),
        ("fix talk.mp4 -o a.mp4 --offset-ms nan", "--offset-ms: 'nan' is not a number"),
        ("demo --duration 0:01", "--duration: 1.0 is out of range: 2 to 600"),
        ("explain talk.mp4 --at noon", "--at: 'noon' is not a time: write it as 12.4, 1:02.5,"),
        ("explain talk.mp4 --at -1", "--at: -1.0 is out of range: at least 0"),
        ("detect talk.mp4 --plot a.gif", "cannot draw a plot as .gif"),
        ("verify talk.mp4 --plot a.txt", "cannot draw a plot as .txt"),
        ("detect talk.mp4 --json a.html", "the ending .html belongs to --html"),
        ("detect talk.mp4 --html a.json", "the ending .json belongs to --json"),
        ("detect talk.mp4 --csv a.mkv", "the ending .mkv belongs to videos"),
        ("detect talk.mp4 --json folder", "cannot write folder: it is a folder"),
        ("detect talk.mp4 talk.mp4 --plot file", "file is a file, and a folder is wanted"),
        ("explain talk.mp4 --video a.gif", "a.gif is no name of a video"),
        ("fix talk.mp4 -o a.doc", "the ending '.doc' tells no container"),
        ("fix talk.mp4 talk.mp4 -o file", "file is a file, and several videos need a folder"),
        ("demo -o a.gif", "a.gif is no name of a video that can be written"),
        ("demo -o folder", "folder is a folder"),
        ("preprocess folder file", "file is a file, and a folder is wanted"),
        ("preprocess talk.mp4 out", "talk.mp4 is a file, and a folder of videos is wanted"),
        ("config init --out folder", "cannot write folder: it is a folder"),
        ("watch folder --report file --once", "file is a file, and a folder is wanted"),
        ("serve --data file", "file is a file, and a folder is wanted"),
    ],
)
def test_usage(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == EXIT_USAGE
    out, err = capsys.readouterr()
    assert told in err
    assert len(err.splitlines()) > 1  # a remedy
    assert out == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12.4", 12.4),
        (" 7s ", 7.0),
        ("1:02", 62.0),
        ("1:02.5", 62.5),
        ("90:00", 5400.0),
        ("1:02:03.25", 3723.25),
        ("310f", 12.4),
        ("-3", -3.0),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text) == pytest.approx(seconds)
    if seconds >= 0:
        assert resolve(ExplainSettings, {"at": text}).at == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "1:60", "1:2:3:4", "1:75:00", "1:-2", "nan", "inf", "3.5f", "12%", "١:٠٢"]
)
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        seconds_of(text)


def test_times_stand_in_settings_files_and_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "synctool.toml").write_text('[explain]\nat = "1:02"\nseconds = 3\n')
    assert (resolve(ExplainSettings).at, resolve(ExplainSettings).seconds) == (62.0, 3.0)
    monkeypatch.setenv("SYNCTOOL_EXPLAIN_AT", "50f")
    assert resolve(ExplainSettings).at == 2.0
    assert ExplainSettings(at="0:05").at == 5.0  # type: ignore[arg-type]


def test_moments_that_speak_against_the_offset_are_drawn_below_zero() -> None:
    found = Explanation.__new__(Explanation)
    moment = type("Moment", (), {"first_frame": 0})()
    values = np.array([2.0, -1.0], np.float32)
    for name, value in {"moment": moment, "frames": values, "audio": values}.items():
        object.__setattr__(found, name, value)
    chart = moments_chart(found)
    panel = chart.panels[0]
    bars = panel.marks[0]
    assert isinstance(bars, Bars)
    assert [tall for _, _, tall in bars.bars] == [2.0, -1.0]
    assert panel.y.low == -1.0
    up, down = str(drawing(chart)).split("<rect")[1:3]
    height = panel.height / 3
    assert f'height="{2 * height:g}"' in up
    assert f'height="{height:g}"' in down
