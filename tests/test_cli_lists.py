"""What the program lists and completes, on terminals and for other programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fake_plugins import backbone_spec, run_python, run_synctool, with_backbones
from synctool.cli import app
from synctool.cli.common import print_table
from synctool.plugins import loader as plugins


def test_completion_knows_the_commands() -> None:
    words = {
        "_SYNCTOOL_COMPLETE": "complete_bash",
        "COMP_WORDS": "synctool plug",
        "COMP_CWORD": "1",
    }
    assert run_synctool(env=words).stdout.split() == ["plugins"]


CHOICES = """
from typing import Annotated
from synctool.cli import app
from synctool.cli.options import Given, settings_options
from synctool.settings.detect import DetectSettings
@settings_options(DetectSettings)
def run(given: Given[DetectSettings]) -> None: ...
app.COMMANDS = dict(run=run)
app.main([])
"""


def test_choices_of_the_table_are_completed() -> None:
    words = {"COMP_WORDS": "synctool run --device c", "COMP_CWORD": "3"}
    done = run_python(CHOICES, env={"_SYNCTOOL_COMPLETE": "complete_bash", **words})
    assert done.stdout.split() == ["cpu", "cuda"]


def test_backbones_command(capsys) -> None:
    specs = [backbone_spec("joint-one"), backbone_spec("seeing", "video", embedding_size=64)]
    with plugins.use(with_backbones(*specs)):
        assert app.main(["backbones"]) == 0
        table = capsys.readouterr().out.splitlines()
        assert app.main(["backbones", "--json", "-"]) == 0
    assert table[0].split() == ["NAME", "ROLE", "INPUT", "WEIGHTS", "LICENCE", "SUMMARY"]
    assert [line.split()[0] for line in table[1:]] == ["joint-one", "seeing"]
    assert "face 112 rgb, logmel64" in table[1]
    joint, seeing = json.loads(capsys.readouterr().out)
    assert (joint["name"], joint["role"], joint["audio"]) == ("joint-one", "joint", "logmel64")
    assert (seeing["embedding_size"], seeing["audio"], seeing["weights"]) == (64, None, None)
    assert seeing["video"]["size_px"] == 112


def test_json_of_a_list_goes_to_a_file_beside_the_table(capsys, tmp_path: Path) -> None:
    file = tmp_path / "backbones.json"
    with plugins.use(with_backbones(backbone_spec("joint-one"))):
        assert app.main(["backbones", "--json", str(file)]) == 0
        assert "joint-one" in capsys.readouterr().out
        assert app.main(["backbones", "--json", str(tmp_path / "no" / "such.json")]) == 1
    assert [entry["name"] for entry in json.loads(file.read_text())] == ["joint-one"]


def test_the_device_of_a_profile_needs_one(capsys) -> None:
    assert app.main(["backbones", "--device", "cpu"]) == 2
    assert "--device has no effect without --profile" in capsys.readouterr().err


def test_tables_are_drawn_on_terminals_only(capsys, monkeypatch) -> None:
    print_table(["a", "b"], [["1", "a long cell " * 20], ["2", "[red]"]])
    plain = capsys.readouterr().out
    assert len(plain.splitlines()) == 3, "never folded where a program may read it"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(["a", "b"], [["2", "[red]"]])
    assert "[red]" in capsys.readouterr().out


def test_the_module_itself_is_a_program() -> None:
    done = run_python(
        "import runpy; runpy.run_module('synctool.cli.app', run_name='__main__')", "-h"
    )
    assert done.returncode == 0
    assert "Usage: synctool" in done.stdout
