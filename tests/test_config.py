"""``synctool config``: where every value comes from, and a file to begin with."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from synctool.cli.app import main
from synctool.settings import sources
from synctool.settings.base import rows
from synctool.settings.sources import SECTIONS
from synctool.settings.template import template


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("SYNCTOOL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, object]]:
    """The settings of one command, as JSON has them."""
    assert main(["config", "show", *words, "--json", "-"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == "synctool.config/1"
    (section,) = data["sections"].values()
    return section


def test_every_value_has_its_origin(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    Path("synctool.toml").write_text('[detect]\nmax_offset = 20\njobs = 3\ndevice = "cpu"\n')
    monkeypatch.setenv("SYNCTOOL_DETECT_JOBS", "2")
    monkeypatch.setenv("SYNCTOOL_DETECT_DEVICE", "cpu")
    found = shown(capsys, "detect", "--device", "cpu", "--allow-external", "-b", "syncnet")
    file = "synctool.toml [detect]"
    assert found["max_offset"] == {
        "value": 20,
        "source": "file",
        "place": f"{file} max_offset",
    }
    assert found["jobs"] == {"value": 2, "source": "environment", "place": "SYNCTOOL_DETECT_JOBS"}
    assert found["device"] == {"value": "cpu", "source": "flag", "place": "--device"}
    assert found["allow_external"] == {"value": True, "source": "flag", "place": "--allow-external"}
    assert found["backbone"]["value"] == "syncnet"
    assert found["max_faces"] == {"value": 4, "source": "default", "place": None}
    assert list(found) == [row.name for row in rows(SECTIONS["detect"])]


def test_a_table_of_all_commands(capsys) -> None:
    assert main(["config", "show"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("settings file: none (synctool.toml is not there)")
    lines = [line.split() for line in out.splitlines()[2:]]
    assert {line[0] for line in lines} == set(SECTIONS)
    assert ["detect", "max_offset", "15", "default"] in lines


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dtect"], "dtect has no settings (did you mean 'detect'?)"),
        (["detect", "--max-offset", "300"], "--max-offset: 300 is out of range"),
        (["detect", "--nope"], "No such option: --nope"),
        (["preprocess", "--weights", "x"], "--weights has no effect without"),
    ],
)
def test_what_is_wrong_is_said_as_the_command_would(capsys, words: list[str], said: str) -> None:
    assert main(["config", "show", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_file_to_begin_with_changes_nothing(capsys) -> None:
    before = {name: sources.resolve(kind) for name, kind in SECTIONS.items()}
    assert main(["config", "init"]) == 0
    text = Path("synctool.toml").read_text("utf-8")
    assert {name: sources.resolve(kind) for name, kind in SECTIONS.items()} == before
    for name, kind in SECTIONS.items():
        assert f"[{name}]" in text
        for row in rows(kind):
            assert (f"\n#{row.name} = " in text) or row.line.flag_only
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("section", SECTIONS)
def test_its_lines_hold_once_they_are_no_comments(section: str) -> None:
    kind = SECTIONS[section]
    with_default = {row.name for row in rows(kind) if row.plain(row.default) is not None}
    text = re.sub(
        r"(?m)^#(\w+) = ",
        lambda m: f"{m[1]} = " if m[1] in with_default else m[0],
        template([section]),
    )
    Path("synctool.toml").write_text(text, encoding="utf-8")
    assert sources.resolve(kind) == kind()
    decided = {o.setting.name for o in sources.origins(kind) if o.source == "file"}
    assert decided == {n for n in with_default if not _flag_only(section, n)}


def _flag_only(section: str, name: str) -> bool:
    return next(row.line.flag_only for row in rows(SECTIONS[section]) if row.name == name)


def test_a_file_that_is_there_is_not_replaced_unasked(capsys, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[detect]\njobs = 2\n")
    assert main(["config", "init", "--out", str(path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert path.read_text() == "[detect]\njobs = 2\n"
    assert main(["config", "init", "detect", "--out", str(path), "--force"]) == 0
    assert path.read_text("utf-8") == template(["detect"])
    capsys.readouterr()
    assert main(["config", "init", "pairs", "--out", "-"]) == 0
    assert capsys.readouterr().out == template(["pairs"])
